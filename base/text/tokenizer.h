// Text to 32-bit token hashes: UTF-8 repair, folding, cutting into tokens and hashing in one pass
// (docs/text.md). For the dialect layer, the pipeline's lists and tools that hash the same way.
//
// Incremental: a text may come in pieces cut anywhere, also inside a UTF-8 sequence, and gives the same
// hashes as in one piece. Finish() ends the text. One object holds about 130 bytes of state, at most
// kTokenBytesMax bytes of text, which Finish wipes. It reads only the bytes given, never allocates, and
// every input is legal.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/text/fold_table.h"
#include "base/text/token_hash.h"

namespace stillwatch::text {

class TokenSink {
 public:
  virtual ~TokenSink() = default;
  // In text order; the span is valid during the call.
  virtual void Append(std::span<const uint32_t> hashes) = 0;
};

class Tokenizer {
 public:
  explicit Tokenizer(const TokenHasher& hasher) : hasher_(hasher) {}

  void Feed(std::string_view piece, TokenSink* sink);
  void Finish(TokenSink* sink);

  // Feeds one byte after the other through the general path only. The oracle of tests; slow.
  void FeedSlowly(std::string_view piece, TokenSink* sink);

 private:
  class Out;  // gathers hashes before they go to the sink

  bool idle() const { return class_ == CharClass::kSpace && utf8_missing_ == 0; }
  void TakeByte(uint8_t byte, Out* out);
  void TakeCodePoint(uint32_t code_point, Out* out);
  void TakeFolded(uint32_t code_point, CharClass char_class, Out* out);
  void TakeBigram(uint32_t code_point, Out* out);
  void CloseToken(Out* out);
  const uint8_t* TakeForeign(const uint8_t* at, const uint8_t* end, Out* out);
  const uint8_t* CloseOpenRun(const uint8_t* at, const uint8_t* end, Out* out);

  TokenHasher hasher_;
  CharClass class_ = CharClass::kSpace;  // of the open token; kSpace: none
  uint8_t size_ = 0;                     // bytes of the open word or punctuation run
  uint8_t bigrams_ = 0;                  // code points of the open run without blanks, up to 2
  uint8_t utf8_missing_ = 0;             // continuation bytes still to come
  uint8_t utf8_low_ = 0, utf8_high_ = 0; // range that the next one must be in
  uint32_t utf8_value_ = 0;
  uint32_t bigram_before_ = 0;           // the last code point of the run without blanks
  uint8_t bytes_[kTokenBytesMax + 16] = {};  // a hasher reads whole blocks
};

// Of a whole text, in its order. For lists and tools; a text of a request comes in pieces.
std::vector<uint32_t> HashesOf(std::string_view text, const TokenHasher& hasher);

}  // namespace stillwatch::text
