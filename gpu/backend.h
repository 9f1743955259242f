// The door of gpu/: who computes sketches, embeddings and joins in bulk. One implementation on the
// CPU (gpu/cpu); the CUDA twin must equal it bit for bit. All results are integers. Called by the
// pipeline's batch thread only; blocking calls; memory is taken at construction.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"
#include "base/result.h"
#include "gpu/counters.h"

namespace stillwatch::gpu {

inline constexpr uint32_t kOphBins = 128;
inline constexpr uint32_t kBands = 32;        // each of four full-width bins
inline constexpr uint32_t kSimHashWords = 8;  // 512 bits
inline constexpr uint32_t kEmbeddingDims = 128;
inline constexpr uint32_t kShingleTokens = 3;

// Two sketches are compared only if all four agree.
struct SketchVersions {
  uint16_t sketch = 1;
  uint16_t salt_id = 0;
  uint16_t rarity_id = 0;
  uint16_t table_id = 0;
  bool operator==(const SketchVersions&) const = default;
};

// One text's sketch, 448 bytes; empty texts (no token) have tokens == 0 and all-zero fields, except
// for the versions, which are always set.
struct alignas(64) Sketch {
  uint32_t bands[kBands];     // band keys from full-width bins
  uint8_t oph[kOphBins / 2];  // bins cut to 4 bits, two a byte, even bin in the low half
  uint64_t simhash[kSimHashWords];
  int8_t embedding[kEmbeddingDims];
  uint32_t tokens;
  SketchVersions versions;
  uint8_t reserved[52];
};
static_assert(sizeof(Sketch) == 448);

// `rows` texts as token hashes: text r is tokens[offsets[r] .. offsets[r+1]). cut[r] is the index
// within the text that no shingle may cross (0: none).
struct TokenBatch {
  std::span<const uint32_t> tokens;
  std::span<const uint32_t> offsets;  // rows + 1
  std::span<const uint32_t> cuts;     // rows
  uint32_t rows() const { return static_cast<uint32_t>(cuts.size()); }
};

// A stored text that shares at least one live band bucket with a probe.
struct Candidate {
  uint32_t row;               // of the probe, in the batch
  uint64_t id;                // as inserted
  uint16_t bands_shared;      // at least 1
  uint16_t oph_equal;         // bins of 128 that agree in 4 bits
  uint16_t simhash_distance;  // Hamming, 0..512
  uint16_t reserved;
};

struct RepresentativeMatch {
  uint32_t representative;  // row in the table given by SetRepresentatives
  int32_t dot;
};

// One record of a flow: a TLS record or, in clear text, a TCP payload.
struct FlowStep {
  uint32_t size_bytes;
  uint32_t gap_us;      // since the step before
  uint8_t from_client;  // 0 or not
  uint8_t reserved[3];
};
inline constexpr uint32_t kFlowStepsMax = 256;           // of a flow that are looked at: the first
inline constexpr uint32_t kFlowInstructionsMax = 4'096;  // of a flow; more are refused

// Flow r has the steps [step_offsets[r], step_offsets[r+1]) and as instructions the embedding rows
// [instruction_offsets[r], instruction_offsets[r+1]) of kEmbeddingDims each.
struct FlowBatch {
  std::span<const FlowStep> steps;
  std::span<const uint32_t> step_offsets;  // flows + 1
  std::span<const int8_t> instructions;
  std::span<const uint32_t> instruction_offsets;  // flows + 1
};

// The two halves are compared apart: a flow whose content is not seen has an all-zero first one.
struct alignas(64) FlowEmbedding {
  int8_t content[kEmbeddingDims];  // scaled as a text's embedding
  int8_t shape[kEmbeddingDims];    // greatest sum of each of 64 filters, then mean of each
};
static_assert(sizeof(FlowEmbedding) == 256);

// Edges of node v: [offsets[v], offsets[v+1]) of neighbours and weights. An undirected graph lists
// each edge at both its ends.
struct LabelGraph {
  std::span<const uint32_t> offsets;  // nodes + 1
  std::span<const uint32_t> neighbours;
  std::span<const uint32_t> weights;  // of a node together below 2^31
};
enum class LabelRule {
  kComponents,  // the least label around: ends with the least node of its component in each node
  kPropagate,   // the label with most weight around, of equals the least
};

struct BackendOptions {
  Salt salt;
  uint64_t window_bytes = 256ull << 20;
  uint32_t window_bucket_pairs_max = 32;  // a more popular bucket makes no pairs
  uint32_t window_epochs_kept = 2;        // the running epoch included
  uint32_t batch_rows_max = 4'096;        // of one ProbeAndInsert
  uint32_t representatives_max = 65'536;
  uint32_t pairs_rows_max = 0;   // of AllPairs; 0: none is possible, no memory is taken
  uint32_t graph_nodes_max = 0;  // of PropagateLabels; 0: none is possible
  uint32_t graph_edges_max = 0;  // entries of its lists
  uint64_t device_bytes_max = 0;  // of a GPU's memory, its own needs aside; 0: what it has free
  std::string rarity_table_path;     // empty: the built-in one
  std::string embedding_table_path;  // empty: the built-in one
  std::string cuda_plugin_path;      // empty: libstillwatch_cuda.so beside the program
  // After a GPU's failure joins beyond what the CPU can do are skipped, by this clock; null: none
  // ever is (replay). Outlives the backend.
  const Clock* clock = nullptr;
};

struct BackendInfo {
  std::string name;       // "cpu-avx2", "cpu-scalar", "cuda"
  uint64_t memory_bytes;  // taken at construction
  bool degraded = false;  // the GPU failed and the CPU computes in its place
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual BackendInfo Info() const = 0;
  virtual SketchVersions Versions() const = 0;
  // What it counts, for the registry; null when it counts nothing. Written by the batch thread.
  virtual const CounterBlock<GpuCounter>* Counters() const { return nullptr; }

  // One sketch a row; out.size() == batch.rows(). Fails when a text has more than 65,536 tokens.
  virtual Status ComputeSketches(const TokenBatch& batch, std::span<Sketch> out) = 0;

  // Rarity weight class 0..255 of one token (docs/sketches.md), for evidence.
  virtual uint8_t RarityOf(uint32_t token_hash) const = 0;

  // The window (LSH over band keys, with epochs). A batch probes the window as it stood before the
  // batch, and its own members pairwise (a pair is reported once, on the later row); then all rows
  // are inserted in row order under ids[r]. Empty texts neither probe nor insert. Candidates come
  // sorted by (row, id), each (row, id) once, verified fields filled from the stored sketches.
  virtual Status ProbeAndInsert(std::span<const Sketch> sketches, std::span<const uint64_t> ids,
                                std::vector<Candidate>* candidates) = 0;
  // Starts a new epoch: entries older than the window_epochs_kept newest epochs no longer match and
  // may be overwritten.
  virtual void AdvanceEpoch() = 0;

  // int8 rows of kEmbeddingDims, replaces the whole table.
  virtual Status SetRepresentatives(std::span<const int8_t> rows) = 0;
  // The k best representatives by dot product for each query row, best first, ties by lower index;
  // fewer than k when the table is smaller (then .representative == UINT32_MAX, .dot == INT32_MIN).
  // out.size() == rows * k, k 1..64.
  virtual Status TopK(std::span<const int8_t> query_rows, uint32_t k,
                      std::span<RepresentativeMatch> out) = 0;

  // What follows may be missing in a backend: it then says so by an error and computes nothing.

  // One embedding a flow; out.size() flows.
  virtual Status EmbedFlows(const FlowBatch& /*batch*/, std::span<FlowEmbedding> /*out*/) {
    return Error{"the backend " + Info().name + " embeds no flows"};
  }
  // For each of `rows` (kEmbeddingDims int8 each, in the order of the accounts' ids) the k others with
  // the greatest dot product above `threshold`, best first, ties by lower row; missing ones as in TopK.
  // out.size() == rows * k, k 1..64.
  virtual Status AllPairs(std::span<const int8_t> /*rows*/, uint32_t /*k*/, int32_t /*threshold*/,
                          std::span<RepresentativeMatch> /*out*/) {
    return Error{"the backend " + Info().name + " joins no accounts"};
  }
  // Up to `steps_max` synchronous steps (docs/sketches.md, "Labels of a graph") over edges of
  // at least `weight_min`, until one changes nothing. labels: in and out, one a node, each a node's
  // number. Returns the steps made; the last of them changed nothing unless it is steps_max.
  virtual Result<uint32_t> PropagateLabels(const LabelGraph& /*graph*/, LabelRule /*rule*/,
                                           uint32_t /*weight_min*/, uint32_t /*steps_max*/,
                                           std::span<uint32_t> /*labels*/) {
    return Error{"the backend " + Info().name + " propagates no labels"};
  }
};

// Fails with a message when a table file does not fit (magic, version, checksum, dimensions).
Result<std::unique_ptr<Backend>> MakeCpuBackend(const BackendOptions& options);

// Device memory that a GPU's backend takes with these options, all of it at its start. Known without a GPU.
struct DeviceMemory {
  uint64_t fixed = 0;  // tables, batches on their way, flows, accounts, graphs
  uint64_t window = 0;
  uint64_t representatives = 0;
  uint64_t all() const { return fixed + window + representatives; }
};
Result<DeviceMemory> DeviceMemoryFor(const BackendOptions& options);
// An error where device_bytes_max is stated and too little: it says what would fit.
Status CheckDeviceBudget(const BackendOptions& options);

enum class BackendChoice { kAuto, kCpu, kCuda };
// kAuto: the GPU when the plugin library, a driver and a GPU with enough memory are there, else the
// CPU; where the library is there and no GPU opens, a log line says why. kCuda: fails where kAuto
// would take the CPU. Both fail when a budget of device memory is stated and too small, GPU or not.
Result<std::unique_ptr<Backend>> MakeBackend(const BackendOptions& options, BackendChoice choice);

}  // namespace stillwatch::gpu
