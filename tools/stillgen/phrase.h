// A phrase grammar small enough to read in the text itself: "[write|spell] out [every|each] step".
// Expand picks one alternative of each bracket, brackets nest, an empty alternative is allowed, and a
// name in braces ("{question}") is filled from the slots given. Brackets and braces in slot text are
// left as they are.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "tools/stillgen/rng.h"

namespace stillwatch::stillgen {

struct Slot {
  std::string_view name, text;
};

// Aborts on an unbalanced pattern: patterns are ours.
std::string Expand(std::string_view pattern, Rng& rng);

// Fills {name}; a name that is not among the slots stays as it is.
std::string Fill(std::string_view pattern, std::span<const Slot> slots);
inline std::string Fill(std::string_view pattern, std::initializer_list<Slot> slots) {
  return Fill(pattern, std::span<const Slot>(slots.begin(), slots.size()));
}

}  // namespace stillwatch::stillgen
