#include "pipeline/evidence/semantic_clusters.h"

#include <algorithm>
#include <bit>
#include <tuple>

#include "base/check.h"
#include "base/hash.h"
#include "base/mutant.h"

namespace stillwatch::pipeline {

namespace {

constexpr uint32_t kDims = gpu::kEmbeddingDims;
constexpr int64_t kNorm = 362;  // of every embedding: docs/sketches.md
constexpr int32_t kDotOne = 1 << 17;  // of two equal embeddings
constexpr int32_t kBinWidth = 512;
// A joined text says no more of where the cluster lies, and 127 times so many fit an int32.
constexpr uint32_t kJoinedMax = 1u << 24;

// Theta: where it starts, and where no traffic can bring it (an attacker who makes strangers alike raises it, one who sends
// noise lowers it). In the built-in table two people's requests of development worlds reach the start in one pair of a thousand.
constexpr int32_t kThetaStart = kDotOne * 60 / 100;
constexpr int32_t kThetaMin = kDotOne * 45 / 100, kThetaMax = kDotOne * 80 / 100;
constexpr uint64_t kPairsMin = 4'000;  // four of which lie above a 99.9th percentile
constexpr uint64_t kAboveOneIn = 1'000;
constexpr int32_t kMoveOneIn = 10;  // of theta, a day

int32_t Dot(const int16_t* wide, const int8_t* values) {
  int32_t sum = 0;
  for (uint32_t d = 0; d < kDims; ++d) sum += wide[d] * values[d];
  return sum;
}

void Widen(const int8_t* values, int16_t* wide) {
  for (uint32_t d = 0; d < kDims; ++d) wide[d] = values[d];
}

template <uint32_t half>
void Level(int16_t* x) {
  for (uint32_t begin = 0; begin < kDims; begin += 2 * half) {
    for (uint32_t d = begin; d < begin + half; ++d) {
      const int16_t a = x[d], b = x[d + half];
      x[d] = static_cast<int16_t>(a + b), x[d + half] = static_cast<int16_t>(a - b);
    }
  }
}

uint64_t OwnerBit(uint64_t owner) { return 1ull << (Mix64(owner) & 63); }

}  // namespace

SemanticClusters::SemanticClusters(uint32_t rows_max) {
  CHECK(rows_max <= kRowsMax);
  if (rows_max == 0) return;
  rows_max = std::max(rows_max, 64u);
  heads_.resize(rows_max), owners_.resize(rows_max), centres_.resize(rows_max), sums_.resize(rows_max), looked_at_.resize(rows_max);
  buckets_.resize(size_t{kBands} * kBuckets * kWays);
  strata_.resize(kStrata);
  for (Stratum& stratum : strata_) stratum.theta = kThetaStart;
  free_count_ = rows_max;
}

void SemanticClusters::Clear() {
  heads_.assign(heads_.size(), Head{}), owners_.assign(heads_.size(), 0), centres_.assign(heads_.size(), Values{}), sums_.assign(heads_.size(), Sums{});
  buckets_.assign(buckets_.size(), 0);
  for (Stratum& stratum : strata_) stratum = {}, stratum.theta = kThetaStart;
  free_count_ = static_cast<uint32_t>(heads_.size()), next_free_ = 0, day_ = 0, learned_ = 0;
}

uint64_t SemanticClusters::memory_bytes() const {
  return heads_.size() * (sizeof(Head) + sizeof(uint8_t) + sizeof(Values) + sizeof(Sums) + sizeof(uint32_t)) + buckets_.size() * sizeof(uint16_t) + strata_.size() * sizeof(Stratum);
}

uint32_t SemanticClusters::StratumOf(uint32_t tokens) {
  return std::clamp<uint32_t>(static_cast<uint32_t>(std::bit_width(tokens)), 4, kStrata + 3) - 4;
}

uint32_t SemanticClusters::OwnersOf(uint16_t cluster) const {
  return cluster < owners_.size() ? owners_[cluster] : 0;
}

// The signs of a rotated embedding: random signs and three levels of a Hadamard transform, rows and columns exchanged, three
// levels again; each value is a sum of 64 then and fits an int16. Bit b of band k is the sign of value 16 b + k.
SemanticClusters::Code SemanticClusters::CodeOf(const int8_t* values) {
  static_assert(kDims == kBands * 8);
  static constexpr std::array<int16_t, kDims> kSigns = [] {
    std::array<int16_t, kDims> signs{};
    for (uint32_t d = 0; d < kDims; ++d) signs[d] = Mix64(0x524f544154494f4e + d) & 1 ? -1 : 1;
    return signs;
  }();
  alignas(32) int16_t x[kDims], y[kDims];
  for (uint32_t d = 0; d < kDims; ++d) x[d] = static_cast<int16_t>(values[d] * kSigns[d]);
  Level<64>(x), Level<32>(x), Level<16>(x);
  for (uint32_t d = 0; d < kDims; ++d) y[d % kBands * 8 + d / kBands] = x[d];
  Level<64>(y), Level<32>(y), Level<16>(y);
  Code code{};
  for (uint32_t bit = 0; bit < 8; ++bit) {
    for (uint32_t band = 0; band < kBands; ++band) code[band] = static_cast<uint8_t>(code[band] | (y[bit * kBands + band] < 0) << bit);
  }
  return code;
}

// The nearest of the candidates, of equals the lower row; kNobody when there is none.
uint16_t SemanticClusters::Nearest(const Code& code, const int16_t* wide, int32_t* dot) {
  if (++stamp_ == 0) std::fill(looked_at_.begin(), looked_at_.end(), 0), stamp_ = 1;
  uint32_t found = UINT32_MAX;
  *dot = INT32_MIN;
  for (uint32_t band = 0; band < kBands; ++band) {
    const uint16_t* bucket = Bucket(band, code[band]);
    for (uint32_t way = 0; way < kWays && bucket[way] != 0; ++way) {
      const uint32_t row = bucket[way] - 1u;
      if (looked_at_[row] == stamp_) continue;
      looked_at_[row] = stamp_;
      const int32_t here = Dot(wide, centres_[row].data());
      if (here > *dot || (here == *dot && row < found)) *dot = here, found = row;
    }
  }
  return found == UINT32_MAX ? kNobody : static_cast<uint16_t>(found);
}

// The newest stands first in its bucket.
void SemanticClusters::Enter(uint16_t row, const Code& code) {
  for (uint32_t band = 0; band < kBands; ++band) {
    uint16_t* bucket = Bucket(band, code[band]);
    uint32_t goes = kWays - 1;
    for (uint32_t way = kWays - 1; way-- > 0;) {
      if (OwnersAt(bucket[way]) < OwnersAt(bucket[goes])) goes = way;
    }
    for (; goes > 0; --goes) bucket[goes] = bucket[goes - 1];
    bucket[0] = static_cast<uint16_t>(row + 1);
  }
}

void SemanticClusters::Leave(uint16_t row) {
  const Code code = CodeOf(centres_[row].data());
  for (uint32_t band = 0; band < kBands; ++band) {
    uint16_t* bucket = Bucket(band, code[band]);
    for (uint32_t way = 0; way < kWays; ++way) {
      if (bucket[way] != row + 1u) continue;
      for (; way + 1 < kWays; ++way) bucket[way] = bucket[way + 1];
      bucket[kWays - 1] = 0;
    }
  }
}

// The sum, scaled to an embedding's length, rounded to nearest.
void SemanticClusters::Requantise(uint16_t row) {
  const Sums& sums = sums_[row];
  const auto size = [](int32_t x) { return static_cast<uint32_t>(x < 0 ? -x : x); };
  uint32_t greatest = 0, shift = 0;
  for (int32_t sum : sums) greatest = std::max(greatest, size(sum));
  while (greatest >> shift >= 1u << 24) ++shift;  // so that squares add up within 64 bits
  uint64_t squares = 0;
  for (int32_t sum : sums) squares += uint64_t{size(sum) >> shift} * (size(sum) >> shift);
  int64_t norm = 0;
  for (int64_t bit = 1ll << 30; bit != 0; bit >>= 1) {
    if (static_cast<uint64_t>((norm + bit) * (norm + bit)) <= squares) norm += bit;
  }
  if (norm == 0) return;  // they cancel out: it stays where it was
  Leave(row);
  for (uint32_t d = 0; d < kDims; ++d) {
    const int64_t scaled = std::min<int64_t>(((size(sums[d]) >> shift) * 2 * kNorm + norm) / (2 * norm), 127);
    centres_[row][d] = static_cast<int8_t>(sums[d] < 0 ? -scaled : scaled);
  }
  Enter(row, CodeOf(centres_[row].data()));
}

uint16_t SemanticClusters::Note(Embedding embedding, uint32_t tokens, uint64_t owner, bool benign, uint32_t day) {
  CHECK(on() && !full());
  if (day > day_) StartDay(day);
  alignas(32) int16_t wide[kDims];
  Widen(embedding.data(), wide);
  Stratum& stratum = strata_[StratumOf(tokens)];
  int32_t dot;
  const Code code = CodeOf(embedding.data());
  uint16_t row = Nearest(code, wide, &dot);
  if (row != kNobody && (dot >= stratum.theta || MutantIs("cluster.joins_whatever_is_nearest"))) {
    Head& head = heads_[row];
    head.owners |= OwnerBit(owner);
    owners_[row] = static_cast<uint8_t>(std::popcount(head.owners));
    head.day = std::max(head.day, day);
    if (head.joined < kJoinedMax) {
      ++head.joined;
      for (uint32_t d = 0; d < kDims; ++d) sums_[row][d] += embedding[d];
      if (head.joined % 256 == 0 || std::has_single_bit(head.joined)) Requantise(row);
    }
    counters_.Add(ClusterCounter::kJoined);
  } else {
    while (heads_[next_free_].owners != 0) next_free_ = next_free_ + 1 == heads_.size() ? 0 : next_free_ + 1;
    row = static_cast<uint16_t>(next_free_);
    --free_count_;
    heads_[row] = {OwnerBit(owner), 1, day};
    for (uint32_t d = 0; d < kDims; ++d) sums_[row][d] = centres_[row][d] = embedding[d];
    owners_[row] = 1;
    Enter(row, code);
    counters_.Add(ClusterCounter::kFounded);
  }
  if (benign) Learn(&stratum, embedding, wide, owner);
  return row;
}

// --- Theta ----------------------------------------------------------------------------------------------

void SemanticClusters::Learn(Stratum* stratum, Embedding embedding, const int16_t* wide, uint64_t owner) {
  if (++learned_ % 4 != 0) return;
  for (const Sampled& other : stratum->sample) {
    if (other.owner == owner) return;
  }
  uint64_t chance = Mix64(learned_);
  for (uint32_t i = 0; i < kPairs; ++i, chance >>= 6) {
    const Sampled& other = stratum->sample[chance % kSample];
    if (other.owner == 0) continue;
    const int32_t dot = Dot(wide, other.values.data());
    ++stratum->dots[static_cast<size_t>(std::clamp<int32_t>(dot / kBinWidth, 0, kBins - 1))];
    ++stratum->pairs;
    counters_.Add(ClusterCounter::kUnlike);
  }
  Sampled& goes = stratum->sample[stratum->next];
  stratum->next = (stratum->next + 1) % kSample;
  goes.owner = owner;
  std::copy(embedding.begin(), embedding.end(), goes.values.begin());
}

void SemanticClusters::StartDay(uint32_t day) {
  day_ = day;
  for (Stratum& stratum : strata_) {
    if (stratum.pairs < kPairsMin) continue;  // too few: yesterday's stays, and what was counted
    uint64_t above = 0;
    uint32_t bin = kBins;
    while (bin > 0 && above + stratum.dots[bin - 1] <= stratum.pairs / kAboveOneIn) above += stratum.dots[--bin];
    const int32_t move = stratum.theta / kMoveOneIn;
    int32_t wanted = static_cast<int32_t>(bin) * kBinWidth;
    if (!MutantIs("cluster.theta_moves_freely")) wanted = std::clamp(wanted, stratum.theta - move, stratum.theta + move);
    stratum.theta = std::clamp(wanted, kThetaMin, kThetaMax);
    stratum.pairs = 0;
    stratum.dots = {};
  }
}

// --- Room -----------------------------------------------------------------------------------------------

void SemanticClusters::Free(uint16_t row) {
  Leave(row);
  heads_[row] = {}, owners_[row] = 0, centres_[row] = {}, sums_[row] = {};
  ++free_count_;
}

template <typename Goes>
std::vector<bool> SemanticClusters::FreeWhere(Goes goes) {
  std::vector<bool> freed(heads_.size(), false);
  for (uint32_t row = 0; row < heads_.size(); ++row) {
    if (heads_[row].owners == 0 || !goes(row)) continue;
    Free(static_cast<uint16_t>(row));
    freed[row] = true;
  }
  return freed;
}

std::vector<bool> SemanticClusters::MakeRoom() {
  std::vector<uint16_t> rows(heads_.size());
  for (uint32_t row = 0; row < rows.size(); ++row) rows[row] = static_cast<uint16_t>(row);
  const auto order = [&](uint16_t row) {
    const Head& head = heads_[row];
    return std::tuple(std::popcount(head.owners), head.day, head.joined, row);
  };
  const size_t wanted = rows.size() / 4;
  std::nth_element(rows.begin(), rows.begin() + static_cast<ptrdiff_t>(wanted), rows.end(), [&](uint16_t a, uint16_t b) { return order(a) < order(b); });
  std::vector<bool> freed(heads_.size(), false);
  for (size_t i = 0; i < wanted; ++i) {
    if (heads_[rows[i]].owners == 0) continue;
    Free(rows[i]);
    freed[rows[i]] = true;
    counters_.Add(ClusterCounter::kEvicted);
  }
  return freed;
}

std::vector<bool> SemanticClusters::ExpireBefore(uint32_t day) {
  return FreeWhere([&](uint32_t row) { return heads_[row].day < day; });
}

std::vector<bool> SemanticClusters::ForgetOwner(uint64_t owner) {
  for (Stratum& stratum : strata_) {
    for (Sampled& sampled : stratum.sample) {
      if (sampled.owner == owner) sampled = {};
    }
  }
  return FreeWhere([&](uint32_t row) { return heads_[row].owners == OwnerBit(owner); });
}

}  // namespace stillwatch::pipeline
