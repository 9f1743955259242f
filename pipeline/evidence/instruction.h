// From the token hashes of an instruction to the fragments that layer 1 counts: two-token shingles, in
// text order, each hash once. Long texts are thinned by hash, the same on every box, so that a template
// keeps the same fragments whatever fills its slots.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/hash.h"

namespace stillwatch::pipeline {

inline constexpr uint32_t kFragmentsConsidered = 64;  // of one instruction; bounds the table look-ups

inline uint32_t ShingleHash(uint32_t first, uint32_t second) {
  return Mix32(Mix32(first + 0x9e3779b9u) ^ second);
}

struct Fragment {
  uint32_t hash;
  uint32_t position;  // of its first token
};

// `cut`: shingles do not cross this token index (0: none). Replaces *out; at most kFragmentsConsidered.
void FragmentsOf(std::span<const uint32_t> tokens, uint32_t cut, std::vector<Fragment>* out);

}  // namespace stillwatch::pipeline
