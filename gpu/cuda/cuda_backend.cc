#include "gpu/cuda/cuda_backend.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/mutant.h"
#include "gpu/cpu/cpu_backend.h"
#include "gpu/cpu/sketch_row.h"
#include "gpu/cuda/device_bulk.h"
#include "gpu/cuda/device_memory.h"
#include "gpu/cuda/device_window.h"
#include "gpu/cuda/join_budget.h"
#include "gpu/cuda/launch.h"
#include "gpu/cuda/window_keeper.h"
#include "gpu/embed/embedding_table.h"
#include "gpu/flow/flow_embedding.h"
#include "gpu/join/labels.h"
#include "gpu/join/representatives.h"
#include "gpu/sketch/rarity_table.h"

namespace stillwatch::gpu {
namespace {

uint32_t ChunksOf(uint64_t rows) {
  return static_cast<uint32_t>((rows + kTopKChunkRows - 1) / kTopKChunkRows);
}

// Arguments of a launch as the device takes them.
template <typename... T>
Status Launch(Device& device, uint32_t queue, const char* kernel, LaunchShape shape,
              const T&... values) {
  const void* const arguments[] = {&values...};
  return device.QueueLaunch(queue, kernel, shape, arguments);
}

// A queue with all that one trip of sketches needs, pinned and on the device.
struct Lane {
  uint32_t queue = 0;
  uint64_t tokens = 0, offsets = 0, cuts = 0, sketches = 0;
  uint32_t* host_tokens = nullptr;
  uint32_t* host_offsets = nullptr;
  uint32_t* host_cuts = nullptr;
  Sketch* host_sketches = nullptr;
  uint32_t rows = 0;  // under way; 0: none
};
constexpr uint64_t kLaneHostBytes = kTripRows * sizeof(Sketch) + kTripTokens * sizeof(uint32_t) +
                                    (2 * kTripRows + 1) * sizeof(uint32_t);

class CudaBackend final : public Backend {
 public:
  static Result<std::unique_ptr<Backend>> Make(const BackendOptions& options,
                                               std::unique_ptr<Device> device);

  BackendInfo Info() const override {
    if (degraded_)
      return {"cuda, degraded to " + twin_->Info().name, twin_->Info().memory_bytes, !MutantIs("gpu.failure_untold")};
    return {"cuda (" + device_->Name() + ")",
            twin_->Info().memory_bytes + keeper_->memory_bytes() + host_bytes_ + device_bytes_,
            false};
  }
  SketchVersions Versions() const override { return twin_->Versions(); }
  const CounterBlock<GpuCounter>* Counters() const override { return &counters_; }
  uint8_t RarityOf(uint32_t token_hash) const override { return twin_->RarityOf(token_hash); }

  Status ComputeSketches(const TokenBatch& batch, std::span<Sketch> out) override;
  Status ProbeAndInsert(std::span<const Sketch> sketches, std::span<const uint64_t> ids,
                        std::vector<Candidate>* candidates) override;
  void AdvanceEpoch() override;
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
      : options_(options), device_(std::move(device)), budget_(options.clock) {}
  Status TakeMemory(uint64_t rarity_bytes, uint64_t embedding_bytes);
  Status UploadTables(const RarityTable& rarity, const EmbeddingTable& embedding);
  Status TakeLane(Lane* lane);
  Status StartTrip(Lane& lane, const TokenBatch& batch, uint32_t begin, uint32_t end);
  Status EndTrip(Lane& lane, std::span<Sketch> out);
  Status SketchOnDevice(const TokenBatch& batch, std::span<Sketch> out, uint32_t* done);
  Status JoinOnDevice(std::span<const Sketch> sketches, std::span<const uint64_t> ids,
                      std::vector<Candidate>* candidates);
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
  std::atomic<bool> degraded_ = false;  // read by who asks for Info()
  std::optional<DeviceBulk> bulk_;  // always there after Make
  std::unique_ptr<DeviceWindow> window_;
  std::unique_ptr<WindowKeeper> keeper_;
  JoinBudget budget_;
  uint64_t device_bytes_ = 0, host_bytes_ = 0;
  uint32_t representatives_ = 0;
  Lane lanes_[kDeviceQueues];

  // Device addresses.
  uint64_t tables_ = 0, rarity_ = 0, embedding_ = 0;
  uint64_t rows_ = 0, queries_ = 0, lists_ = 0, matches_ = 0;
};

Result<std::unique_ptr<Backend>> CudaBackend::Make(const BackendOptions& options,
                                                   std::unique_ptr<Device> device) {
  std::unique_ptr<CudaBackend> backend(new CudaBackend(options, std::move(device)));
  Result<CpuTwin> twin = MakeCpuTwin(options, &backend->counters_);
  if (!twin.ok()) return twin.error();
  backend->twin_ = std::move(twin.value().backend);
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
  const WindowOptions window_options = WindowOptionsOf(options);
  Result<std::unique_ptr<DeviceWindow>> window =
      DeviceWindow::Make(window_options, backend->device_.get(), &backend->counters_);
  if (!window.ok()) return window.error();
  backend->window_ = std::move(window).value();
  backend->host_bytes_ += backend->window_->host_bytes();
  Result<std::unique_ptr<WindowKeeper>> keeper =
      WindowKeeper::Make(window_options, twin.value().window);
  if (!keeper.ok()) return keeper.error();
  backend->keeper_ = std::move(keeper).value();
  return std::unique_ptr<Backend>(std::move(backend));
}

// All that the device will ever hold, but for the window and the bulk kernels' part, once; nothing when not
// all of it fits.
Status CudaBackend::TakeMemory(uint64_t rarity_bytes, uint64_t embedding_bytes) {
  const DeviceMemory needed = DeviceMemoryWith(options_, rarity_bytes, embedding_bytes);
  const uint64_t free_bytes = device_->FreeBytes();
  if (Status fits = CheckDeviceMemory(needed, free_bytes, device_->Name() + " has " + std::to_string(free_bytes) + " free");
      !fits.ok()) {
    return fits;
  }
  uint64_t* const addresses[] = {&tables_, &rarity_, &embedding_,
                                 &lanes_[0].tokens, &lanes_[0].offsets, &lanes_[0].cuts, &lanes_[0].sketches,
                                 &lanes_[1].tokens, &lanes_[1].offsets, &lanes_[1].cuts, &lanes_[1].sketches,
                                 &rows_, &queries_, &lists_, &matches_};
  const DeviceParts parts = DevicePartsOf(options_, rarity_bytes, embedding_bytes);
  static_assert(std::size(addresses) == std::tuple_size_v<DeviceParts>);
  for (size_t i = 0; i < parts.size(); ++i) {
    Result<uint64_t> address = device_->Take(parts[i].bytes, parts[i].what);
    if (!address.ok()) return Error{"device memory for the " + std::string(parts[i].what) + ": " + address.message()};
    *addresses[i] = address.value();
  }
  device_bytes_ = needed.all();
  for (uint32_t i = 0; i < kDeviceQueues; ++i) {
    lanes_[i].queue = i;
    if (Status s = TakeLane(&lanes_[i]); !s.ok()) return s;
  }
  return {};
}

Status CudaBackend::TakeLane(Lane* lane) {
  Result<void*> memory = device_->TakeHost(kLaneHostBytes, "a batch");
  if (!memory.ok()) return Error{"pinned memory for a batch: " + memory.message()};
  host_bytes_ += kLaneHostBytes;
  lane->host_sketches = static_cast<Sketch*>(memory.value());
  lane->host_tokens = reinterpret_cast<uint32_t*>(lane->host_sketches + kTripRows);
  lane->host_offsets = lane->host_tokens + kTripTokens;
  lane->host_cuts = lane->host_offsets + kTripRows + 1;
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
  keeper_->Rebuild();
  degraded_ = true;
  counters_.Add(GpuCounter::kDeviceFailed);
  counters_.Set(GpuCounter::kDegraded, 1);
  Log(LogLevel::kError,
      "the GPU failed, the CPU computes from here on (degraded; gpu.joins_skipped counts what it "
      "cannot compare); restart to use it again: " +
          why);
}

Status CudaBackend::ComputeSketches(const TokenBatch& batch, std::span<Sketch> out) {
  if (Status status = CheckBatch(batch, out.size()); !status.ok()) return status;
  uint32_t done = 0;
  if (!degraded_) {
    if (Status s = SketchOnDevice(batch, out, &done); !s.ok()) Degrade(s.message());
  }
  for (uint32_t row = 0; row < done; ++row) {
    counters_.Add(GpuCounter::kTextsSketched, out[row].tokens != 0);
  }
  if (done == batch.rows()) return {};
  counters_.Add(GpuCounter::kFallbackRows, batch.rows() - done);
  const TokenBatch rest = {batch.tokens, batch.offsets.subspan(done), batch.cuts.subspan(done)};
  return twin_->ComputeSketches(rest, out.subspan(done));
}

// Two trips are under way at a time. *done: rows from the first on that are there, also after a
// failure.
Status CudaBackend::SketchOnDevice(const TokenBatch& batch, std::span<Sketch> out, uint32_t* done) {
  const auto end_trip = [&](Lane& lane) {
    const uint32_t rows = lane.rows;
    Status s = EndTrip(lane, out.subspan(*done, rows));
    if (s.ok()) *done += rows;
    return s;
  };
  for (Lane& lane : lanes_) lane.rows = 0;
  uint32_t begin = 0, trip = 0;
  for (; begin < batch.rows(); ++trip) {
    uint32_t end = begin + 1;
    while (end < batch.rows() && end - begin < kTripRows &&
           batch.offsets[end + 1] - batch.offsets[begin] <= kTripTokens) {
      ++end;
    }
    Lane& lane = lanes_[trip % kDeviceQueues];
    if (lane.rows != 0) {
      if (Status s = end_trip(lane); !s.ok()) return s;
    }
    if (Status s = StartTrip(lane, batch, begin, end); !s.ok()) return s;
    begin = end;
  }
  for (uint32_t i = 0; i < kDeviceQueues; ++i) {  // the older first
    Lane& lane = lanes_[(trip + i) % kDeviceQueues];
    if (lane.rows == 0) continue;
    if (Status s = end_trip(lane); !s.ok()) return s;
  }
  return {};
}

Status CudaBackend::StartTrip(Lane& lane, const TokenBatch& batch, uint32_t begin, uint32_t end) {
  const uint32_t rows = end - begin;
  const uint32_t first = batch.offsets[begin], tokens = batch.offsets[end] - first;
  std::copy_n(batch.tokens.data() + first, tokens, lane.host_tokens);
  std::copy_n(batch.cuts.data() + begin, rows, lane.host_cuts);
  for (uint32_t row = 0; row <= rows; ++row) {
    lane.host_offsets[row] = batch.offsets[begin + row] - first;
  }
  const uint32_t q = lane.queue;
  Status s = device_->QueueCopyIn(q, lane.tokens, lane.host_tokens, tokens * sizeof(uint32_t));
  if (s.ok()) {
    s = device_->QueueCopyIn(q, lane.offsets, lane.host_offsets, (rows + 1) * sizeof(uint32_t));
  }
  if (s.ok()) s = device_->QueueCopyIn(q, lane.cuts, lane.host_cuts, rows * sizeof(uint32_t));
  if (s.ok()) {
    const LaunchShape shape = {.blocks_x = rows, .threads = kSketchThreads};
    s = Launch(*device_, q, "SketchTexts", shape, tables_, lane.tokens, lane.offsets, lane.cuts,
               lane.sketches);
  }
  if (s.ok()) {
    s = device_->QueueCopyOut(q, lane.host_sketches, lane.sketches, rows * sizeof(Sketch));
  }
  lane.rows = rows;
  return s;
}

Status CudaBackend::EndTrip(Lane& lane, std::span<Sketch> out) {
  if (!MutantIs("gpu.lane_reused_early")) {
    if (Status s = device_->Wait(lane.queue); !s.ok()) return s;
  }
  std::copy_n(lane.host_sketches, out.size(), out.data());
  lane.rows = 0;
  return {};
}

Status CudaBackend::JoinOnDevice(std::span<const Sketch> sketches, std::span<const uint64_t> ids,
                                 std::vector<Candidate>* candidates) {
  if (keeper_->Full(sketches.size())) {
    if (Status s = keeper_->Checkpoint(*window_); !s.ok()) return s;
  }
  if (Status s = window_->ProbeAndInsert(sketches, ids, candidates); !s.ok()) return s;
  keeper_->KeepBatch(sketches, ids);
  return {};
}

Status CudaBackend::ProbeAndInsert(std::span<const Sketch> sketches, std::span<const uint64_t> ids,
                                   std::vector<Candidate>* candidates) {
  if (Status s = CheckVersions(sketches, twin_->Versions()); !s.ok()) return s;
  if (Status s = gpu::CheckBatch(WindowOptionsOf(options_), sketches.size(), ids.size()); !s.ok())
    return s;
  if (!degraded_) {
    const Status joined = JoinOnDevice(sketches, ids, candidates);
    if (joined.ok()) return {};
    Degrade(joined.message());
  } else if (!budget_.Admits()) {
    candidates->clear();
    if (!MutantIs("gpu.skipped_joins_uncounted")) {
      counters_.Add(GpuCounter::kJoinsSkipped,
                    static_cast<uint64_t>(
                        std::count_if(sketches.begin(), sketches.end(),
                                      [](const Sketch& sketch) { return sketch.tokens != 0; })));
    }
    return {};
  }
  const int64_t began_ns = budget_.NowNs();
  Status s = twin_->ProbeAndInsert(sketches, ids, candidates);
  budget_.Spend(budget_.NowNs() - began_ns);
  return s;
}

void CudaBackend::AdvanceEpoch() {
  if (degraded_) return twin_->AdvanceEpoch();
  window_->AdvanceEpoch();
  keeper_->KeepEpoch();
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
          Launch(*device_, 0, "TopKChunk", tiles, queries_, count, rows_, representatives_, k, lists_);
      !s.ok()) {
    return s;
  }
  const uint32_t list_keys = chunks * k;
  constexpr uint32_t kQueriesEach = kMergeThreads / 32;
  const LaunchShape merge = {.blocks_x = (count + kQueriesEach - 1) / kQueriesEach,
                             .threads = kMergeThreads};
  if (Status s = Launch(*device_, 0, "MergeTopK", merge, lists_, count, list_keys, k, matches_);
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
