#include "base/text/tokenizer.h"

#include <cstring>

#include "base/mutant.h"
#include "base/text/ascii_tokens.h"

namespace stillwatch::text {
namespace {

// UTF-8 of one code point, the first byte lowest.
struct Encoded {
  uint32_t bytes, length;
};
Encoded EncodeUtf8(uint32_t c) {
  if (c < 0x80) return {c, 1};
  const uint32_t last = 0x80 | (c & 63), before = 0x80 | (c >> 6 & 63);
  if (c < 0x800) return {0xC0 | c >> 6 | last << 8, 2};
  if (c < 0x10000) return {0xE0 | c >> 12 | before << 8 | last << 16, 3};
  return {0xF0 | c >> 18 | (0x80 | (c >> 12 & 63)) << 8 | before << 16 | last << 24, 4};
}

}  // namespace

class Tokenizer::Out {
 public:
  explicit Out(TokenSink* sink) : sink_(sink) {}
  ~Out() { Flush(); }

  void Push(uint32_t hash) {
    if (count_ == kRoom) Flush();
    hashes_[count_++] = hash;
  }
  // All closed runs of a strip; the loop that most of the time goes into.
  void PushStrip(const AsciiStrip& strip, const TokenHasher& hasher) {
    if (count_ + strip.runs > kRoom) Flush();
    uint32_t* out = hashes_ + count_;
    for (uint32_t i = 0; i < strip.runs; ++i) {
      const uint8_t* at = strip.folded + strip.starts[i];
      const uint32_t size = static_cast<uint32_t>(strip.ends[i] - strip.starts[i]);
      if (size > 16) [[unlikely]] {
        count_ = static_cast<uint32_t>(out - hashes_);
        PushLong(at, size, hasher);
        if (count_ + strip.runs > kRoom) Flush();
        out = hashes_ + count_;
        continue;
      }
      *out++ = hasher.HashShort(at, size);
    }
    count_ = static_cast<uint32_t>(out - hashes_);
  }

 private:
  // A strip has at most one run a byte.
  static constexpr uint32_t kRoom = kStripBytes + 2;

  void PushLong(const uint8_t* at, uint32_t size, const TokenHasher& hasher) {
    for (; size > kTokenBytesMax; at += kTokenBytesMax, size -= kTokenBytesMax) {
      Push(hasher.HashInRoom(at, kTokenBytesMax));
    }
    Push(hasher.HashInRoom(at, size));
  }
  void Flush() {
    if (count_ != 0) sink_->Append({hashes_, count_});
    count_ = 0;
  }

  TokenSink* sink_;
  uint32_t count_ = 0;
  uint32_t hashes_[kRoom];
};

void Tokenizer::Feed(std::string_view piece, TokenSink* sink) {
  Out out(sink);
  const uint8_t* at = reinterpret_cast<const uint8_t*>(piece.data());
  const uint8_t* const end = at + piece.size();
  AsciiStrip strip;
  while (at != end) {
    if (utf8_missing_ != 0) {
      TakeByte(*at++, &out);
      continue;
    }
    if (*at >= 0x80) {
      at = TakeForeign(at, end, &out);
      continue;
    }
    if (class_ != CharClass::kSpace) {
      at = CloseOpenRun(at, end, &out);
      continue;
    }
    ScanAscii(at, static_cast<size_t>(end - at), &strip);
    out.PushStrip(strip, hasher_);
    if (strip.open) {
      class_ = strip.open_class;
      const uint8_t* run = strip.folded + strip.starts[strip.runs];
      size_t size = strip.length - strip.starts[strip.runs];
      for (; size >= kTokenBytesMax; run += kTokenBytesMax, size -= kTokenBytesMax) {
        out.Push(hasher_.HashInRoom(run, kTokenBytesMax));
      }
      std::memcpy(bytes_, run, size);
      size_ = static_cast<uint8_t>(size);
    }
    at += strip.length;
  }
  if (MutantIs("text.cut_ends_token")) CloseToken(&out);
}

void Tokenizer::FeedSlowly(std::string_view piece, TokenSink* sink) {
  Out out(sink);
  for (const char c : piece) TakeByte(static_cast<uint8_t>(c), &out);
}

void Tokenizer::Finish(TokenSink* sink) {
  Out out(sink);
  if (utf8_missing_ != 0) {
    utf8_missing_ = 0;
    TakeCodePoint(kReplacement, &out);
  }
  CloseToken(&out);
  std::memset(bytes_, 0, sizeof bytes_);
}

// Takes ASCII bytes while they belong to the open token, and closes it at the first that does not.
const uint8_t* Tokenizer::CloseOpenRun(const uint8_t* at, const uint8_t* end, Out* out) {
  for (; at != end && *at < 0x80; ++at) {
    if (AsciiClass(*at) != class_) {
      CloseToken(out);
      return at;
    }
    if (size_ == kTokenBytesMax) {
      out->Push(hasher_.HashInRoom(bytes_, size_));
      size_ = 0;
    }
    bytes_[size_++] = AsciiFold(*at);
  }
  return at;
}

// Text that is not ASCII, and the few ASCII characters between its words, up to a longer run of them. Whole sequences of two and
// three bytes are read at once, the rest byte by byte.
const uint8_t* Tokenizer::TakeForeign(const uint8_t* at, const uint8_t* end, Out* out) {
  constexpr ptrdiff_t kRun = 8;
  constexpr uint64_t kHighBits = 0x8080808080808080ull;
  const auto continues = [](uint8_t byte) { return (byte & 0xC0) == 0x80; };
  while (end - at >= kRun) {
    const uint8_t lead = at[0];
    if (lead < 0x80) {
      if ((LoadLe<uint64_t>(at) & kHighBits) == 0) break;
      TakeFolded(AsciiFold(lead), AsciiClass(lead), out);
      at += 1;
    } else if (lead >= 0xC2 && lead <= 0xDF && continues(at[1])) {
      TakeCodePoint((lead & 31u) << 6 | (at[1] & 63u), out);
      at += 2;
    } else if (lead >= 0xE1 && lead <= 0xEF && lead != 0xED && continues(at[1]) && continues(at[2])) {
      TakeCodePoint((lead & 15u) << 12 | (at[1] & 63u) << 6 | (at[2] & 63u), out);
      at += 3;
    } else {
      do TakeByte(*at++, out);
      while (utf8_missing_ != 0 && at != end);
    }
  }
  while (end - at < kRun && at != end && (*at >= 0x80 || utf8_missing_ != 0)) TakeByte(*at++, out);
  return at;
}

// UTF-8 by the table of well-formed sequences (Unicode 14, table 3-7); each maximal ill-formed part
// becomes one replacement character.
void Tokenizer::TakeByte(uint8_t byte, Out* out) {
  if (utf8_missing_ != 0) {
    if (byte >= utf8_low_ && byte <= utf8_high_) {
      utf8_value_ = utf8_value_ << 6 | (byte & 63u);
      utf8_low_ = 0x80;
      utf8_high_ = 0xBF;
      if (--utf8_missing_ == 0) TakeCodePoint(utf8_value_, out);
      return;
    }
    utf8_missing_ = 0;
    TakeCodePoint(kReplacement, out);
  }
  utf8_low_ = 0x80;
  utf8_high_ = 0xBF;
  if (byte < 0x80) {
    TakeCodePoint(byte, out);
  } else if (byte >= 0xC2 && byte <= 0xDF) {
    utf8_missing_ = 1;
    utf8_value_ = byte & 31u;
  } else if (byte >= 0xE0 && byte <= 0xEF) {
    utf8_missing_ = 2;
    utf8_value_ = byte & 15u;
    if (byte == 0xE0) utf8_low_ = 0xA0;
    if (byte == 0xED) utf8_high_ = 0x9F;
  } else if (byte >= 0xF0 && byte <= 0xF4) {
    utf8_missing_ = 3;
    utf8_value_ = byte & 7u;
    if (byte == 0xF0) utf8_low_ = 0x90;
    if (byte == 0xF4) utf8_high_ = 0x8F;
  } else {
    TakeCodePoint(kReplacement, out);
  }
}

void Tokenizer::TakeCodePoint(uint32_t code_point, Out* out) {
  const Folded folded = Fold(code_point);
  if (folded.sequence.empty()) {
    TakeFolded(code_point, folded.first_class, out);
    return;
  }
  for (const uint32_t c : folded.sequence) TakeFolded(c, Fold(c).first_class, out);
}

void Tokenizer::TakeFolded(uint32_t code_point, CharClass char_class, Out* out) {
  if (char_class == CharClass::kIgnore) return;
  if (char_class != class_) CloseToken(out);
  class_ = char_class;
  if (char_class == CharClass::kSpace) return;
  if (char_class == CharClass::kBigram) {
    TakeBigram(code_point, out);
    return;
  }
  const Encoded encoded = EncodeUtf8(code_point);
  if (size_ + encoded.length > kTokenBytesMax) {
    out->Push(hasher_.HashInRoom(bytes_, size_));
    size_ = 0;
  }
  std::memcpy(bytes_ + size_, &encoded.bytes, sizeof encoded.bytes);
  size_ = static_cast<uint8_t>(size_ + encoded.length);
}

void Tokenizer::TakeBigram(uint32_t code_point, Out* out) {
  if (bigrams_ != 0) {
    const Encoded before = EncodeUtf8(bigram_before_), now = EncodeUtf8(code_point);
    out->Push(hasher_.HashBlock(before.bytes | uint64_t{now.bytes} << 8 * before.length, 0));
  }
  bigrams_ = bigrams_ == 0 ? 1 : 2;
  bigram_before_ = code_point;
}

// Also a run of one code point of a script without blanks gives its token.
void Tokenizer::CloseToken(Out* out) {
  if (size_ != 0) out->Push(hasher_.HashInRoom(bytes_, size_));
  if (bigrams_ == 1) out->Push(hasher_.HashBlock(EncodeUtf8(bigram_before_).bytes, 0));
  size_ = 0;
  bigrams_ = 0;
  class_ = CharClass::kSpace;
}

std::vector<uint32_t> HashesOf(std::string_view text, const TokenHasher& hasher) {
  struct Gather final : TokenSink {
    void Append(std::span<const uint32_t> hashes) override { tokens.insert(tokens.end(), hashes.begin(), hashes.end()); }
    std::vector<uint32_t> tokens;
  } gather;
  Tokenizer tokenizer(hasher);
  tokenizer.Feed(text, &gather);
  tokenizer.Finish(&gather);
  return std::move(gather.tokens);
}

}  // namespace stillwatch::text
