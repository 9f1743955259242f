#include "dataplane/http/http_core.h"

#include <algorithm>
#include <new>

#include "dataplane/http/connection.h"
#include "dataplane/http/http2_connection.h"

namespace stillwatch::dataplane {

HttpCore::HttpCore(const HttpLimits& wanted, HttpObserver* to)
    : limits(wanted),
      observer(to),
      connections(kConnectionBlockBytes, wanted.connections_max),
      transactions(sizeof(Transaction), wanted.transactions_max),
      streams(sizeof(Http2Stream), wanted.streams_max),
      small_heads(kSmallHeadBytes, size_t{2} * wanted.connections_max),
      large_heads(std::max<size_t>(wanted.header_bytes_max, 2 * kSmallHeadBytes),
                  wanted.large_heads_max),
      decoders(sizeof(InflateStage), wanted.decoders_max),
      windows(wanted.window_bytes_max),
      hpack(wanted.hpack_bytes_max, wanted.hpack_table_bytes_max),
      fields(wanted.header_bytes_max),
      frames(to->frames()),
      websockets(to->websockets()),
      decoded(kBodyCallMax) {
  scratch.folded.reserve(wanted.header_bytes_max);
}

void HttpCore::CountAll(HttpAnomalies set) {
  for (; set != 0; set &= set - 1) {
    counters.Add(static_cast<HttpCounter>(__builtin_ctzll(set)));
  }
}

std::unique_ptr<HttpShared> MakeHttpShared(const HttpLimits& limits, HttpObserver* observer) {
  return std::make_unique<HttpCore>(limits, observer);
}

std::unique_ptr<HttpConnection> MakeHttpConnection(HttpShared* shared, uint64_t first_index, HttpVersion version,
                                                   bool client_first) {
  auto* const core = static_cast<HttpCore*>(shared);
  if (version == HttpVersion::kHttp1) {
    return std::unique_ptr<HttpConnection>(new (core) Connection(core, first_index));
  }
  using Start = Http2Reader::Start;
  if (version == HttpVersion::kHttp2) {
    core->Count(Http2Counter::kConnections);
    return std::unique_ptr<HttpConnection>(
        new (core) Http2Connection(core, first_index, Start::kPreface, Start::kFrame));
  }
  core->Count(Http2Counter::kJoined);
  return std::unique_ptr<HttpConnection>(new (core) Http2Connection(
      core, first_index, client_first ? Start::kJoinedAtFrame : Start::kJoined,
      client_first ? Start::kJoined : Start::kJoinedAtFrame));
}

void* TakeConnectionBlock(HttpCore* core, size_t object_bytes) {
  void* block = core->connections.Take();
  if (block == nullptr) block = ::operator new(object_bytes + kConnectionBlockHead, std::align_val_t{64});
  *static_cast<HttpCore**>(block) = core;
  return static_cast<std::byte*>(block) + kConnectionBlockHead;
}

void GiveConnectionBlock(void* object) {
  void* const block = static_cast<std::byte*>(object) - kConnectionBlockHead;
  HttpCore* const core = *static_cast<HttpCore**>(block);
  if (core->connections.Owns(block)) {
    core->connections.Give(block);
  } else {
    ::operator delete(block, std::align_val_t{64});
  }
}

}  // namespace stillwatch::dataplane
