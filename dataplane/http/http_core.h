// What the connections of one worker share: limits, counters, pools and scratch memory. All of it is reserved
// at start; one thread.
#pragma once

#include <vector>

#include "dataplane/http/block_pool.h"
#include "dataplane/http/head.h"
#include "dataplane/http/hpack.h"
#include "dataplane/http/http2_counters.h"
#include "dataplane/http/http_connection.h"
#include "dataplane/http/http_counters.h"
#include "dataplane/http/inflater.h"
#include "dataplane/http/websocket_counters.h"

namespace stillwatch::dataplane {

// The most body bytes that the observer gets in one call.
inline constexpr size_t kBodyCallMax = 64u << 10;
// Heads that span segments wait in a block of this size, then in one of header_bytes_max.
inline constexpr size_t kSmallHeadBytes = 4u << 10;

class HttpCore final : public HttpShared {
 public:
  HttpCore(const HttpLimits& wanted, HttpObserver* to);
  void RegisterCounters(CounterRegistry* registry) override {
    registry->Register(counters);
    registry->Register(http2_counters);
    registry->Register(websocket_counters);
  }
  void Count(HttpCounter counter, uint64_t amount = 1) { counters.Add(counter, amount); }
  void Count(Http2Counter counter, uint64_t amount = 1) { http2_counters.Add(counter, amount); }
  void Count(WebSocketCounter counter, uint64_t amount = 1) { websocket_counters.Add(counter, amount); }
  // Adds one to each counter of the set.
  void CountAll(HttpAnomalies set);

  const HttpLimits limits;
  HttpObserver* const observer;
  CounterBlock<HttpCounter> counters{kHttpCounterNames};
  CounterBlock<Http2Counter> http2_counters{kHttp2CounterNames};
  CounterBlock<WebSocketCounter> websocket_counters{kWebSocketCounterNames};
  BlockPool connections, transactions, streams, small_heads, large_heads, decoders;
  WindowMemory windows;
  HpackShared hpack;
  HeadScratch scratch;
  FieldList fields;              // of the HTTP/2 header block being read
  Http2FrameObserver* const frames;
  WebSocketObserver* const websockets;
  std::vector<uint8_t> decoded;  // output of decoders on its way to the observer
};

// A block of `core->connections`, or of the allocator when that is empty. The pool pointer stands before the
// object, so that giving it back finds its way home.
void* TakeConnectionBlock(HttpCore* core, size_t object_bytes);
void GiveConnectionBlock(void* object);
inline constexpr size_t kConnectionBlockBytes = 1'024, kConnectionBlockHead = 64;

}  // namespace stillwatch::dataplane
