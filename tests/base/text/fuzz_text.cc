// libFuzzer: the fast path, any cut and the byte-by-byte path agree on every input.
#include <vector>

#include "base/text/tokenizer.h"
#include "tests/fuzz/target.h"

namespace {

class Collect : public stillwatch::text::TokenSink {
 public:
  void Append(std::span<const uint32_t> hashes) override {
    tokens.insert(tokens.end(), hashes.begin(), hashes.end());
  }
  std::vector<uint32_t> tokens;
};

}  // namespace

std::string stillwatch::fuzz::Play(Bytes data) {
  if (data.empty()) return {};
  const size_t cut = data[0] % data.size();
  const std::string_view text = AsText(data);
  const text::TokenHasher hasher(Salt{0});
  Collect whole, pieces, slow;
  text::Tokenizer a(hasher), b(hasher), c(hasher);
  a.Feed(text, &whole);
  a.Finish(&whole);
  b.Feed(text.substr(0, cut), &pieces);
  b.Feed(text.substr(cut), &pieces);
  b.Finish(&pieces);
  c.FeedSlowly(text, &slow);
  c.Finish(&slow);
  Require(whole.tokens == slow.tokens && whole.tokens == pieces.tokens);
  return {reinterpret_cast<const char*>(whole.tokens.data()), whole.tokens.size() * sizeof(uint32_t)};
}
