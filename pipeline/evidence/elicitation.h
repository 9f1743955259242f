// Layer 5: does this instruction ask for what trains a model (reasoning written out, rubrics and scores,
// several candidates, a fixed output schema)? A small linear expert over token hashes: a shipped list of
// public words and two- or three-word phrases with weights (elicitation_words.inc says where each comes
// from), hashed under the salt when loaded. One request that asks for reasoning means nothing (most
// traffic of reasoning models does); it counts as a group's excess over everyone else.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

namespace stillwatch::pipeline {

enum ElicitationClass : uint8_t {
  kAsksReasoning = 1u << 0,   // write the reasoning out
  kAsksRubric = 1u << 1,      // grade, score, criteria
  kAsksCandidates = 1u << 2,  // several answers to one question
  kAsksSchema = 1u << 3,      // a fixed, parsable output
};

struct Elicitation {
  uint8_t sixteenths = 0;  // evidence in 1/16 nat, saturates
  uint8_t classes = 0;     // those with at least one hit
};

// Hash of one token as the dataplane hashes it (normalised, under the fleet salt).
using TokenHash = std::function<uint32_t(std::string_view)>;

class ElicitationExpert {
 public:
  explicit ElicitationExpert(const TokenHash& hash);
  Elicitation Judge(std::span<const uint32_t> tokens) const;

 private:
  struct Entry {
    uint64_t key = 0;  // 0: empty
    uint8_t index = 0;  // of the list's entry, so that a phrase counts once
    uint8_t sixteenths = 0;
    uint8_t classes = 0;
  };
  const Entry* Find(uint64_t key) const;

  std::vector<Entry> table_;
  uint64_t first_[64] = {};  // tokens that begin a phrase, by their low bits: most words begin none
};

}  // namespace stillwatch::pipeline
