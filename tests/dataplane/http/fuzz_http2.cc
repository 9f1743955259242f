// libFuzzer target of the HTTP/2 reader and connection; http2_corpus_test replays the corpus through the same function.
//
// Input: one byte that says how the connection begins (prior knowledge, joined, HTTP/1 that may upgrade), then records
// as fuzz_records.h has them. The whole input is played twice, in records
// and byte by byte with a small budget: both must give the same calls, every transaction must end exactly once, and all
// memory must come back.
#include "dataplane/http/http_core.h"
#include "tests/dataplane/http/fuzz_records.h"

namespace stillwatch::dataplane {
namespace {

std::string PlayHttp2(Bytes data, bool bytewise) {
  HttpLimits limits = FuzzLimits();
  limits.streams_max = 16;
  limits.streams_per_connection_max = 12;
  limits.hpack_bytes_max = 1u << 20;
  limits.hpack_table_bytes_max = 8'192;
  Driver d(limits);
  const HttpVersion versions[] = {HttpVersion::kHttp2, HttpVersion::kHttp2Joined, HttpVersion::kHttp1};
  const uint8_t start = data.empty() ? 0 : data[0];
  d.connection = MakeHttpConnection(d.shared.get(), 0, versions[start % 3], (start & 4) == 0);
  PlayRecords(data.subspan(data.empty() ? 0 : 1), bytewise, &d);
  d.connection.reset();
  const auto& core = static_cast<HttpCore&>(*d.shared);
  Require(core.streams.taken() == 0 && core.decoders.taken() == 0 && core.small_heads.taken() == 0 &&
          core.large_heads.taken() == 0 && core.connections.taken() == 0 && core.transactions.taken() == 0);
  Require(core.hpack.memory.pages_taken() == 0 && core.hpack.memory.large_taken() == 0);
  std::string log = d.recorder.log;
  for (const auto& count : core.http2_counters.View().values) log += "\n" + std::to_string(count);
  return log;
}

}  // namespace
}  // namespace stillwatch::dataplane

std::string stillwatch::fuzz::Play(Bytes input) {
  using namespace stillwatch::dataplane;
  const std::string whole = PlayHttp2(input, false);
  Require(whole == PlayHttp2(input, true));
  return whole;
}
