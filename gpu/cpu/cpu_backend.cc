#include "gpu/cpu/cpu_backend.h"

#include <string>
#include <utility>

#include "gpu/counters.h"
#include "gpu/cpu/sketch_row.h"
#include "gpu/embed/embedding_table.h"
#include "gpu/flow/flow_embedding.h"
#include "gpu/join/labels.h"
#include "gpu/join/representatives.h"
#include "gpu/sketch/rarity_table.h"
#include "gpu/window/window.h"

namespace stillwatch::gpu {

Status CheckBatch(const TokenBatch& batch, size_t out_size) {
  if (batch.offsets.size() != batch.cuts.size() + 1 || out_size != batch.cuts.size()) {
    return Error{"token batch: " + std::to_string(batch.cuts.size()) + " cuts, " +
                 std::to_string(batch.offsets.size()) + " offsets and " + std::to_string(out_size) +
                 " sketches do not agree"};
  }
  for (uint32_t row = 0; row < batch.rows(); ++row) {
    const uint32_t begin = batch.offsets[row], end = batch.offsets[row + 1];
    if (begin > end || end > batch.tokens.size()) {
      return Error{"token batch: offsets of row " + std::to_string(row) + " are out of order"};
    }
    if (end - begin > kTextTokensMax) {
      return Error{"token batch: row " + std::to_string(row) + " has " +
                   std::to_string(end - begin) + " tokens, at most 65536 are allowed"};
    }
  }
  return {};
}

Status CheckVersions(std::span<const Sketch> sketches, const SketchVersions& versions) {
  for (size_t row = 0; row < sketches.size(); ++row) {
    if (sketches[row].tokens != 0 && sketches[row].versions != versions) {
      return Error{"window batch: row " + std::to_string(row) +
                   " was sketched with another salt or table than this backend's"};
    }
  }
  return {};
}

WindowOptions WindowOptionsOf(const BackendOptions& options) {
  return {.bytes = options.window_bytes,
          .bucket_pairs_max = options.window_bucket_pairs_max,
          .epochs_kept = options.window_epochs_kept,
          .batch_rows_max = options.batch_rows_max};
}

namespace {

struct ScratchDeleter {
  void operator()(SimdScratch* scratch) const { DeleteSimdScratch(scratch); }
};

class CpuBackend final : public Backend {
 public:
  // counters: null for its own.
  static Result<std::unique_ptr<CpuBackend>> Make(const BackendOptions& options, bool scalar,
                                                  CounterBlock<GpuCounter>* counters = nullptr);
  LshWindow* window() { return window_.get(); }

  BackendInfo Info() const override { return {name_, memory_bytes_, false}; }
  SketchVersions Versions() const override { return tables_.versions; }
  const CounterBlock<GpuCounter>* Counters() const override { return counters_; }

  Status ComputeSketches(const TokenBatch& batch, std::span<Sketch> out) override;
  uint8_t RarityOf(uint32_t token_hash) const override {
    return static_cast<uint8_t>(RarityClassOf(tables_.rarity, token_hash));
  }
  Status ProbeAndInsert(std::span<const Sketch> sketches, std::span<const uint64_t> ids,
                        std::vector<Candidate>* candidates) override;
  void AdvanceEpoch() override { window_->AdvanceEpoch(); }
  Status SetRepresentatives(std::span<const int8_t> rows) override {
    return representatives_.Set(rows);
  }
  Status TopK(std::span<const int8_t> query_rows, uint32_t k,
              std::span<RepresentativeMatch> out) override {
    counters_->Add(GpuCounter::kTopKQueries, query_rows.size() / kEmbeddingDims);
    return representatives_.TopK(query_rows, k, out);
  }
  Status EmbedFlows(const FlowBatch& batch, std::span<FlowEmbedding> out) override;
  Status AllPairs(std::span<const int8_t> rows, uint32_t k, int32_t threshold,
                  std::span<RepresentativeMatch> out) override;
  Result<uint32_t> PropagateLabels(const LabelGraph& graph, LabelRule rule, uint32_t weight_min,
                                   uint32_t steps_max, std::span<uint32_t> labels) override;

 private:
  CpuBackend(const BackendOptions& options, const CpuFeatures& features, RarityTable rarity,
             EmbeddingTable embedding, Representatives representatives, Representatives accounts)
      : rarity_(std::move(rarity)),
        embedding_(std::move(embedding)),
        representatives_(std::move(representatives)),
        accounts_(std::move(accounts)),
        flow_kernel_(FlowKernelFor(features)),
        flow_filters_(MakeFlowFilters(options.salt)),
        graph_edges_max_(options.graph_edges_max),
        labels_(options.graph_nodes_max) {}

  std::string name_;
  uint64_t memory_bytes_ = 0;
  RarityTable rarity_;
  EmbeddingTable embedding_;
  Representatives representatives_, accounts_;
  FlowKernel flow_kernel_;
  FlowFilters flow_filters_;
  uint32_t graph_edges_max_;
  LabelStepper labels_;
  SketchTables tables_ = {};
  SketchRowSimd simd_row_ = nullptr;  // null: the plain one
  std::unique_ptr<SimdScratch, ScratchDeleter> scratch_;
  CounterBlock<GpuCounter> own_counters_{kGpuCounterNames};
  CounterBlock<GpuCounter>* counters_ = &own_counters_;
  std::unique_ptr<LshWindow> window_;
};

Result<std::unique_ptr<CpuBackend>> CpuBackend::Make(const BackendOptions& options, bool scalar,
                                                     CounterBlock<GpuCounter>* counters) {
  Result<RarityTable> rarity = RarityTable::Open(options.rarity_table_path, options.salt);
  if (!rarity.ok()) return rarity.error();
  Result<EmbeddingTable> embedding = EmbeddingTable::Open(options.embedding_table_path, options.salt);
  if (!embedding.ok()) return embedding.error();
  const CpuFeatures features = scalar ? CpuFeatures{} : FeaturesOfThisCpu();
  Result<Representatives> representatives =
      Representatives::Make(options.representatives_max, DotKernelFor(features));
  if (!representatives.ok()) return representatives.error();
  Result<Representatives> accounts =
      Representatives::Make(options.pairs_rows_max, DotKernelFor(features));
  if (!accounts.ok()) return accounts.error();

  std::unique_ptr<CpuBackend> backend(new CpuBackend(
      options, features, std::move(rarity).value(), std::move(embedding).value(),
      std::move(representatives).value(), std::move(accounts).value()));
  if (counters != nullptr) backend->counters_ = counters;
  Result<std::unique_ptr<LshWindow>> window =
      LshWindow::Make(WindowOptionsOf(options), backend->counters_);
  if (!window.ok()) return window.error();
  backend->window_ = std::move(window).value();

  SketchTables& tables = backend->tables_;
  tables.seeds = MakeSketchSeeds(options.salt);
  tables.rarity = backend->rarity_.view();
  tables.embedding = backend->embedding_.view();
  tables.versions = {.sketch = 1,
                     .salt_id = tables.seeds.salt_id,
                     .rarity_id = backend->rarity_.id(),
                     .table_id = backend->embedding_.id()};
  backend->name_ = "cpu-scalar";
  if (!scalar) {
    const SimdChoice choice = ChooseSketchRowSimd();
    backend->simd_row_ = choice.row;
    backend->name_ = std::string("cpu-") + choice.name;
    backend->scratch_.reset(NewSimdScratch(tables.seeds));
  }
  backend->memory_bytes_ = backend->rarity_.bytes() + backend->embedding_.bytes() +
                           backend->representatives_.memory_bytes() +
                           backend->accounts_.memory_bytes() + backend->labels_.memory_bytes() +
                           backend->window_->memory_bytes();
  return backend;
}

Status CpuBackend::ComputeSketches(const TokenBatch& batch, std::span<Sketch> out) {
  if (Status status = CheckBatch(batch, out.size()); !status.ok()) return status;
  uint64_t sketched = 0;
  for (uint32_t row = 0; row < batch.rows(); ++row) {
    const uint32_t* tokens = batch.tokens.data() + batch.offsets[row];
    const uint32_t count = batch.offsets[row + 1] - batch.offsets[row];
    if (simd_row_ != nullptr) {
      simd_row_(tables_, tokens, count, batch.cuts[row], scratch_.get(), &out[row]);
    } else {
      SketchRowScalar(tables_, tokens, count, batch.cuts[row], &out[row]);
    }
    sketched += count != 0;
  }
  counters_->Add(GpuCounter::kTextsSketched, sketched);
  return {};
}

Status CpuBackend::ProbeAndInsert(std::span<const Sketch> sketches, std::span<const uint64_t> ids,
                                  std::vector<Candidate>* candidates) {
  if (Status s = CheckVersions(sketches, tables_.versions); !s.ok()) return s;
  return window_->ProbeAndInsert(sketches, ids, candidates);
}

Status CpuBackend::EmbedFlows(const FlowBatch& batch, std::span<FlowEmbedding> out) {
  if (Status good = CheckFlows(batch, out.size()); !good.ok()) return good;
  for (size_t flow = 0; flow < out.size(); ++flow) {
    const uint32_t step = batch.step_offsets[flow], row = batch.instruction_offsets[flow];
    EmbedFlow(flow_filters_, flow_kernel_.convolve,
              batch.steps.subspan(step, batch.step_offsets[flow + 1] - step),
              batch.instructions.subspan(
                  size_t{row} * kEmbeddingDims,
                  size_t{batch.instruction_offsets[flow + 1] - row} * kEmbeddingDims),
              &out[flow]);
  }
  counters_->Add(GpuCounter::kFlowsEmbedded, out.size());
  return {};
}

Status CpuBackend::AllPairs(std::span<const int8_t> rows, uint32_t k, int32_t threshold,
                            std::span<RepresentativeMatch> out) {
  Status joined = accounts_.AllPairs(rows, k, threshold, out);
  if (joined.ok()) counters_->Add(GpuCounter::kPairsRows, rows.size() / kEmbeddingDims);
  return joined;
}

Result<uint32_t> CpuBackend::PropagateLabels(const LabelGraph& graph, LabelRule rule,
                                             uint32_t weight_min, uint32_t steps_max,
                                             std::span<uint32_t> labels) {
  if (graph.neighbours.size() > graph_edges_max_) {
    return Error{std::to_string(graph.neighbours.size()) + " edges; graph_edges_max is " +
                 std::to_string(graph_edges_max_)};
  }
  Result<uint32_t> steps = labels_.Run(graph, rule, weight_min, steps_max, labels);
  if (steps.ok()) counters_->Add(GpuCounter::kLabelSteps, steps.value());
  return steps;
}

}  // namespace

namespace {
Result<std::unique_ptr<Backend>> AsBackend(Result<std::unique_ptr<CpuBackend>> made) {
  if (!made.ok()) return made.error();
  return std::unique_ptr<Backend>(std::move(made).value());
}
}  // namespace

Result<std::unique_ptr<Backend>> MakeCpuBackend(const BackendOptions& options) {
  return AsBackend(CpuBackend::Make(options, false));
}

Result<std::unique_ptr<Backend>> MakeScalarBackend(const BackendOptions& options) {
  return AsBackend(CpuBackend::Make(options, true));
}

Result<CpuTwin> MakeCpuTwin(const BackendOptions& options, CounterBlock<GpuCounter>* counters) {
  Result<std::unique_ptr<CpuBackend>> made = CpuBackend::Make(options, false, counters);
  if (!made.ok()) return made.error();
  LshWindow* window = made.value()->window();
  return CpuTwin{std::move(made).value(), window};
}

}  // namespace stillwatch::gpu
