// What the connections of one worker share: limits, counters, pools and scratch memory. All of it is reserved
// at start; one thread.
#pragma once

#include <vector>

#include "dataplane/http/block_pool.h"
#include "dataplane/http/head.h"
#include "dataplane/http/http_connection.h"
#include "dataplane/http/http_counters.h"
#include "dataplane/http/inflater.h"

namespace stillwatch::dataplane {

// The most body bytes that the observer gets in one call.
inline constexpr size_t kBodyCallMax = 64u << 10;
// Heads that span segments wait in a block of this size, then in one of header_bytes_max.
inline constexpr size_t kSmallHeadBytes = 4u << 10;

class HttpCore final : public HttpShared {
 public:
  HttpCore(const HttpLimits& wanted, HttpObserver* to);
  void RegisterCounters(CounterRegistry* registry) override { registry->Register(counters); }
  void Count(HttpCounter counter, uint64_t amount = 1) { counters.Add(counter, amount); }
  // Adds one to each counter of the set.
  void CountAll(HttpAnomalies set);

  const HttpLimits limits;
  HttpObserver* const observer;
  CounterBlock<HttpCounter> counters{kHttpCounterNames};
  BlockPool connections, transactions, small_heads, large_heads, decoders;
  HeadScratch scratch;
  std::vector<uint8_t> decoded;  // output of decoders on its way to the observer
};

}  // namespace stillwatch::dataplane
