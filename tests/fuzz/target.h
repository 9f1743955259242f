// A fuzz target: one function. It plays the input and aborts where a promise is broken. All that it plays with is made anew, or
// has come back to where it began: an input that breaks something does so from its one file.
#pragma once

#include <cstdlib>
#include <string>

#include "base/bytes.h"

namespace stillwatch::fuzz {

// What came out, whole: by it corpus_test sees that an input is independent of those before it.
std::string Play(Bytes input);

inline void Require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace stillwatch::fuzz
