// libFuzzer target of the HTTP and SSE parsers; http_corpus_test replays the corpus through the same function.
//
// Input: records of one command byte, one length byte and that many bytes. The command's low bits say what: feed
// the client's or the server's side, a gap, the end of a side, traffic time. The whole input is played twice, in
// records and byte by byte with a small budget: both must give the same calls, and every transaction must end
// exactly once.
#include <cstdint>
#include <cstdlib>

#include "dataplane/http/sse.h"
#include "tests/dataplane/http/recorder.h"

namespace stillwatch::dataplane {
namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

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

Played Play(const uint8_t* data, size_t size, bool bytewise) {
  HttpLimits limits = Driver::SmallLimits();
  limits.header_bytes_max = 512;
  limits.decoded_body_bytes_max = 100'000;
  limits.resync_bytes_max = 1u << 20;
  Driver d(limits);
  d.budget_bytes = bytewise ? 37 : 64u << 10;
  for (size_t at = 0; at + 2 <= size;) {
    const uint8_t command = data[at];
    const size_t length = std::min<size_t>(data[at + 1], size - at - 2);
    const std::string text(reinterpret_cast<const char*>(data + at + 2), length);
    at += 2 + length;
    const bool from_client = (command & 1) == 0;
    switch (command >> 1 & 7) {
      default:
        if (bytewise) d.FeedBytewise(from_client, text);
        else d.Feed(from_client, text);
        break;
      case 5:
        d.connection->Gap(d.context, from_client, length);
        break;
      case 6:
        d.connection->End(d.context, from_client);
        break;
      case 7:
        d.context.time_ns += static_cast<int64_t>(length) * 10'000'000'000;
        d.connection->Tick(d.context);
        break;
    }
  }
  d.Close();
  for (const auto& t : d.recorder.seen) Require(t->ended);
  Require(!d.recorder.ended_twice);
  return {d.recorder.log, d.Count("http.decode_failed") > 0};
}

std::string PlaySse(const uint8_t* data, size_t size, bool bytewise) {
  SseParser parser(64);
  std::string log;
  const auto sink = [&](const SseEvent& e) {
    log.append(e.type).append("|").append(e.data).append("|").append(e.last_event_id).append("\n");
  };
  if (bytewise) {
    for (size_t i = 0; i < size; ++i) parser.Feed(Bytes(data + i, 1), sink);
  } else {
    parser.Feed(Bytes(data, size), sink);
  }
  log += std::to_string(parser.events_oversized()) + (parser.End() ? " cut" : "");
  return log;
}

}  // namespace
}  // namespace stillwatch::dataplane

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace stillwatch::dataplane;
  const Played whole = Play(data, size, false), bytewise = Play(data, size, true);
  // Of a corrupt br body the cuts decide how much comes out (window_stage.h).
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const bool may_differ = whole.decode_failed && bytewise.decode_failed && MentionsBr(text);
  Require(whole.log == bytewise.log || may_differ);
  Require(PlaySse(data, size, false) == PlaySse(data, size, true));
  return 0;
}
