// Deterministic random numbers: xoshiro256** (Blackman, Vigna 2018), seeded by splitmix64.
//
// A generator is cheap to fork: Fork("purpose", n) depends only on the seed and the words, never on how
// many numbers were drawn, so that adding a kind or an account does not change the traffic of the others.
// Draws are made here and not by <random>, whose distributions differ between standard libraries.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/check.h"
#include "base/mutant.h"

namespace stillwatch::stillgen {

class Rng {
 public:
  explicit Rng(uint64_t seed) : seed_(seed) {
    for (uint64_t& word : state_) word = SplitMix(&seed);
  }

  Rng Fork(std::string_view purpose, uint64_t n = 0) const {
    uint64_t hash = 0xcbf29ce484222325ull;  // FNV-1a
    for (char c : purpose) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ull;
    uint64_t mixed = (MutantIs("stillgen.fork_by_state") ? state_[0] : seed_) ^ hash;
    const uint64_t first = SplitMix(&mixed);
    mixed = first ^ n;
    return Rng(SplitMix(&mixed));
  }

  uint64_t Next() {
    const uint64_t result = Rotate(state_[1] * 5, 7) * 9, t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = Rotate(state_[3], 45);
    return result;
  }

  // 0 .. n-1 (Lemire's multiplication; the bias below 2^-32 for our n does not matter here).
  uint64_t Below(uint64_t n) {
    CHECK(n > 0);
    return static_cast<uint64_t>((static_cast<unsigned __int128>(Next()) * n) >> 64);
  }
  int64_t Range(int64_t low, int64_t high) {  // both included
    return low + static_cast<int64_t>(Below(static_cast<uint64_t>(high - low) + 1));
  }
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1p-53; }
  bool Chance(double p) { return Unit() < p; }
  double Exponential(double mean) { return -mean * std::log1p(-Unit()); }
  double LogUniform(double low, double high) { return low * std::pow(high / low, Unit()); }
  double LogNormal(double median, double sigma) { return median * std::exp(sigma * Normal()); }
  double Normal() {  // Box and Muller, one of the pair
    const double radius = std::sqrt(-2.0 * std::log1p(-Unit()));
    return radius * std::cos(6.283185307179586 * Unit());
  }
  int64_t Poisson(double mean) {
    if (mean > 40) return std::max<int64_t>(0, std::llround(mean + std::sqrt(mean) * Normal()));
    const double limit = std::exp(-mean);
    int64_t count = 0;
    for (double product = Unit(); product > limit; product *= Unit()) ++count;
    return count;
  }

  template <typename Container>
  auto& Pick(Container& items) {
    return items[Below(items.size())];
  }
  template <typename Container>
  void Shuffle(Container& items) {
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[Below(i)]);
  }

 private:
  static uint64_t SplitMix(uint64_t* state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  static uint64_t Rotate(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

  uint64_t seed_;
  uint64_t state_[4];
};

}  // namespace stillwatch::stillgen
