// libFuzzer: the fast path, any cut and the byte-by-byte path agree on every input.
#include <cstdlib>
#include <vector>

#include "base/text/tokenizer.h"

namespace {
class Collect : public stillwatch::text::TokenSink {
 public:
  void Append(std::span<const uint32_t> hashes) override {
    tokens.insert(tokens.end(), hashes.begin(), hashes.end());
  }
  std::vector<uint32_t> tokens;
};
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t cut = data[0] % size;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const stillwatch::text::TokenHasher hasher(stillwatch::Salt{0});
  Collect whole, pieces, slow;
  stillwatch::text::Tokenizer a(hasher), b(hasher), c(hasher);
  a.Feed(text, &whole);
  a.Finish(&whole);
  b.Feed(text.substr(0, cut), &pieces);
  b.Feed(text.substr(cut), &pieces);
  b.Finish(&pieces);
  c.FeedSlowly(text, &slow);
  c.Finish(&slow);
  if (whole.tokens != slow.tokens || whole.tokens != pieces.tokens) std::abort();
  return 0;
}
