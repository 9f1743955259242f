// The prompt cores of a campaign as two partners exchange them: one line of text, so that it can be signed and stands in a
// STIX indicator as it is. Fragments are hashes of two neighbouring words (evidence/instruction.h) under the key of the
// pair; a request holds a core when it holds `needed` of its fragments.
//
//   stillwatch-fragments/1 0123456789abcdef: 2 of 00aa11bb 22cc33dd 44ee55ff; 3 of ...
//                          which key           fragments in 8 hex digits, ascending, each once in a core
//
// What comes from a partner is not trusted: every bound is checked, the message says which. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace stillwatch::pipeline {

struct ClaimedCore {
  std::vector<uint32_t> fragments;  // ascending
  uint32_t needed = 2;
};

struct ClaimPattern {
  static constexpr size_t kCoresMax = 32, kFragmentsMax = 32;  // of a claim; of a core
  uint64_t key_id = 0;
  std::vector<ClaimedCore> cores;
};

std::string PatternText(const ClaimPattern& pattern);
Result<ClaimPattern> ParsePattern(std::string_view text);

}  // namespace stillwatch::pipeline
