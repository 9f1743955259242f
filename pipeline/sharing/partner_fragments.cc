#include "pipeline/sharing/partner_fragments.h"

namespace stillwatch::pipeline {

PartnerFragments::PartnerFragments(size_t partners) : partners_(partners), rows_(partners == 0 ? 0 : kRows) {}

void PartnerFragments::Note(const dataplane::ExchangeView& exchange, const Fragment& fragment, uint32_t day) {
  const size_t tokens = exchange.tokens(dataplane::Part::kInstruction).size();
  if (fragment.hash == 0 || fragment.position + 1 >= tokens) return;  // not of the text: exact_rules_layer.h
  Row* const set = rows_.data() + SetOf(fragment.hash);
  Row* row = set;
  for (Row* way = set; way != set + kWays; ++way) {
    if (way->own == fragment.hash) {
      way->day = day;
      return;
    }
    if (row->own != 0 && (way->own == 0 || way->day < row->day)) row = way;
  }
  row->own = fragment.hash;
  row->day = day;
  for (size_t p = 0; p < partners_; ++p) {
    const auto theirs = exchange.partner_tokens(static_cast<uint32_t>(p));
    row->theirs[p] = ShingleHash(theirs[fragment.position], theirs[fragment.position + 1]);
  }
}

std::optional<uint32_t> PartnerFragments::Find(uint32_t fragment, size_t partner) const {
  if (partner >= partners_ || fragment == 0) return std::nullopt;
  const Row* const set = rows_.data() + SetOf(fragment);
  for (const Row* way = set; way != set + kWays; ++way) {
    if (way->own == fragment) return way->theirs[partner];
  }
  return std::nullopt;
}

}  // namespace stillwatch::pipeline
