// Inputs and their mutations, which every build plays.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "tests/fuzz/target.h"

namespace stillwatch::fuzz {

using Input = std::vector<uint8_t>;

inline void PlayMutations(const std::vector<Input>& corpus, int rounds) {
  std::mt19937 random(23);
  for (int round = 0; round < rounds; ++round) {
    Input input = corpus[random() % corpus.size()];
    for (size_t n = 1 + random() % 4; n > 0 && !input.empty(); --n) {
      const size_t at = random() % input.size();
      const Input& other = corpus[random() % corpus.size()];
      switch (random() % 5) {
        case 0: input[at] = static_cast<uint8_t>(random()); break;
        case 1: input.erase(input.begin() + static_cast<ptrdiff_t>(at)); break;
        case 2: input[at] = static_cast<uint8_t>("\r\n :;,0a"[random() % 8]); break;
        case 3: input.resize(at); break;
        default:
          if (other.empty()) break;
          input.insert(input.begin() + static_cast<ptrdiff_t>(at), other.begin(),
                       other.begin() + static_cast<ptrdiff_t>(random() % other.size()));
      }
    }
    Play(input);
  }
}

}  // namespace stillwatch::fuzz
