// Layer 4, from exchange to cluster: an instruction's embedding joins the nearest representative that it finds, or becomes
// one. Online spherical clustering. A representative is the sum of what joined it (int32), scaled to an embedding's length
// (int8) at every power of two and every 256 joins. Candidates come from sixteen bands of eight bits of a signed random
// rotation (Charikar 2002; the rotation is made of Hadamard transforms), eight a bucket, so an exchange costs at most 128 dot
// products; in a bucket the representative with the fewest owners makes room, then the one that came first. What falls
// out of all buckets is found no more. The GPU has no part in it: both backends give the same embeddings, so the same clusters.
//
// An embedding joins from a dot product of theta on, one for each power of two of length: the 99.9th percentile of what
// instructions of two owners have that nobody suspects, sampled from the traffic itself; set anew each traffic day, by at
// most a tenth, within bounds. Each owner holds one place of a sample of 64, so busy ones weigh as much as others.
//
// Language is not known here. With the built-in random table two texts are as near as their words are the same, so two
// languages never meet; a learned table may be for several languages or not: nothing is claimed across them.
//
// Bounded: 669 bytes a representative and 0.2 MiB. When all places are taken MakeRoom frees a quarter, fewest owners first, counted.
// Sums of embeddings tell of what was asked, to whoever holds the salt and words to try: memory only, sealed in snapshots.
// Batch thread only.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/counters.h"
#include "gpu/backend.h"

namespace stillwatch::pipeline {

enum class ClusterCounter {
  kJoined,     // instructions that joined a semantic cluster
  kFounded,    // instructions that founded one
  kEvicted,    // clusters given up because all places were taken; those with the fewest owners go first
  kUnlike,     // pairs of instructions of two owners from which theta is learned
  kCount
};
inline constexpr CounterNames<ClusterCounter> kClusterCounterNames{"cluster.joined", "cluster.founded", "cluster.evicted", "cluster.unlike"};

using Embedding = std::span<const int8_t, gpu::kEmbeddingDims>;

class SemanticClusters {
 public:
  static constexpr uint32_t kStrata = 5;  // of length: below 16 tokens, 32, 64, 128, more
  static constexpr uint32_t kTokensMin = 8;  // of an instruction; shorter ones ("go on", "thanks") are everybody's
  static constexpr uint32_t kRowsMax = 65'536;

  // At most kRowsMax; 0: the layer is off and takes no memory.
  explicit SemanticClusters(uint32_t rows_max);

  bool on() const { return !heads_.empty(); }
  bool full() const { return free_count_ == 0; }
  // Frees a quarter of the places; true for each freed one: profiles are to forget these.
  std::vector<bool> MakeRoom();
  // The cluster of one instruction of kTokensMin tokens or more; not when full. `benign`: nobody suspects its account, so theta may learn from it.
  uint16_t Note(Embedding embedding, uint32_t tokens, uint64_t owner, bool benign, uint32_t day);

  // By a bitmap of 64: too few where many are.
  uint32_t OwnersOf(uint16_t cluster) const;
  int32_t theta(uint32_t stratum) const { return strata_[stratum].theta; }
  static uint32_t StratumOf(uint32_t tokens);

  // Frees what was not used since `day`, or what no owner but this one used; true for each freed one.
  std::vector<bool> ExpireBefore(uint32_t day);
  std::vector<bool> ForgetOwner(uint64_t owner);

  void Clear();

  CounterBlock<ClusterCounter>& counters() { return counters_; }
  uint64_t memory_bytes() const;
  template <typename S>
  void VisitState(S& state);  // pipeline/snapshot/pipeline_state.cc

 private:
  static constexpr uint32_t kBands = 16, kBuckets = 256, kWays = 8;
  static constexpr uint32_t kSample = 64;     // of a stratum: instructions, each another owner's
  static constexpr uint32_t kPairs = 8;       // of the sample that a new one is held against
  static constexpr uint32_t kBins = 256;      // of dot products, 512 wide
  static constexpr uint16_t kNobody = 0xFFFF;

  struct Head {
    uint64_t owners;   // bitmap; 0: free
    uint32_t joined;
    uint32_t day;      // of the last use
  };
  using Values = std::array<int8_t, gpu::kEmbeddingDims>;
  using Sums = std::array<int32_t, gpu::kEmbeddingDims>;
  using Code = std::array<uint8_t, kBands>;
  struct Sampled {
    uint64_t owner;    // 0: free
    Values values;
  };
  struct Stratum {
    int32_t theta;
    uint32_t next;     // place of the sample that is replaced next
    uint64_t pairs;
    std::array<uint32_t, kBins> dots;
    std::array<Sampled, kSample> sample;
  };

  static Code CodeOf(const int8_t* values);
  uint16_t* Bucket(uint32_t band, uint8_t key) { return &buckets_[(band * kBuckets + key) * kWays]; }
  uint32_t OwnersAt(uint16_t entry) const { return entry == 0 ? 0 : owners_[entry - 1u]; }
  void Enter(uint16_t row, const Code& code);
  void Leave(uint16_t row);
  uint16_t Nearest(const Code& code, const int16_t* wide, int32_t* dot);
  void Requantise(uint16_t row);
  void Free(uint16_t row);
  template <typename Goes>
  std::vector<bool> FreeWhere(Goes goes);
  void Learn(Stratum* stratum, Embedding embedding, const int16_t* wide, uint64_t owner);
  void StartDay(uint32_t day);

  std::vector<Head> heads_;
  std::vector<uint8_t> owners_;     // of each, counted from its bitmap
  std::vector<Values> centres_;
  std::vector<Sums> sums_;
  std::vector<uint16_t> buckets_;   // row + 1; 0: free
  std::vector<Stratum> strata_;
  uint32_t day_ = 0;
  uint32_t free_count_ = 0, next_free_ = 0;
  uint64_t learned_ = 0;
  std::vector<uint32_t> looked_at_;  // stamps, so that no row is compared twice
  uint32_t stamp_ = 0;
  CounterBlock<ClusterCounter> counters_{kClusterCounterNames};
};

}  // namespace stillwatch::pipeline
