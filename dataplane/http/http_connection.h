// Decodes the HTTP/1.x or HTTP/2 of one TCP connection, both directions, as a watcher: it never answers, and it
// must say "ambiguous" where two readings are possible. Owned by a worker, taken from its pool.
//
// Feed takes in-order bytes of one direction. It is resumable: it returns how many bytes it consumed, and
// consumes fewer than given only when `budget` (bytes of decoded output left in this step) is spent; the
// caller polls its ports and feeds the rest. Memory: at most header_bytes_max for each direction plus
// a decoder from the pool. Any cut of the byte stream gives the same observer calls up to the cutting of
// body data.
#pragma once

#include <cstdint>
#include <memory>

#include "base/counters.h"
#include "dataplane/http/http_observer.h"

namespace stillwatch::dataplane {

struct HttpLimits {
  uint32_t header_bytes_max = 64u << 10;
  uint64_t decoded_body_bytes_max = 64ull << 20;
  uint32_t decoders_max = 2'000;
  uint64_t window_bytes_max = 256ull << 20;  // windows and tables of br and zstd, in all
  uint32_t pipelined_requests_max = 128;  // requests that wait for their response
  int64_t response_timeout_ns = 600ll * 1'000'000'000;
  // A compressed body that grew past `decoded_ratio_from` bytes is cut when it is over `decoded_ratio_max`
  // times its coded size.
  uint32_t decoded_ratio_max = 250;
  uint64_t decoded_ratio_from = 4ull << 20;
  // A direction that lost track is searched this far for the next head; then the connection is given up.
  uint64_t resync_bytes_max = 4ull << 20;
  // HTTP/2. A field list over header_bytes_max drops its message.
  uint32_t streams_max = 65'536;               // open at one time, in all
  uint32_t streams_per_connection_max = 1'024; // more are not followed
  uint64_t hpack_bytes_max = 64ull << 20;      // header tables in all
  uint32_t hpack_table_bytes_max = 64u << 10;  // of one table; entries past it are not kept
  // What the pools are reserved for (address space only). More connections fall back to the allocator.
  uint32_t connections_max = 10'000;
  uint32_t transactions_max = 262'144;
  uint32_t large_heads_max = 512;  // heads over 4 KiB that wait for their end at one time
};

struct DecodeBudget {
  uint64_t bytes_left = 64u << 10;
};

enum class HttpSniff : uint8_t { kHttp, kNeedMore, kNotHttp };
enum class HttpVersion : uint8_t {
  kHttp1,
  kHttp2,
  kHttp2Joined,  // HTTP/2 first seen in the middle, at what looks like a frame
};
// Looks at the first bytes that one direction ever carried.
HttpSniff SniffHttp1(Bytes head, bool from_client);
HttpSniff SniffHttp2(Bytes head, bool from_client);
// Either; `joined`: the bytes are a segment in the middle of a connection, where HTTP/2 is known by its frames only.
HttpSniff SniffHttp(Bytes head, bool from_client, bool joined, HttpVersion* version);

// Shared by the connections of one worker: limits, counters, decoder and buffer pools.
class HttpShared {
 public:
  virtual ~HttpShared() = default;
  virtual void RegisterCounters(CounterRegistry* registry) = 0;
};
std::unique_ptr<HttpShared> MakeHttpShared(const HttpLimits& limits, HttpObserver* observer);

class HttpConnection {
 public:
  virtual ~HttpConnection() = default;

  virtual size_t Feed(const StreamContext& at, bool from_client, Bytes data,
                      DecodeBudget* budget) = 0;
  // `skipped` bytes of this direction are lost for good. Inside a body of known length decoding goes on
  // behind the gap and the transaction is marked; elsewhere the direction resynchronises at what looks
  // like the next message head.
  virtual void Gap(const StreamContext& at, bool from_client, uint64_t skipped) = 0;
  // FIN of one direction (ends a read-until-close body).
  virtual void End(const StreamContext& at, bool from_client) = 0;
  // The flow is over: every open transaction ends with `reason`. The object may be destroyed after.
  virtual void Close(const StreamContext& at, HttpEnd reason) = 0;
  // Ends transactions whose response has been awaited for response_timeout_ns.
  virtual void Tick(const StreamContext& at) = 0;
  // Traffic time at which Tick has something to do; INT64_MAX for none.
  virtual int64_t next_deadline_ns() const = 0;
  // No HTTP will be decoded any more on this connection (upgraded, or not HTTP after all).
  virtual bool finished() const = 0;
  // What follows is another protocol's, or HTTP through a tunnel (CONNECT).
  virtual bool tunnelled() const { return false; }
  // The last answer of the connection is being read (the server said so), it is long, and nobody wants to read it.
  virtual bool nothing_follows() const { return false; }
  // Both directions stand between messages and no transaction is open: the object may be destroyed without
  // Close, and another take over (MakeHttpConnection with transactions() as first index).
  virtual bool idle() const { return false; }
  // Transactions so far, and so the index of the next one.
  virtual uint64_t transactions() const = 0;
  // Of an HTTP/2 client, by what it announces and in which order; 0: unknown.
  virtual uint64_t http2_hash() const { return 0; }
};

// `shared` outlives the connection. Of kHttp2Joined the side `client_first` says begins with a frame; in the other
// one a frame is searched for.
std::unique_ptr<HttpConnection> MakeHttpConnection(HttpShared* shared, uint64_t first_index = 0,
                                                   HttpVersion version = HttpVersion::kHttp1,
                                                   bool client_first = true);

}  // namespace stillwatch::dataplane
