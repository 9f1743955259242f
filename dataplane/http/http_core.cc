#include "dataplane/http/http_core.h"

#include <algorithm>

#include "dataplane/http/connection.h"

namespace stillwatch::dataplane {

HttpCore::HttpCore(const HttpLimits& wanted, HttpObserver* to)
    : limits(wanted),
      observer(to),
      connections(Connection::kBlockBytes, wanted.connections_max),
      transactions(sizeof(Transaction), wanted.transactions_max),
      small_heads(kSmallHeadBytes, size_t{2} * wanted.connections_max),
      large_heads(std::max<size_t>(wanted.header_bytes_max, 2 * kSmallHeadBytes),
                  wanted.large_heads_max),
      decoders(sizeof(InflateStage), wanted.decoders_max),
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

std::unique_ptr<HttpConnection> MakeHttpConnection(HttpShared* shared, uint64_t first_index) {
  auto* const core = static_cast<HttpCore*>(shared);
  return std::unique_ptr<HttpConnection>(new (core) Connection(core, first_index));
}

}  // namespace stillwatch::dataplane
