// What fragments are under the keys of partners. Text is gone when a campaign is found, so fragments that several owners
// share are translated while they come: the worker hashed the instruction under each partner's key too, and a token keeps
// its place under any key. Sets of four rows; where one is full the row that was used longest ago goes. Not in a snapshot:
// what a campaign sends is learned again. Batch thread only. No memory where there are no partners.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "dataplane/llm/exchange.h"
#include "pipeline/evidence/instruction.h"

namespace stillwatch::pipeline {

class PartnerFragments {
 public:
  static constexpr uint32_t kRows = 1u << 18;
  static constexpr size_t kRowBytes = 24;

  explicit PartnerFragments(size_t partners);

  // `fragment` of the exchange's instruction, which was hashed under every partner's key.
  void Note(const dataplane::ExchangeView& exchange, const Fragment& fragment, uint32_t day);
  // Under the key of one partner; nothing: it did not come since start, or was pushed out.
  std::optional<uint32_t> Find(uint32_t fragment, size_t partner) const;
  size_t partners() const { return partners_; }

 private:
  static constexpr uint32_t kWays = 4;
  struct Row {
    uint32_t own = 0;  // 0: empty
    uint32_t day = 0;
    uint32_t theirs[dataplane::kPartnersMax] = {};
  };
  static_assert(sizeof(Row) == kRowBytes);

  size_t SetOf(uint32_t fragment) const { return (Mix32(fragment) & (kRows / kWays - 1)) * kWays; }

  const size_t partners_;
  std::vector<Row> rows_;
};

}  // namespace stillwatch::pipeline
