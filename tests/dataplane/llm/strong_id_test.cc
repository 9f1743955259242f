#include "dataplane/llm/strong_id.h"

#include <random>
#include <string>

#include <gtest/gtest.h>

namespace stillwatch::dataplane {
namespace {

TEST(StrongId, IdsAsProvidersDrawThemAreStrong) {
  for (const char* id : {"chatcmpl-9hXyZ0aBcDeFgHiJkLmNoPqRsT", "msg_01XFDUDYJgAACzvnptvVoYEL", "toolu_01A09q90qw90lq917835lq9",
                         "call_lYp3GfQ9sK1mZc7RtVb2Hd5X", "550e8400-e29b-41d4-a716-446655440000", "resp_67ccd2bed1ec8190b14f964abc054267",
                         "0123456789abcdef"}) {
    EXPECT_TRUE(IsStrongId(id)) << id;
  }
}

TEST(StrongId, CountsConstantsAndNamesAreWeak) {
  for (const char* id : {"", "call_1", "chatcmpl-123", "call_A", "1700000000", "req-1700000000123", "functions.get_weather:0",
                         "functions.getWeatherForCity:0", "msg_00000000000000000000000000000001", "a1a1a1a1a1a1a1a1a1a1a1a1",
                         "tool-use-number-one-of-many", "deadbeef", "run-2026-11-29-12", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA1"}) {
    EXPECT_FALSE(IsStrongId(id)) << id;
  }
}

TEST(StrongId, HexFromSixteenDigitsOnNotBelow) {
  std::mt19937_64 random(1);
  int strong = 0, weak = 0;
  for (int i = 0; i < 1'000; ++i) {
    std::string id = "x-";
    for (int d = 0; d < 20; ++d) id += "0123456789abcdef"[random() % 16];
    strong += IsStrongId(id);
    weak += !IsStrongId(id.substr(0, 2 + 12));
  }
  EXPECT_GE(strong, 900);  // digits that repeat, and runs of one kind, cost some
  EXPECT_EQ(weak, 1'000);
}

TEST(StrongId, AnyBytes) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 2'000; ++i) {
    std::string id(random() % 300, '\0');
    for (char& c : id) c = static_cast<char>(random());
    IsStrongId(id);
  }
}

}  // namespace
}  // namespace stillwatch::dataplane
