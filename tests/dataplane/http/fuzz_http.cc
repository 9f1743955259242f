// libFuzzer target of the HTTP and SSE parsers; http_corpus_test replays the corpus through the same function.
//
// Input: records as fuzz_records.h has them. The whole input is played twice, in records and byte by byte with a small
// budget: both must give the same calls, and every transaction must end exactly once.
#include "dataplane/http/http_core.h"
#include "dataplane/http/sse.h"
#include "tests/dataplane/http/fuzz_records.h"

namespace stillwatch::dataplane {
namespace {

bool MentionsBr(std::string_view text) {
  for (const char* name : {"br", "Br", "bR", "BR"}) {
    if (text.find(name) < text.size()) return true;
  }
  return false;
}

struct Played {
  std::string log;
  bool decode_failed;
};

Played PlayHttp(Bytes data, bool bytewise) {
  HttpLimits limits = FuzzLimits();
  limits.resync_bytes_max = 1u << 20;
  Driver d(limits);
  PlayRecords(data, bytewise, &d);
  return {d.recorder.log, static_cast<HttpCore&>(*d.shared).counters.Get(HttpCounter::kDecodeFailed) > 0};
}

std::string PlaySse(Bytes data, bool bytewise) {
  SseParser parser(64);
  std::string log;
  const auto sink = [&](const SseEvent& e) {
    log.append(e.type).append("|").append(e.data).append("|").append(e.last_event_id).append("\n");
  };
  if (bytewise) {
    for (size_t i = 0; i < data.size(); ++i) parser.Feed(data.subspan(i, 1), sink);
  } else {
    parser.Feed(data, sink);
  }
  log += std::to_string(parser.events_oversized()) + (parser.End() ? " cut" : "");
  return log;
}

}  // namespace
}  // namespace stillwatch::dataplane

std::string stillwatch::fuzz::Play(Bytes input) {
  using namespace stillwatch::dataplane;
  const Played whole = PlayHttp(input, false), bytewise = PlayHttp(input, true);
  // Of a corrupt br body the cuts decide how much comes out (window_stage.h).
  const bool may_differ = whole.decode_failed && bytewise.decode_failed && MentionsBr(AsText(input));
  Require(whole.log == bytewise.log || may_differ);
  const std::string events = PlaySse(input, false);
  Require(events == PlaySse(input, true));
  return whole.log + "|" + events;
}
