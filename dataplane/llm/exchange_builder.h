// Makes the block that exchange.h describes. For the dialect layer, stillgen and tests.
//
// One builder is reused for many exchanges: Reset(), fill, Finish(). It owns one bounded buffer taken at
// construction (about 270 KiB) and allocates nothing later. What passes a bound is dropped and told by the
// return value; the caller counts it. Not thread safe.
//
//   builder.Reset();
//   builder.header().status = 200;
//   builder.SetTokens(Part::kInstruction, tokens);
//   output->OnExchange(builder.Finish());
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <string_view>

#include "dataplane/llm/exchange.h"

namespace stillwatch::dataplane {

inline constexpr uint32_t kPrefixChainMax = 64;
inline constexpr uint32_t kPrefixTurnsMin = 3;    // of a conversation that is told from others ...
inline constexpr uint32_t kPrefixTokensMin = 64;  // ... by its words outside the system prompt
inline constexpr uint32_t kIdsMax = 256;         // issued, and again returned
inline constexpr uint32_t kModelLengthMax = 64;

class ExchangeBuilder {
 public:
  ExchangeBuilder() : store_(std::make_unique<Store>()) {}

  // Forgets the exchange before. The view that Finish gave is no longer valid.
  void Reset() { store_->header = ExchangeHeader{}; }

  // Array lengths and the truncated bits are set by the calls below; all else is the caller's.
  ExchangeHeader& header() { return store_->header; }

  // Copies the token hashes of one part, replacing what it had. More than kPartTokensMax tokens are cut
  // to the first and last half and the part is marked truncated; `truncated` says that the caller cut.
  void SetTokens(Part part, std::span<const uint32_t> tokens, bool truncated = false) {
    constexpr size_t kHalf = kPartTokensMax / 2;
    if (tokens.size() > kPartTokensMax) {
      SetTokens(part, tokens.first(kHalf), tokens.last(kHalf), true);
    } else {
      SetTokens(part, tokens, {}, truncated);
    }
  }
  // The same from two pieces, `head` before `tail`; together at most kPartTokensMax.
  void SetTokens(Part part, std::span<const uint32_t> head, std::span<const uint32_t> tail,
                 bool truncated) {
    const size_t p = static_cast<size_t>(part);
    CHECK(p < kParts && head.size() + tail.size() <= kPartTokensMax);
    std::copy(head.begin(), head.end(), store_->tokens[p]);
    std::copy(tail.begin(), tail.end(), store_->tokens[p] + head.size());
    ExchangeHeader& h = store_->header;
    h.part_tokens[p] = static_cast<uint32_t>(head.size() + tail.size());
    const uint32_t bit = 1u << (kPartTruncatedShift + p);
    h.flags = truncated ? h.flags | bit : h.flags & ~bit;
  }

  // The instruction's tokens under each partner's key, one partner after another; after SetTokens, as many for each.
  void SetPartnerTokens(uint32_t partners, std::span<const uint32_t> tokens) {
    CHECK(partners <= kPartnersMax && tokens.size() == size_t{partners} * store_->header.part_tokens[static_cast<size_t>(Part::kInstruction)]);
    std::copy(tokens.begin(), tokens.end(), store_->partner_tokens);
    store_->header.partners = partners;
  }

  // False: the array is full and the value was dropped.
  bool AddPrefixChain(uint64_t hash) {
    return Add(store_->prefix_chain, &store_->header.prefix_chain_count, kPrefixChainMax, hash);
  }
  bool AddIdIssued(uint64_t hash) {
    return Add(store_->ids_issued, &store_->header.ids_issued_count, kIdsMax, hash);
  }
  bool AddIdReturned(uint64_t hash) {
    return Add(store_->ids_returned, &store_->header.ids_returned_count, kIdsMax, hash);
  }

  // Keeps the first kModelLengthMax bytes.
  void SetModel(std::string_view model) {
    model = model.substr(0, kModelLengthMax);
    std::copy(model.begin(), model.end(), store_->model);
    store_->header.model_length = static_cast<uint32_t>(model.size());
  }

  // Lays the block out. The view is valid until the next Reset or Finish, or the builder's end.
  ExchangeView Finish() {
    const ExchangeHeader& h = store_->header;
    uint8_t* at = store_->block;
    const auto put = [&at](const void* from, size_t bytes) {
      std::memcpy(at, from, bytes);
      at += bytes;
    };
    put(&h, sizeof h);
    put(store_->prefix_chain, 8ull * h.prefix_chain_count);
    put(store_->ids_issued, 8ull * h.ids_issued_count);
    put(store_->ids_returned, 8ull * h.ids_returned_count);
    for (size_t p = 0; p < kParts; ++p) put(store_->tokens[p], 4ull * h.part_tokens[p]);
    put(store_->partner_tokens, 4ull * h.partners * h.part_tokens[static_cast<size_t>(Part::kInstruction)]);
    put(store_->model, h.model_length);
    return ExchangeView(Bytes(store_->block, static_cast<size_t>(at - store_->block)));
  }

 private:
  static constexpr size_t kBlockMax = sizeof(ExchangeHeader) + 8 * (kPrefixChainMax + 2 * kIdsMax) +
                                      4 * (kParts + kPartnersMax) * kPartTokensMax + kModelLengthMax;
  struct Store {
    ExchangeHeader header;
    uint64_t prefix_chain[kPrefixChainMax];
    uint64_t ids_issued[kIdsMax];
    uint64_t ids_returned[kIdsMax];
    uint32_t tokens[kParts][kPartTokensMax];
    uint32_t partner_tokens[kPartnersMax * kPartTokensMax];
    char model[kModelLengthMax];
    alignas(8) uint8_t block[kBlockMax];
  };

  static bool Add(uint64_t* array, uint32_t* count, uint32_t max, uint64_t value) {
    if (*count == max) return false;
    array[(*count)++] = value;
    return true;
  }

  std::unique_ptr<Store> store_;
};

}  // namespace stillwatch::dataplane
