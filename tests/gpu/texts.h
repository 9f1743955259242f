// Token texts for tests: random ones and the awkward ones.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "gpu/backend.h"

namespace stillwatch::gpu {

// Owns what a TokenBatch points at.
struct Texts {
  std::vector<uint32_t> tokens;
  std::vector<uint32_t> offsets{0};
  std::vector<uint32_t> cuts;

  void Add(const std::vector<uint32_t>& text, uint32_t cut = 0) {
    tokens.insert(tokens.end(), text.begin(), text.end());
    offsets.push_back(static_cast<uint32_t>(tokens.size()));
    cuts.push_back(cut);
  }
  TokenBatch batch() const { return {tokens, offsets, cuts}; }
};

inline std::vector<uint32_t> RandomText(std::mt19937_64& random, size_t tokens,
                                        uint32_t vocabulary = 0) {
  std::vector<uint32_t> text(tokens);
  for (uint32_t& token : text) {
    token = static_cast<uint32_t>(random());
    if (vocabulary != 0) token = token % vocabulary * 0x9e3779b1u;
  }
  return text;
}

// All lengths near a boundary of the vectors, lists of one token, long texts, cuts everywhere.
inline Texts AwkwardTexts(uint64_t seed, const std::vector<uint32_t>& listed) {
  std::mt19937_64 random(seed);
  Texts texts;
  for (uint32_t length = 0; length <= 40; ++length) {
    texts.Add(RandomText(random, length));
    texts.Add(RandomText(random, length),
              length == 0 ? 5 : static_cast<uint32_t>(random() % length));
    texts.Add(RandomText(random, length, 3), length);
  }
  for (uint32_t length : {63,  64,  65,  100, 127, 128, 129,  130,  131,  255,  256, 257,
                          258, 259, 500, 511, 512, 513, 1000, 2048, 4095, 4096, 4097}) {
    texts.Add(RandomText(random, length));
    texts.Add(RandomText(random, length, 50), static_cast<uint32_t>(random() % (length + 2)));
    texts.Add(std::vector<uint32_t>(length, static_cast<uint32_t>(random())));
    std::vector<uint32_t> mixed = RandomText(random, length);
    for (uint32_t& token : mixed) {
      if (random() % 2 != 0) token = listed[random() % listed.size()];
    }
    texts.Add(mixed, length / 2);
  }
  for (uint32_t token : {0u, 1u, 0xffu, 0xffffffffu, 0x80000000u}) {
    texts.Add({token});
    texts.Add({token, token});
    texts.Add({token, token, token}, 1);
    texts.Add(std::vector<uint32_t>(4096, token));
  }
  texts.Add(RandomText(random, 65'536));
  texts.Add(std::vector<uint32_t>(65'536, 12345));
  return texts;
}

}  // namespace stillwatch::gpu
