#include "base/text/tokenizer.h"

#include <gmock/gmock.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace stillwatch::text {
namespace {

class Collect : public TokenSink {
 public:
  void Append(std::span<const uint32_t> hashes) override {
    tokens.insert(tokens.end(), hashes.begin(), hashes.end());
  }
  std::vector<uint32_t> tokens;
};

std::vector<uint32_t> TokensOf(const std::vector<std::string_view>& pieces, Salt salt = {}) {
  Collect collect;
  Tokenizer tokenizer{TokenHasher(salt)};
  for (const std::string_view piece : pieces) tokenizer.Feed(piece, &collect);
  tokenizer.Finish(&collect);
  return collect.tokens;
}
std::vector<uint32_t> TokensOf(std::string_view text, Salt salt = {}) {
  return TokensOf(std::vector<std::string_view>{text}, salt);
}
std::vector<uint32_t> SlowTokensOf(std::string_view text) {
  Collect collect;
  Tokenizer tokenizer{TokenHasher(Salt{})};
  tokenizer.FeedSlowly(text, &collect);
  tokenizer.Finish(&collect);
  return collect.tokens;
}

struct Golden {
  std::string text;
  std::vector<uint32_t> tokens;
};
std::vector<Golden> ReadGolden() {
  std::ifstream file(STILLWATCH_SOURCE_DIR "/tests/base/text/golden.txt");
  std::vector<Golden> out;
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string hex;
    fields >> hex;
    Golden golden;
    if (hex != "-") {
      EXPECT_TRUE(ParseHex(hex, &golden.text));
    }
    for (std::string hash; fields >> hash;) {
      golden.tokens.push_back(static_cast<uint32_t>(std::stoul(hash, nullptr, 16)));
    }
    out.push_back(std::move(golden));
  }
  return out;
}

TEST(Tokenizer, EqualsTheGoldenVectors) {
  const auto golden = ReadGolden();
  ASSERT_GT(golden.size(), 200u);
  for (const Golden& g : golden) {
    EXPECT_EQ(TokensOf(g.text), g.tokens) << HexOf(AsBytes(g.text));
    EXPECT_EQ(SlowTokensOf(g.text), g.tokens) << HexOf(AsBytes(g.text));
  }
}

TEST(Tokenizer, AnyCutGivesTheSame) {
  for (const Golden& g : ReadGolden()) {
    const std::string_view text = g.text;
    for (size_t cut = 0; cut <= text.size(); ++cut) {
      ASSERT_EQ(TokensOf({text.substr(0, cut), text.substr(cut)}), g.tokens)
          << "cut at " << cut << " of " << HexOf(AsBytes(text));
    }
  }
}

std::string RandomText(std::mt19937_64& rng, size_t size) {
  static constexpr std::string_view kPieces[] = {
      "a", "Zz", "0", "9", "_", " ", "  ", "\n", "\t", ".", "...", "\"", "-", "word", "Sentence",
      "averylongwordthatpassessixteenbytes", "é", "д", "日", "\u200b", "\xff", "\xe2\x82", "ß", "\x7f"};
  std::string text;
  const bool ascii_only = rng() % 2 == 0;
  while (text.size() < size) {
    text += kPieces[rng() % (ascii_only ? 16 : std::size(kPieces))];
  }
  return text;
}

TEST(Tokenizer, TheFastPathEqualsTheByteByBytePath) {
  std::mt19937_64 rng(1);
  for (int round = 0; round < 3000; ++round) {
    const std::string text = RandomText(rng, rng() % 1500);
    ASSERT_EQ(TokensOf(text), SlowTokensOf(text)) << HexOf(AsBytes(text));
  }
}

TEST(Tokenizer, RandomPiecesGiveTheSame) {
  std::mt19937_64 rng(2);
  for (int round = 0; round < 2000; ++round) {
    const std::string text = RandomText(rng, 1 + rng() % 1200);
    std::vector<std::string_view> pieces;
    for (size_t at = 0; at < text.size();) {
      const size_t size = 1 + rng() % (rng() % 4 == 0 ? 600 : 9);
      pieces.push_back(std::string_view(text).substr(at, size));
      at += size;
    }
    ASSERT_EQ(TokensOf(pieces), SlowTokensOf(text)) << HexOf(AsBytes(text));
  }
}

TEST(Tokenizer, LongRunsAreCutAt64Bytes) {
  for (const size_t size : {63, 64, 65, 128, 129, 511, 512, 513, 1000, 5000}) {
    const std::string text(size, 'q');
    EXPECT_EQ(TokensOf(text).size(), (size + 63) / 64) << size;
    EXPECT_EQ(TokensOf(text), SlowTokensOf(text)) << size;
  }
}

TEST(Tokenizer, FoldsWhatAnEvaderWouldChange) {
  EXPECT_EQ(TokensOf("Ignore ALL previous"), TokensOf("ignore all previous"));
  EXPECT_EQ(TokensOf("ig\u200bnore all previous"), TokensOf("ignore all previous"));
  EXPECT_EQ(TokensOf("іgnоrе аll рrеvіоus"), TokensOf("ignore all previous"));  // Cyrillic letters
  EXPECT_EQ(TokensOf("ｉｇｎｏｒｅ all previous"), TokensOf("ignore all previous"));
  EXPECT_EQ(TokensOf("ìgnöre all prevíous"), TokensOf("ignore all previous"));
  EXPECT_EQ(TokensOf("item 17"), TokensOf("item 42"));
  EXPECT_NE(TokensOf("item 17"), TokensOf("item 421"));
  EXPECT_NE(TokensOf("ignore all"), TokensOf("ignoreall"));
}

TEST(Tokenizer, TheSaltChangesEveryHash) {
  const auto a = TokensOf("one two three four", Salt{1}), b = TokensOf("one two three four", Salt{2});
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NE(a[i], b[i]);
}

// 2^20 distinct short tokens: 2^40 / 2^33 = 128 colliding pairs are expected of a random function.
TEST(Tokenizer, CollidesAsOftenAsARandomFunction) {
  const TokenHasher hasher(Salt{0});
  for (const uint32_t stride : {1u, 0x01000193u}) {
    std::vector<uint32_t> hashes;
    for (uint32_t i = 0; i < 1u << 20; ++i) {
      char word[16];
      uint32_t value = i * stride;
      size_t size = 0;
      do {
        word[size++] = static_cast<char>('a' + value % 26);
        value /= 26;
      } while (value != 0);
      word[size++] = 'z';  // keeps words of different length apart
      hashes.push_back(hasher.Hash(reinterpret_cast<const uint8_t*>(word), size));
    }
    std::sort(hashes.begin(), hashes.end());
    const auto distinct = std::unique(hashes.begin(), hashes.end()) - hashes.begin();
    const auto collisions = (1 << 20) - distinct;
    EXPECT_GT(collisions, 80);
    EXPECT_LT(collisions, 180);
  }
}

// Text that ends at, and starts behind, a page that may not be touched.
TEST(Tokenizer, ReadsNothingBesideTheText) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  uint8_t* map = static_cast<uint8_t*>(
      mmap(nullptr, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(map, MAP_FAILED);
  ASSERT_EQ(mprotect(map, page, PROT_NONE), 0);
  ASSERT_EQ(mprotect(map + 2 * page, page, PROT_NONE), 0);
  std::mt19937_64 rng(3);
  for (size_t size = 0; size < 700; ++size) {
    const std::string text = RandomText(rng, size).substr(0, size);
    const auto expected = SlowTokensOf(text);
    char* front = reinterpret_cast<char*>(map + page);
    std::copy(text.begin(), text.end(), front);
    EXPECT_EQ(TokensOf(std::string_view(front, size)), expected);
    char* back = reinterpret_cast<char*>(map + 2 * page - size);
    std::copy(text.begin(), text.end(), back);
    EXPECT_EQ(TokensOf(std::string_view(back, size)), expected);
  }
  munmap(map, 3 * page);
}

}  // namespace
}  // namespace stillwatch::text
