// From a RequestView to what leaves the dataplane: token hashes by part, exact hashes, prefix chain, ids.
// One object a worker, reused; the result is valid until the next Digest. No allocation after construction.
//
// Parts: system = the system field and system or developer messages; instruction = the text of the last user
// message that has text which is not a tool result; tail = all other text, in order. A part keeps its first
// and last kPartTokensMax / 2 tokens, and of a long part only the ends are tokenised.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/text/tokenizer.h"
#include "dataplane/llm/exchange_builder.h"
#include "dataplane/llm/request_view.h"

namespace stillwatch::dataplane {

class RequestDigest {
 public:
  explicit RequestDigest(Salt salt, std::span<const Salt> partners = {});

  // Fills flags, parameters, part hashes, counts and array lengths of `header`, and the arrays below.
  void Digest(const RequestView& request, ExchangeHeader* header);

  std::span<const uint64_t> prefix_chain() const { return {prefix_chain_, prefix_count_}; }
  std::span<const uint64_t> ids_returned() const { return {ids_, ids_count_}; }
  // At most kPartTokensMax; header's part_tokens and truncated bits speak of the same.
  std::span<const uint32_t> tokens(Part part) const {
    const PartTokens& p = parts_[static_cast<size_t>(part)];
    return {p.tokens.get(), p.kept()};
  }
  // Of the instruction, under the key of one of header's `partners`; as many as tokens(Part::kInstruction).
  std::span<const uint32_t> partner_tokens(uint32_t partner) const {
    return {partner_parts_[partner].tokens.get(), partner_parts_[partner].kept()};
  }
  uint32_t ids_weak() const { return ids_weak_; }  // left out of ids_returned
  uint64_t tokens_counted() const { return tokens_counted_; }  // before cutting; long parts by estimate

 private:
  struct PartTokens {
    std::unique_ptr<uint32_t[]> tokens;  // kPartTokensMax
    uint64_t seen = 0;
    bool truncated = false;
    size_t kept() const { return seen < kPartTokensMax ? seen : kPartTokensMax; }
  };
  struct Text {
    std::string_view text;
    uint64_t hash;
  };
  class Collect;
  class Depth;

  void GatherTexts(const RequestView& request);
  void DigestPart(Part part, std::span<const Text> texts, ExchangeHeader* header);
  static void Tokenise(const text::TokenHasher& hasher, std::span<const Text> texts, PartTokens* out);
  static void TokeniseAll(const text::TokenHasher& hasher, std::span<const Text> texts, PartTokens* out);
  static bool TokeniseEnds(const text::TokenHasher& hasher, std::span<const Text> texts, size_t bytes, PartTokens* out);

  const Salt text_salt_, id_salt_;
  const text::TokenHasher hasher_;
  std::array<PartTokens, kParts> parts_;
  std::vector<text::TokenHasher> partner_hashers_;
  std::vector<PartTokens> partner_parts_;  // of the instruction
  std::vector<Text> texts_[3];  // system, instruction, tail
  uint64_t prefix_chain_[kPrefixChainMax];
  uint32_t prefix_count_ = 0;
  uint64_t ids_[kIdsMax];
  uint32_t ids_count_ = 0, ids_weak_ = 0;
  uint16_t prefix_deep_from_ = 0;
  uint64_t tokens_counted_ = 0;
};

}  // namespace stillwatch::dataplane
