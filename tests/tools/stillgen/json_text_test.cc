#include "tools/stillgen/json_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace stillwatch::stillgen {
namespace {

constexpr const char* kHard = "q\"b\\s/\n\t\r\x01 <a&b> caf\u00e9 \u65e5\u672c \U0001f680 end";

TEST(JsonTextTest, EveryStyleReadsBackAsTheSameText) {
  for (const JsonStyle& style : {JsonStyle{}, JsonStyle{.spaced = true}, JsonStyle{.ascii_only = true},
                                 JsonStyle{.html_escape = true}, JsonStyle{true, true, true}}) {
    JsonText j(style);
    j.Open('{').Key("a").Text(kHard).Key("b").Open('[').Number(-3).Bool(true).Null().Close(']').Key("c").Raw("{}").Close('}');
    const auto read = nlohmann::json::parse(j.text());
    EXPECT_EQ(read["a"], kHard);
    EXPECT_EQ(read["b"].dump(), "[-3,true,null]");
    for (char c : j.text()) EXPECT_TRUE(!style.ascii_only || static_cast<uint8_t>(c) < 0x7f);
    EXPECT_EQ(style.html_escape, j.text().find('<') == std::string::npos);
  }
}

TEST(JsonTextTest, StylesMatchTheLibrariesTheyStandFor) {
  const auto write = [](JsonStyle style) {
    JsonText j(style);
    j.Open('{').Key("a").Number(1).Key("b").Text("\u00e9 \U0001f680 <").Close('}');
    return j.text();
  };
  // Python: json.dumps({"a": 1, "b": "é 🚀 <"}); Go: json.Marshal of the same.
  EXPECT_EQ(write({.spaced = true, .ascii_only = true}), R"({"a": 1, "b": "\u00e9 \ud83d\ude80 <"})");
  EXPECT_EQ(write({.html_escape = true}), "{\"a\":1,\"b\":\"\u00e9 \U0001f680 \\u003c\"}");
}

TEST(JsonTextTest, ThousandthsKeepOneDigitAtLeast) {
  const auto milli = [](int64_t value) { return JsonText().Milli(value).text(); };
  EXPECT_EQ(milli(0), "0.0");
  EXPECT_EQ(milli(700), "0.7");
  EXPECT_EQ(milli(1000), "1.0");
  EXPECT_EQ(milli(1250), "1.25");
}

}  // namespace
}  // namespace stillwatch::stillgen
