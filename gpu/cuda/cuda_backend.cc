#include "gpu/cuda/cuda_backend.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "gpu/cpu/cpu_backend.h"
#include "gpu/cpu/sketch_row.h"
#include "gpu/cuda/device_bulk.h"
#include "gpu/cuda/launch.h"
#include "gpu/embed/embedding_table.h"
#include "gpu/flow/flow_embedding.h"
#include "gpu/join/labels.h"
#include "gpu/join/representatives.h"
#include "gpu/sketch/rarity_table.h"

namespace stillwatch::gpu {
namespace {

// What one round trip to the device carries; larger batches go in several.
constexpr uint32_t kTripTokens = 1u << 20;
constexpr uint32_t kTripRows = 4'096;
constexpr uint32_t kTripQueries = 4'096;
constexpr uint64_t kListKeysMax = 1ull << 22;  // lists of a top-k trip, 32 MiB
static_assert(kTripTokens >= kTextTokensMax);

uint32_t ChunksOf(uint64_t rows) {
  return static_cast<uint32_t>((rows + kTopKChunkRows - 1) / kTopKChunkRows);
}

// Arguments of a launch as the device takes them.
template <typename... T>
Status Launch(Device& device, const char* kernel, LaunchShape shape, const T&... values) {
  const void* const arguments[] = {&values...};
  return device.Launch(kernel, shape, arguments);
}

class CudaBackend final : public Backend {
 public:
  static Result<std::unique_ptr<Backend>> Make(const BackendOptions& options,
                                               std::unique_ptr<Device> device);

  BackendInfo Info() const override {
    if (degraded_)
      return {"cuda, degraded to " + twin_->Info().name, twin_->Info().memory_bytes, true};
    return {"cuda (" + device_->Name() + ")", twin_->Info().memory_bytes + device_bytes_, false};
  }
  SketchVersions Versions() const override { return twin_->Versions(); }
  const CounterBlock<GpuCounter>* Counters() const override { return &counters_; }
  uint8_t RarityOf(uint32_t token_hash) const override { return twin_->RarityOf(token_hash); }

  Status ComputeSketches(const TokenBatch& batch, std::span<Sketch> out) override;
  Status ProbeAndInsert(std::span<const Sketch> sketches, std::span<const uint64_t> ids,
                        std::vector<Candidate>* candidates) override {
    return twin_->ProbeAndInsert(sketches, ids, candidates);
  }
  void AdvanceEpoch() override { twin_->AdvanceEpoch(); }
  Status SetRepresentatives(std::span<const int8_t> rows) override;
  Status TopK(std::span<const int8_t> query_rows, uint32_t k,
              std::span<RepresentativeMatch> out) override;
  Status EmbedFlows(const FlowBatch& batch, std::span<FlowEmbedding> out) override;
  Status AllPairs(std::span<const int8_t> rows, uint32_t k, int32_t threshold,
                  std::span<RepresentativeMatch> out) override;
  Result<uint32_t> PropagateLabels(const LabelGraph& graph, LabelRule rule, uint32_t weight_min,
                                   uint32_t steps_max, std::span<uint32_t> labels) override;

 private:
  CudaBackend(const BackendOptions& options, std::unique_ptr<Device> device)
      : options_(options), device_(std::move(device)) {}
  Status TakeMemory(uint64_t rarity_bytes, uint64_t embedding_bytes);
  Status UploadTables(const RarityTable& rarity, const EmbeddingTable& embedding);
  Status SketchTrip(const TokenBatch& batch, uint32_t begin, uint32_t end, std::span<Sketch> out);
  Status TopKTrip(std::span<const int8_t> queries, uint32_t k, std::span<RepresentativeMatch> out);
  void Degrade(const std::string& why);
  // For the twin, after a failure of the device on `rows` rows.
  void FallBack(const std::string& why, uint64_t rows) {
    Degrade(why);
    counters_.Add(GpuCounter::kFallbackRows, rows);
  }

  const BackendOptions options_;
  CounterBlock<GpuCounter> counters_{kGpuCounterNames};
  std::unique_ptr<Backend> twin_;
  std::unique_ptr<Device> device_;
  std::optional<DeviceBulk> bulk_;  // always there after Make
  bool degraded_ = false;
  uint64_t device_bytes_ = 0;
  uint32_t representatives_ = 0;
  std::vector<uint32_t> offsets_;  // of one trip, from 0

  // Device addresses.
  uint64_t tables_ = 0, rarity_ = 0, embedding_ = 0;
  uint64_t tokens_ = 0, row_offsets_ = 0, cuts_ = 0, sketches_ = 0;
  uint64_t rows_ = 0, queries_ = 0, lists_ = 0, matches_ = 0;
};

Result<std::unique_ptr<Backend>> CudaBackend::Make(const BackendOptions& options,
                                                   std::unique_ptr<Device> device) {
  std::unique_ptr<CudaBackend> backend(new CudaBackend(options, std::move(device)));
  Result<std::unique_ptr<Backend>> twin = MakeCpuTwin(options, &backend->counters_);
  if (!twin.ok()) return twin;
  backend->twin_ = std::move(twin).value();
  Result<RarityTable> rarity = RarityTable::Open(options.rarity_table_path, options.salt);
  if (!rarity.ok()) return rarity.error();
  Result<EmbeddingTable> embedding = EmbeddingTable::Open(options.embedding_table_path, options.salt);
  if (!embedding.ok()) return embedding.error();
  if (Status taken = backend->TakeMemory(rarity.value().bytes(), embedding.value().bytes());
      !taken.ok()) {
    return Error{taken.message()};
  }
  if (Status up = backend->UploadTables(rarity.value(), embedding.value()); !up.ok()) {
    return Error{up.message()};
  }
  Result<DeviceBulk> bulk = DeviceBulk::Make(options, backend->device_.get());
  if (!bulk.ok()) return bulk.error();
  backend->bulk_.emplace(std::move(bulk).value());
  return std::unique_ptr<Backend>(std::move(backend));
}

// All that the device will ever hold, once. Refused as a whole, before anything is taken, when the
// device has too little.
Status CudaBackend::TakeMemory(uint64_t rarity_bytes, uint64_t embedding_bytes) {
  const uint64_t rows_bytes = uint64_t{options_.representatives_max} * kEmbeddingDims;
  struct Part {
    uint64_t* address;
    uint64_t bytes;
    const char* what;
  };
  const Part parts[] = {
      {&tables_, sizeof(DeviceTables), "tables"},
      {&rarity_, rarity_bytes, "rarity table"},
      {&embedding_, embedding_bytes, "embedding table"},
      {&tokens_, kTripTokens * sizeof(uint32_t), "tokens"},
      {&row_offsets_, (kTripRows + 1) * sizeof(uint32_t), "offsets"},
      {&cuts_, kTripRows * sizeof(uint32_t), "cuts"},
      {&sketches_, kTripRows * sizeof(Sketch), "sketches"},
      {&rows_, std::max<uint64_t>(rows_bytes, kEmbeddingDims), "representatives"},
      {&queries_, kTripQueries * kEmbeddingDims, "queries"},
      {&lists_, kListKeysMax * sizeof(uint64_t), "lists"},
      {&matches_, kTripQueries * kTopKMax * sizeof(RepresentativeMatch), "matches"},
  };
  device_bytes_ = DeviceBulk::BytesOf(options_);
  for (const Part& part : parts) device_bytes_ += part.bytes;
  const uint64_t free_bytes = device_->FreeBytes();
  if (device_bytes_ > free_bytes) {
    const uint64_t rest = device_bytes_ - rows_bytes;
    const std::string mend =
        rest < free_bytes
            ? "representatives_max of " + std::to_string((free_bytes - rest) / kEmbeddingDims) +
                  " or less would fit"
            : "it needs " + std::to_string(rest) + " without any representatives";
    return Error{"device memory: " + std::to_string(device_bytes_) + " bytes are needed, " +
                 device_->Name() + " has " + std::to_string(free_bytes) + " free; " + mend};
  }
  for (const Part& part : parts) {
    Result<uint64_t> address = device_->Take(part.bytes, part.what);
    if (!address.ok())
      return Error{"device memory for the " + std::string(part.what) + ": " + address.message()};
    *part.address = address.value();
  }
  return {};
}

Status CudaBackend::UploadTables(const RarityTable& rarity, const EmbeddingTable& embedding) {
  DeviceTables tables = {};
  tables.seeds = MakeSketchSeeds(options_.salt);
  tables.rarity = rarity.view();
  tables.embedding = embedding.view();
  tables.versions = twin_->Versions();
  if (Status s = device_->CopyIn(rarity_, tables.rarity.entries, rarity.bytes()); !s.ok()) return s;
  if (Status s = device_->CopyIn(embedding_, tables.embedding.rows, embedding.bytes()); !s.ok())
    return s;
  tables.rarity.entries = reinterpret_cast<const uint32_t*>(rarity_);
  tables.embedding.rows = reinterpret_cast<const int8_t*>(embedding_);
  return device_->CopyIn(tables_, &tables, sizeof tables);
}

void CudaBackend::Degrade(const std::string& why) {
  degraded_ = true;
  counters_.Add(GpuCounter::kDeviceFailed);
  counters_.Set(GpuCounter::kDegraded, 1);
  Log(LogLevel::kError,
      "the GPU failed, the CPU computes from here on; restart to use it again: " + why);
}

Status CudaBackend::ComputeSketches(const TokenBatch& batch, std::span<Sketch> out) {
  if (Status status = CheckBatch(batch, out.size()); !status.ok()) return status;
  uint32_t begin = 0;
  while (!degraded_ && begin < batch.rows()) {
    uint32_t end = begin + 1;
    while (end < batch.rows() && end - begin < kTripRows &&
           batch.offsets[end + 1] - batch.offsets[begin] <= kTripTokens) {
      ++end;
    }
    if (Status trip = SketchTrip(batch, begin, end, out.subspan(begin, end - begin)); !trip.ok()) {
      Degrade(trip.message());
      break;
    }
    for (uint32_t row = begin; row < end; ++row) {
      counters_.Add(GpuCounter::kTextsSketched, out[row].tokens != 0);
    }
    begin = end;
  }
  if (begin == batch.rows()) return {};
  counters_.Add(GpuCounter::kFallbackRows, batch.rows() - begin);
  const TokenBatch rest = {batch.tokens, batch.offsets.subspan(begin), batch.cuts.subspan(begin)};
  return twin_->ComputeSketches(rest, out.subspan(begin));
}

Status CudaBackend::SketchTrip(const TokenBatch& batch, uint32_t begin, uint32_t end,
                               std::span<Sketch> out) {
  const uint32_t rows = end - begin;
  const uint32_t first = batch.offsets[begin], tokens = batch.offsets[end] - first;
  offsets_.resize(rows + 1);
  for (uint32_t row = 0; row <= rows; ++row) offsets_[row] = batch.offsets[begin + row] - first;
  if (Status s = device_->CopyIn(tokens_, batch.tokens.data() + first, tokens * sizeof(uint32_t));
      !s.ok())
    return s;
  if (Status s = device_->CopyIn(row_offsets_, offsets_.data(), offsets_.size() * sizeof(uint32_t));
      !s.ok())
    return s;
  if (Status s = device_->CopyIn(cuts_, batch.cuts.data() + begin, rows * sizeof(uint32_t));
      !s.ok())
    return s;
  const LaunchShape shape = {.blocks_x = rows, .threads = kSketchThreads};
  if (Status s =
          Launch(*device_, "SketchTexts", shape, tables_, tokens_, row_offsets_, cuts_, sketches_);
      !s.ok()) {
    return s;
  }
  return device_->CopyOut(out.data(), sketches_, rows * sizeof(Sketch));
}

Status CudaBackend::SetRepresentatives(std::span<const int8_t> rows) {
  // The twin checks them, and has them when the device goes.
  if (Status status = twin_->SetRepresentatives(rows); !status.ok()) return status;
  representatives_ = static_cast<uint32_t>(rows.size() / kEmbeddingDims);
  if (degraded_) return {};
  if (Status copied = device_->CopyIn(rows_, rows.data(), rows.size()); !copied.ok())
    Degrade(copied.message());
  return {};
}

Status CudaBackend::TopK(std::span<const int8_t> query_rows, uint32_t k,
                         std::span<RepresentativeMatch> out) {
  const bool fits = k >= 1 && k <= kTopKMax && query_rows.size() % kEmbeddingDims == 0 &&
                    out.size() == query_rows.size() / kEmbeddingDims * k;
  if (degraded_ || !fits || representatives_ == 0) return twin_->TopK(query_rows, k, out);
  const uint64_t keys_each = uint64_t{ChunksOf(representatives_)} * k;
  const uint32_t trip =
      static_cast<uint32_t>(std::min<uint64_t>(kTripQueries, kListKeysMax / keys_each));
  const uint32_t queries = static_cast<uint32_t>(out.size() / k);
  for (uint32_t begin = 0; begin < queries; begin += trip) {
    const uint32_t count = std::min(trip, queries - begin);
    const auto part = query_rows.subspan(size_t{begin} * kEmbeddingDims);
    const auto matches = out.subspan(size_t{begin} * k);
    if (Status s = TopKTrip(part.first(size_t{count} * kEmbeddingDims), k,
                            matches.first(size_t{count} * k));
        !s.ok()) {
      Degrade(s.message());
      counters_.Add(GpuCounter::kFallbackRows, queries - begin);
      return twin_->TopK(part, k, matches);
    }
    counters_.Add(GpuCounter::kTopKQueries, count);
  }
  return {};
}

Status CudaBackend::TopKTrip(std::span<const int8_t> queries, uint32_t k,
                             std::span<RepresentativeMatch> out) {
  const uint32_t count = static_cast<uint32_t>(out.size() / k);
  const uint32_t chunks = ChunksOf(representatives_);
  if (Status s = device_->CopyIn(queries_, queries.data(), queries.size()); !s.ok()) return s;
  const LaunchShape tiles = {.blocks_x = (count + kTopKQueries - 1) / kTopKQueries,
                             .blocks_y = chunks,
                             .threads = kTopKThreads};
  if (Status s =
          Launch(*device_, "TopKChunk", tiles, queries_, count, rows_, representatives_, k, lists_);
      !s.ok()) {
    return s;
  }
  const uint32_t list_keys = chunks * k;
  constexpr uint32_t kQueriesEach = kMergeThreads / 32;
  const LaunchShape merge = {.blocks_x = (count + kQueriesEach - 1) / kQueriesEach,
                             .threads = kMergeThreads};
  if (Status s = Launch(*device_, "MergeTopK", merge, lists_, count, list_keys, k, matches_);
      !s.ok())
    return s;
  return device_->CopyOut(out.data(), matches_, out.size_bytes());
}

Status CudaBackend::EmbedFlows(const FlowBatch& batch, std::span<FlowEmbedding> out) {
  if (Status good = CheckFlows(batch, out.size()); !good.ok() || degraded_) {
    return good.ok() ? twin_->EmbedFlows(batch, out) : good;
  }
  if (Status done = bulk_->EmbedFlows(batch, out); !done.ok()) {
    FallBack(done.message(), out.size());
    return twin_->EmbedFlows(batch, out);
  }
  counters_.Add(GpuCounter::kFlowsEmbedded, out.size());
  return {};
}

Status CudaBackend::AllPairs(std::span<const int8_t> rows, uint32_t k, int32_t threshold,
                             std::span<RepresentativeMatch> out) {
  const size_t count = rows.size() / kEmbeddingDims;
  const bool fits = k >= 1 && k <= kTopKMax && rows.size() % kEmbeddingDims == 0 &&
                    out.size() == count * k && count <= options_.pairs_rows_max;
  if (degraded_ || !fits) return twin_->AllPairs(rows, k, threshold, out);
  if (Status done = bulk_->AllPairs(rows, k, threshold, out); !done.ok()) {
    FallBack(done.message(), count);
    return twin_->AllPairs(rows, k, threshold, out);
  }
  counters_.Add(GpuCounter::kPairsRows, count);
  return {};
}

Result<uint32_t> CudaBackend::PropagateLabels(const LabelGraph& graph, LabelRule rule,
                                              uint32_t weight_min, uint32_t steps_max,
                                              std::span<uint32_t> labels) {
  const bool fits = labels.size() <= options_.graph_nodes_max &&
                    graph.neighbours.size() <= options_.graph_edges_max &&
                    CheckGraph(graph, labels).ok();
  if (degraded_ || !fits) {
    return twin_->PropagateLabels(graph, rule, weight_min, steps_max, labels);
  }
  Result<uint32_t> steps = bulk_->PropagateLabels(graph, rule, weight_min, steps_max, labels);
  if (!steps.ok()) {  // labels are as they were
    FallBack(steps.message(), labels.size());
    return twin_->PropagateLabels(graph, rule, weight_min, steps_max, labels);
  }
  counters_.Add(GpuCounter::kLabelSteps, steps.value());
  return steps;
}

}  // namespace

Result<std::unique_ptr<Backend>> MakeCudaBackend(const BackendOptions& options,
                                                 std::unique_ptr<Device> device) {
  return CudaBackend::Make(options, std::move(device));
}

}  // namespace stillwatch::gpu
