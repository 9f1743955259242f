// The SSE parser against the vectors of web-platform-tests and eventsource-parser, and against a slow
// reading of the WHATWG algorithm on random streams, at every cut.
#include "dataplane/http/sse.h"

#include <fstream>
#include <memory>
#include <random>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace stillwatch::dataplane {
namespace {

struct Event {
  std::string type, data, id;
  bool operator==(const Event&) const = default;
};
void PrintTo(const Event& e, std::ostream* out) { *out << e.type << "|" << e.data << "|" << e.id; }

// Each part is fed from its own heap block, freed after: a view kept too long shows under ASan.
std::vector<Event> Parse(SseParser& parser, const std::vector<std::string>& parts) {
  std::vector<Event> events;
  for (const std::string& part : parts) {
    const auto block = std::make_unique<uint8_t[]>(part.size());
    std::copy(part.begin(), part.end(), block.get());
    parser.Feed(Bytes(block.get(), part.size()), [&](const SseEvent& e) {
      events.push_back({std::string(e.type), std::string(e.data), std::string(e.last_event_id)});
    });
  }
  return events;
}
std::vector<Event> Parse(const std::vector<std::string>& parts) {
  SseParser parser;
  return Parse(parser, parts);
}

std::vector<std::string> ByteByByte(const std::string& text) {
  std::vector<std::string> parts;
  for (const char c : text) parts.emplace_back(1, c);
  return parts;
}

// The standard's algorithm on the whole text, line by line, with no thought of speed.
std::vector<Event> Oracle(std::string text) {
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);
  std::vector<std::string> lines;
  std::string line;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r' && text[i] != '\n') {
      line += text[i];
      continue;
    }
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') ++i;
    lines.push_back(line);
    line.clear();
  }
  std::vector<Event> events;
  std::string data, type, id;
  for (const std::string& l : lines) {
    if (l.empty()) {
      if (!data.empty()) {
        data.pop_back();
        events.push_back({type.empty() ? "message" : type, data, id});
      }
      data = type = "";
      continue;
    }
    if (l[0] == ':') continue;
    const size_t colon = l.find(':');
    const std::string name = l.substr(0, colon);
    std::string value = colon == std::string::npos ? "" : l.substr(colon + 1);
    if (!value.empty() && value[0] == ' ') value.erase(0, 1);
    if (name == "data") data += value + "\n";
    if (name == "event") type = value;
    if (name == "id" && value.find('\0') == std::string::npos) id = value;
  }
  return events;
}

TEST(SseParser, VectorsWholeByChunkAndByteByByte) {
  std::ifstream file(STILLWATCH_SOURCE_DIR "/tests/data/sse/cases.json");
  const auto cases = nlohmann::json::parse(file);
  ASSERT_EQ(cases.size(), 24u);
  for (const auto& c : cases) {
    const std::string input = c["input"];
    std::vector<std::string> chunks;
    if (c.contains("chunks")) chunks = c["chunks"].get<std::vector<std::string>>();
    for (const auto& parts : {std::vector<std::string>{input}, chunks, ByteByByte(input)}) {
      if (parts.empty()) continue;
      SCOPED_TRACE(c["id"].get<std::string>() + " in " + std::to_string(parts.size()) + " parts");
      SseParser parser;
      const auto events = Parse(parser, parts);
      ASSERT_EQ(events.size(), c["expected"].size());
      for (size_t i = 0; i < events.size(); ++i) {
        EXPECT_EQ(events[i].type, c["expected"][i]["event"]);
        EXPECT_EQ(events[i].data, c["expected"][i]["data"]);
        if (c["expected"][i].contains("id")) {
          EXPECT_EQ(events[i].id, c["expected"][i]["id"]);
        }
      }
      if (c.contains("retry")) {
        EXPECT_EQ(parser.retry_ms(), c["retry"].back());
      }
      if (c.contains("last_event_id")) {
        EXPECT_EQ(parser.last_event_id(), c["last_event_id"]);
      }
    }
  }
}

TEST(SseParser, RandomStreamsAgreeWithTheAlgorithmAtEveryCut) {
  std::mt19937 random(7);
  const std::vector<std::string> words = {"\r",      "\n",  "\r\n", ":",    " ",      "data",
                                          "data: x", "id",  "id:7", "event", "event:e", "x",
                                          "\n\n",    "\xef\xbb\xbf", "\xef\xbb", std::string("\0", 1)};
  for (int round = 0; round < 3'000; ++round) {
    std::string text;
    for (size_t n = random() % 24; n > 0; --n) text += words[random() % words.size()];
    const auto expected = Oracle(text);
    ASSERT_EQ(Parse({text}), expected) << nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    ASSERT_EQ(Parse(ByteByByte(text)), expected);
    for (size_t cut = 1; cut < text.size(); ++cut) {
      ASSERT_EQ(Parse({text.substr(0, cut), text.substr(cut)}), expected) << cut;
    }
  }
}

TEST(SseParser, AnEventInOneSpanIsNotCopied) {
  const std::string text = "event: delta\ndata: {\"a\":1}\n\n";
  SseParser parser;
  int events = 0;
  parser.Feed(AsBytes(text), [&](const SseEvent& e) {
    EXPECT_EQ(e.data.data(), text.data() + text.find('{'));
    EXPECT_EQ(e.type.data(), text.data() + text.find("delta"));
    ++events;
  });
  EXPECT_EQ(events, 1);
}

TEST(SseParser, OversizedEventsAreDroppedWholeAndCountedAtEveryCut) {
  const std::string text = "data: 0123456789abcdef\n\ndata: ok\n\ndata: 01234567\ndata: 89\n\n"
                           ": a comment may be as long as it likes\ndata: end\n\n";
  const std::vector<Event> expected = {{"message", "ok", ""}, {"message", "end", ""}};
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    SseParser parser(16);
    // 'data: 0123456789' fits the line bound and the second data line breaks the event's.
    EXPECT_EQ(Parse(parser, {text.substr(0, cut), text.substr(cut)}).size(), 3u) << cut;
    EXPECT_EQ(parser.events_oversized(), 1u);
    SseParser tight(14);
    EXPECT_EQ(Parse(tight, {text.substr(0, cut), text.substr(cut)}).size(), 3u) << cut;
    SseParser tighter(10);
    EXPECT_EQ(Parse(tighter, {text.substr(0, cut), text.substr(cut)}), expected) << cut;
    EXPECT_EQ(tighter.events_oversized(), 2u);
  }
}

TEST(SseParser, EndDiscardsAnEventWithoutItsBlankLine) {
  SseParser parser;
  EXPECT_TRUE(Parse(parser, {"data: x\n"}).empty());
  EXPECT_TRUE(parser.End());
  EXPECT_FALSE(parser.End());
  parser.Reset();
  EXPECT_EQ(Parse(parser, {"data: y\n\n"}), (std::vector<Event>{{"message", "y", ""}}));
  EXPECT_FALSE(parser.End());
}

}  // namespace
}  // namespace stillwatch::dataplane
