#include "dataplane/llm/json_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "harness.h"

namespace stillwatch::dataplane {
namespace {

using testing::ReadFile;

// Walks everything, reading each scalar: the strictest use.
void Walk(JsonReader& json, JsonValue& value, std::string* strings) {
  std::string_view text;
  uint64_t number;
  bool flag;
  switch (json.TypeOf(value)) {
    case JsonType::object:
      json.Fields(value, [&](std::string_view key, JsonValue field) {
        *strings += key;
        *strings += '\n';
        Walk(json, field, strings);
      });
      break;
    case JsonType::array: json.Items(value, [&](JsonValue& item) { Walk(json, item, strings); }); break;
    case JsonType::string:
      if (json.String(value, &text)) {
        *strings += text;
        *strings += '\n';
      }
      break;
    case JsonType::number: json.Uint(value, &number); break;
    case JsonType::boolean: json.Bool(value, &flag); break;
    case JsonType::null: json.Null(value); break;
  }
}

struct Read {
  bool well = false;
  std::string strings;
};
Read ReadAll(JsonReader& json, std::string_view document) {
  Read out;
  if (!json.Begin(document)) return out;
  if (json.RootType() == JsonType::object) {
    json.RootFields([&](std::string_view key, JsonValue value) {
      out.strings += key;
      out.strings += '\n';
      Walk(json, value, &out.strings);
    });
  } else if (json.RootType() == JsonType::array) {
    json.RootItems([&](JsonValue& value) { Walk(json, value, &out.strings); });
  }
  out.well = json.Finish();
  return out;
}

TEST(JsonReader, StringsEqualThoseOfTheDomParser) {
  std::mt19937_64 rng(4);
  static constexpr std::string_view kPieces[] = {"a", "word ", "\\n", "\\\"", "\\\\", "\\/", "\\t", "\\u00e9", "\\ud83d\\ude00",
                                                 "é", "日本", "\\u0000", "plain text that is longer than one vector of bytes ", "\\b\\f\\r"};
  JsonReader json(1 << 16);
  simdjson::dom::parser dom;
  for (int round = 0; round < 5000; ++round) {
    std::string body;
    for (size_t i = rng() % 40; i > 0; --i) body += kPieces[rng() % std::size(kPieces)];
    const std::string document = "{\"k\":\"" + body + "\",\"" + body + "\":1}";
    std::string_view expected;
    ASSERT_EQ(dom.parse(document)["k"].get(expected), simdjson::SUCCESS) << document;
    const Read read = ReadAll(json, document);
    EXPECT_TRUE(read.well);
    EXPECT_EQ(read.strings, "k\n" + std::string(expected) + "\n" + std::string(expected) + "\n");
  }
}

TEST(JsonReader, LoneSurrogatesAndBadUtf8AreMended) {
  JsonReader json(1 << 12);
  EXPECT_EQ(ReadAll(json, R"({"a":"x\ud800y"})").strings, "a\nx\xef\xbf\xbdy\n");
  EXPECT_EQ(ReadAll(json, R"({"a":"x\udc00\ud83d"})").strings, "a\nx\xef\xbf\xbd\xef\xbf\xbd\n");
  const Read read = ReadAll(json, "{\"a\":\"x\xffy\"}");
  EXPECT_EQ(read.strings, "a\nx?y\n");
  EXPECT_FALSE(read.well);  // a strict reader would refuse it
}

// Every front of a document gives a front of its strings.
TEST(JsonReader, ReadsTheFrontOfACutDocument) {
  const std::string document =
      R"({"model":"m","messages":[{"role":"user","content":"héllo \"quoted\" \u00e9 \\ end"},{"role":"assistant","content":"x"}],"n":3})";
  JsonReader json(1 << 12);
  const std::string whole = ReadAll(json, document).strings;
  for (size_t size = 1; size < document.size(); ++size) {
    std::copy(document.begin(), document.begin() + static_cast<ptrdiff_t>(size), json.buffer());
    Read read;
    if (json.Begin(size, true)) {
      json.RootFields([&](std::string_view key, JsonValue value) {
        read.strings += key;
        read.strings += '\n';
        Walk(json, value, &read.strings);
      });
    }
    EXPECT_FALSE(json.Finish());
    // The last string may itself be a front, with or without its line end.
    std::string front = read.strings;
    while (!front.empty() && (front.back() == '\n' || front.ends_with("\xef\xbf\xbd"))) {
      front.resize(front.size() - (front.back() == '\n' ? 1 : 3));
    }
    EXPECT_EQ(whole.substr(0, front.size()).compare(0, std::string::npos, front), 0)
        << size << " gives " << read.strings;
    if (size > 60) {
      EXPECT_NE(read.strings.find("llo"), std::string::npos) << size;
    }
  }
}

TEST(JsonReader, NestingDeeperThanTheLimitIsRefused) {
  JsonReader json(1 << 20);
  const auto nested = [](int depth) {
    return "{\"a\":" + std::string(static_cast<size_t>(depth), '[') + std::string(static_cast<size_t>(depth), ']') + "}";
  };
  EXPECT_TRUE(ReadAll(json, nested(900)).well);
  EXPECT_FALSE(json.nested_too_deep());
  EXPECT_FALSE(ReadAll(json, nested(10'000)).well);
  EXPECT_TRUE(json.nested_too_deep());
  // Brackets in a string are no nesting.
  EXPECT_TRUE(ReadAll(json, "{\"a\":\"" + std::string(20'000, '[') + "\"}").well);
  EXPECT_FALSE(json.nested_too_deep());
  EXPECT_FALSE(ReadAll(json, std::string(100'000, '[')).well);
}

// JSONTestSuite. Ours is one of the readers that a capture decoder may be: y_ documents are read, n_ documents
// are reported, save those in json_exceptions.txt.
TEST(JsonReader, JsonTestSuite) {
  std::set<std::string> exceptions;
  std::ifstream list(STILLWATCH_SOURCE_DIR "/tests/dataplane/llm/json_exceptions.txt");
  ASSERT_TRUE(list.good());
  for (std::string line; std::getline(list, line);) {
    if (!line.empty() && line[0] != '#') exceptions.insert(line.substr(0, line.find('\t')));
  }
  JsonReader json(1 << 20);
  int files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(STILLWATCH_SOURCE_DIR "/tests/data/json/parsing")) {
    const std::string name = entry.path().filename(), document = ReadFile(entry.path());
    ++files;
    const Read read = ReadAll(json, document);
    const bool container = json.RootType() == JsonType::object || json.RootType() == JsonType::array;
    if (name.starts_with("y_") && container) {
      EXPECT_TRUE(read.well) << name;
    }
    if (name.starts_with("n_")) {
      const bool excepted = exceptions.erase(name) != 0;
      if (container && read.well) {
        EXPECT_TRUE(excepted) << name << " is taken";
      } else {
        EXPECT_FALSE(excepted) << name << " is refused: strike it off the list";
      }
    }
    // The same as a request body: one marked exchange or none, never a crash.
    testing::Case c;
    c.target = "/v1/chat/completions";
    c.request = c.response = document;
    testing::Play(c, 3);
  }
  EXPECT_GT(files, 150);
  for (const std::string& name : exceptions) ADD_FAILURE() << "no such file: " << name;
  for (const auto& entry :
       std::filesystem::directory_iterator(STILLWATCH_SOURCE_DIR "/tests/data/json/transform")) {
    ReadAll(json, ReadFile(entry.path()));
  }
}

TEST(JsonReader, WipeLeavesNoText) {
  JsonReader json(1 << 12);
  std::string_view text;
  ASSERT_TRUE(json.Begin(R"({"a":"secret text","b":"secret \n escape"})"));
  std::vector<std::string_view> views;
  json.RootFields([&](std::string_view, JsonValue value) {
    if (json.String(value, &text)) views.push_back(text);
  });
  ASSERT_EQ(views.size(), 2u);
  json.Wipe();
  for (const std::string_view view : views) EXPECT_EQ(view, std::string(view.size(), '\0'));
}

}  // namespace
}  // namespace stillwatch::dataplane
