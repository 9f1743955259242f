#include "dataplane/llm/request_digest.h"

#include <algorithm>

#include "dataplane/llm/strong_id.h"

namespace stillwatch::dataplane {
namespace {

constexpr size_t kHalf = kPartTokensMax / 2;
constexpr size_t kLongPartBytes = 64u << 10;  // above, only the ends of a part are tokenised
constexpr size_t kSliceBytes = 4u << 10;
constexpr uint64_t kOdd = 0x9e3779b97f4a7c15ull;

uint64_t Combine(uint64_t state, uint64_t value) { return Mix64(state * kOdd + value); }

}  // namespace

// Keeps the first half of the tokens and, as a ring, the last half.
class RequestDigest::Collect final : public text::TokenSink {
 public:
  explicit Collect(PartTokens* out) : out_(*out) {}

  void Append(std::span<const uint32_t> hashes) override {
    while (!hashes.empty()) {
      const size_t at = out_.seen < kPartTokensMax ? out_.seen : kHalf + out_.seen % kHalf;
      const size_t part = std::min(hashes.size(), kPartTokensMax - at);
      std::copy_n(hashes.begin(), part, out_.tokens.get() + at);
      out_.seen += part;
      hashes = hashes.subspan(part);
    }
  }
  // Puts the ring in order.
  void Straighten() {
    if (out_.seen <= kPartTokensMax) return;
    out_.truncated = true;
    uint32_t* const ring = out_.tokens.get() + kHalf;
    std::rotate(ring, ring + out_.seen % kHalf, ring + kHalf);
  }

 private:
  PartTokens& out_;
};

// Whether a conversation is long enough to be told from another: system texts, which many share, do not count. Reads no
// more text than it needs.
class RequestDigest::Depth final : public text::TokenSink {
 public:
  explicit Depth(const text::TokenHasher& hasher) : tokenizer_(hasher) {}

  void Add(std::string_view text) {
    for (; !text.empty() && tokens_ < kPrefixTokensMin; text.remove_prefix(std::min(text.size(), kDepthSlice))) {
      tokenizer_.Feed(text.substr(0, kDepthSlice), this);
    }
    tokenizer_.Finish(this);
  }
  void EndTurn() { ++turns_; }
  bool reached() const { return turns_ >= kPrefixTurnsMin && tokens_ >= kPrefixTokensMin; }
  void Append(std::span<const uint32_t> hashes) override { tokens_ += hashes.size(); }

 private:
  static constexpr size_t kDepthSlice = 256;
  text::Tokenizer tokenizer_;
  size_t turns_ = 0, tokens_ = 0;
};

RequestDigest::RequestDigest(Salt salt, std::span<const Salt> partners)
    : text_salt_(DeriveSalt(salt, "text")),
      id_salt_(DeriveSalt(salt, "id")),
      hasher_(salt) {
  for (PartTokens& part : parts_) part.tokens = std::make_unique<uint32_t[]>(kPartTokensMax);
  CHECK(partners.size() <= kPartnersMax);
  partner_parts_.resize(partners.size());
  for (PartTokens& part : partner_parts_) part.tokens = std::make_unique<uint32_t[]>(kPartTokensMax);
  for (const Salt partner : partners) partner_hashers_.emplace_back(partner);
  for (auto& texts : texts_) texts.reserve(RequestView::kPiecesMax + RequestView::kNamesMax);
}

void RequestDigest::Digest(const RequestView& request, ExchangeHeader* header) {
  header->dialect = request.dialect;
  header->api = request.api;
  header->flags |= request.flags;
  header->turns = static_cast<uint16_t>(std::min<uint32_t>(request.turns, UINT16_MAX));
  header->tools = static_cast<uint16_t>(std::min<uint32_t>(request.tools, UINT16_MAX));
  header->n = static_cast<uint16_t>(std::min<uint64_t>(request.n, UINT16_MAX));
  header->temperature_milli = request.temperature_milli;
  header->top_p_milli = request.top_p_milli;
  header->max_tokens = static_cast<uint32_t>(std::min<uint64_t>(request.max_tokens, UINT32_MAX));
  header->logit_bias_count = static_cast<uint16_t>(request.biased_tokens.size());
  if (!request.biased_tokens.empty()) {
    std::array<uint64_t, RequestView::kNamesMax> sorted;
    const auto end = std::copy(request.biased_tokens.begin(), request.biased_tokens.end(), sorted.begin());
    std::sort(sorted.begin(), end);
    header->logit_bias_hash = KeyedHash64(
        Bytes(reinterpret_cast<const uint8_t*>(sorted.data()), 8 * request.biased_tokens.size()), id_salt_);
  }

  GatherTexts(request);
  tokens_counted_ = 0;
  DigestPart(Part::kSystem, texts_[0], header);
  DigestPart(Part::kInstruction, texts_[1], header);
  DigestPart(Part::kTail, texts_[2], header);
  // Cut by counts alone, so every token keeps its place under any key.
  header->partners = static_cast<uint32_t>(partner_hashers_.size());
  for (size_t i = 0; i < partner_hashers_.size(); ++i) Tokenise(partner_hashers_[i], texts_[1], &partner_parts_[i]);

  ids_count_ = ids_weak_ = 0;
  for (const std::string_view id : request.ids_returned) {
    if (IsStrongId(id)) ids_[ids_count_++] = KeyedHash64(id, id_salt_);
    else ++ids_weak_;
  }
  header->prefix_deep_from = prefix_deep_from_;
  header->prefix_chain_count = prefix_count_;
  header->ids_returned_count = ids_count_;
}

// Sorts texts into parts, hashes each once, and chains the hashes: system texts, then role and texts of each
// message, give one value a message. Reasoning stays out of the chain: some clients drop it on the way back.
void RequestDigest::GatherTexts(const RequestView& request) {
  for (auto& texts : texts_) texts.clear();
  prefix_count_ = prefix_deep_from_ = 0;
  uint64_t chain = 1;
  for (const TextPiece& piece : request.system) {
    const uint64_t hash = KeyedHash64(piece.text, text_salt_);
    texts_[0].push_back({piece.text, hash});
    chain = Combine(chain, hash);
  }
  const size_t instruction = request.InstructionMessage();
  Depth depth(hasher_);
  for (size_t m = 0; m < request.messages.size(); ++m) {
    const RequestMessage& message = request.messages[m];
    chain = Combine(chain, static_cast<uint64_t>(message.role));
    for (const TextPiece& piece : request.PiecesOf(message)) {
      const uint64_t hash = KeyedHash64(piece.text, text_salt_);
      if (piece.kind != PieceKind::kReasoning) chain = Combine(chain, hash);
      if (message.role != Role::kSystem && piece.kind != PieceKind::kReasoning) depth.Add(piece.text);
      if (piece.kind == PieceKind::kToolCall) continue;
      const bool instructs = m == instruction && piece.kind == PieceKind::kText;
      texts_[message.role == Role::kSystem ? 0 : instructs ? 1 : 2].push_back({piece.text, hash});
    }
    if (message.role != Role::kSystem) depth.EndTurn();
    if (prefix_count_ == kPrefixChainMax) continue;
    prefix_chain_[prefix_count_++] = chain;
    if (prefix_deep_from_ == 0 && depth.reached()) prefix_deep_from_ = static_cast<uint16_t>(prefix_count_);
  }
}

void RequestDigest::DigestPart(Part part, std::span<const Text> texts,
                               ExchangeHeader* header) {
  const size_t p = static_cast<size_t>(part);
  PartTokens& out = parts_[p];
  uint64_t hash = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    hash = i == 0 ? texts[i].hash : Combine(hash, texts[i].hash);
  }
  header->part_hash[p] = texts.empty() ? 0 : std::max<uint64_t>(hash, 1);
  Tokenise(hasher_, texts, &out);
  tokens_counted_ += out.seen;
  header->part_tokens[p] = static_cast<uint32_t>(out.kept());
  if (out.truncated) header->flags |= 1u << (kPartTruncatedShift + p);
}

void RequestDigest::Tokenise(const text::TokenHasher& hasher, std::span<const Text> texts, PartTokens* out) {
  out->seen = 0;
  out->truncated = false;
  size_t bytes = 0;
  for (const Text& text : texts) bytes += text.text.size();
  if (bytes <= kLongPartBytes || !TokeniseEnds(hasher, texts, bytes, out)) TokeniseAll(hasher, texts, out);
}

void RequestDigest::TokeniseAll(const text::TokenHasher& hasher, std::span<const Text> texts, PartTokens* out) {
  out->seen = 0;
  Collect collect(out);
  text::Tokenizer tokenizer(hasher);
  for (const auto& [text, hash] : texts) {
    tokenizer.Feed(text, &collect);
    tokenizer.Finish(&collect);
  }
  collect.Straighten();
}

// The same tokens as TokeniseAll keeps, from as little text as needed. False when the two ends would meet:
// then all of it is tokenised.
bool RequestDigest::TokeniseEnds(const text::TokenHasher& hasher, std::span<const Text> texts, size_t bytes,
                                 PartTokens* out) {
  text::Tokenizer tokenizer(hasher);
  Collect front(out);
  size_t front_bytes = 0;
  for (const auto& [text, hash] : texts) {
    for (size_t at = 0; at < text.size() && out->seen < kHalf; at += kSliceBytes) {
      const std::string_view slice = text.substr(at, kSliceBytes);
      tokenizer.Feed(slice, &front);
      front_bytes += slice.size();
    }
    if (out->seen >= kHalf) break;
    tokenizer.Finish(&front);
  }
  if (out->seen < kHalf) return false;

  // Whole texts from the back while they are small; a long one from behind a blank, where no token is open.
  for (size_t window = 16u << 10;; window *= 2) {
    if (front_bytes + window > bytes) return false;
    size_t first = texts.size(), skip = 0, taken = 0;
    while (taken < window) {
      const std::string_view text = texts[--first].text;
      if (taken + text.size() <= window) {
        taken += text.size();
        continue;
      }
      skip = text.find_first_of(" \n", text.size() - (window - taken));
      skip = skip == std::string_view::npos ? text.size() : skip;
      taken += text.size() - skip;
      break;
    }
    out->seen = kPartTokensMax;  // only the ring is written from here on
    Collect back(out);
    for (size_t i = first; i < texts.size(); ++i) {
      tokenizer = text::Tokenizer(hasher);
      tokenizer.Feed(texts[i].text.substr(i == first ? skip : 0), &back);
      tokenizer.Finish(&back);
    }
    const uint64_t in_window = out->seen - kPartTokensMax;
    if (in_window < kHalf) continue;
    back.Straighten();
    // An estimate of the number of tokens that were passed over.
    out->seen = kHalf + in_window + (bytes - front_bytes - taken) * in_window / std::max<size_t>(taken, 1);
    out->truncated = true;
    return true;
  }
}

}  // namespace stillwatch::dataplane
