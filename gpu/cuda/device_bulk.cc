#include "gpu/cuda/device_bulk.h"

#include <algorithm>
#include <string>

#include "gpu/cuda/bulk_launch.h"
#include "gpu/join/representatives.h"

namespace stillwatch::gpu {
namespace {

// What one round trip carries; larger batches go in several.
constexpr uint32_t kTripFlows = 1'024;
constexpr uint32_t kTripInstructions = 65'536;
constexpr uint32_t kTripQueries = 4'096;
constexpr uint64_t kListKeysMax = 1ull << 22;
static_assert(kTripInstructions >= kFlowInstructionsMax);

template <typename... T>
Status Launch(Device& device, const char* kernel, LaunchShape shape, const T&... values) {
  const void* const arguments[] = {&values...};
  return device.Launch(kernel, shape, arguments);
}

uint32_t ChunksOf(uint64_t rows) {
  return static_cast<uint32_t>((rows + kTopKChunkRows - 1) / kTopKChunkRows);
}

struct Part {
  uint64_t bytes;
  const char* what;
};
// In the order of DeviceBulk's addresses; 0 bytes: not taken.
constexpr uint32_t kParts = 16;
struct Parts {
  Part parts[kParts];
};
Parts PartsOf(const BackendOptions& options) {
  const uint64_t rows = options.pairs_rows_max, nodes = options.graph_nodes_max,
                 edges = std::max<uint64_t>(options.graph_edges_max, nodes != 0);
  const uint64_t edge_bytes = nodes != 0 ? edges * sizeof(uint32_t) : 0;
  return {{{sizeof(FlowFilters), "flow filters"},
           {uint64_t{kTripFlows} * kFlowStepsMax * sizeof(FlowStep), "flow steps"},
           {(kTripFlows + 1) * sizeof(uint32_t), "flow step offsets"},
           {uint64_t{kTripInstructions} * kEmbeddingDims, "flow instructions"},
           {(kTripFlows + 1) * sizeof(uint32_t), "flow instruction offsets"},
           {kTripFlows * sizeof(FlowEmbedding), "flow embeddings"},
           {rows * kEmbeddingDims, "account rows"},
           {rows != 0 ? kListKeysMax * sizeof(uint64_t) : 0, "account lists"},
           {rows != 0 ? uint64_t{kTripQueries} * kTopKMax * sizeof(RepresentativeMatch) : 0,
            "account matches"},
           {nodes != 0 ? (nodes + 1) * sizeof(uint32_t) : 0, "graph offsets"},
           {edge_bytes, "graph neighbours"},
           {edge_bytes, "graph weights"},
           {nodes * sizeof(uint32_t), "labels"},
           {nodes * sizeof(uint32_t), "next labels"},
           {nodes != 0 ? 2 * (edges + nodes) * sizeof(VoteSlot) : 0, "votes"},
           {nodes != 0 ? sizeof(uint32_t) : 0, "changed labels"}}};
}

}  // namespace

uint64_t DeviceBulk::BytesOf(const BackendOptions& options) {
  uint64_t bytes = 0;
  for (const Part& part : PartsOf(options).parts) bytes += part.bytes;
  return bytes;
}

Result<DeviceBulk> DeviceBulk::Make(const BackendOptions& options, Device* device) {
  DeviceBulk bulk;
  bulk.device_ = device;
  uint64_t* const addresses[kParts] = {
      &bulk.filters_,  &bulk.steps_,   &bulk.step_offsets_, &bulk.instructions_,
      &bulk.instruction_offsets_, &bulk.flows_, &bulk.rows_, &bulk.lists_,
      &bulk.matches_,  &bulk.offsets_, &bulk.neighbours_,   &bulk.weights_,
      &bulk.labels_[0], &bulk.labels_[1], &bulk.slots_,     &bulk.changed_};
  const Parts parts = PartsOf(options);
  for (uint32_t i = 0; i < kParts; ++i) {
    if (parts.parts[i].bytes == 0) continue;
    Result<uint64_t> address = device->Take(parts.parts[i].bytes, parts.parts[i].what);
    if (!address.ok()) {
      return Error{"device memory for the " + std::string(parts.parts[i].what) + ": " +
                   address.message()};
    }
    *addresses[i] = address.value();
  }
  const FlowFilters filters = MakeFlowFilters(options.salt);
  if (Status up = device->CopyIn(bulk.filters_, &filters, sizeof filters); !up.ok()) {
    return Error{up.message()};
  }
  return bulk;
}

Status DeviceBulk::LaunchFlows(uint32_t flows) {
  return Launch(*device_, "EmbedFlows", {.blocks_x = flows, .threads = kFlowThreads}, filters_, steps_,
                step_offsets_, instructions_, instruction_offsets_, flows_);
}

// Flows from `begin` on, as many as fit; of each flow only the steps that are looked at travel.
Status DeviceBulk::FlowTrip(const FlowBatch& batch, uint32_t begin, uint32_t* end,
                            std::span<FlowEmbedding> out) {
  const uint32_t flows = static_cast<uint32_t>(out.size());
  const uint32_t first_row = batch.instruction_offsets[begin];
  trip_steps_.clear();
  trip_step_offsets_.assign(1, 0);
  trip_instruction_offsets_.assign(1, 0);
  uint32_t flow = begin;
  for (; flow < flows && flow - begin < kTripFlows &&
         batch.instruction_offsets[flow + 1] - first_row <= kTripInstructions;
       ++flow) {
    const uint32_t count =
        std::min(batch.step_offsets[flow + 1] - batch.step_offsets[flow], kFlowStepsMax);
    const auto steps = batch.steps.subspan(batch.step_offsets[flow], count);
    trip_steps_.insert(trip_steps_.end(), steps.begin(), steps.end());
    trip_step_offsets_.push_back(static_cast<uint32_t>(trip_steps_.size()));
    trip_instruction_offsets_.push_back(batch.instruction_offsets[flow + 1] - first_row);
  }
  *end = flow;
  const auto rows = batch.instructions.subspan(
      uint64_t{first_row} * kEmbeddingDims, uint64_t{trip_instruction_offsets_.back()} * kEmbeddingDims);
  const uint64_t offset_bytes = trip_step_offsets_.size() * sizeof(uint32_t);
  if (Status s = device_->CopyIn(steps_, trip_steps_.data(), trip_steps_.size() * sizeof(FlowStep)); !s.ok())
    return s;
  if (Status s = device_->CopyIn(step_offsets_, trip_step_offsets_.data(), offset_bytes); !s.ok())
    return s;
  if (Status s = device_->CopyIn(instructions_, rows.data(), rows.size()); !s.ok()) return s;
  if (Status s = device_->CopyIn(instruction_offsets_, trip_instruction_offsets_.data(), offset_bytes);
      !s.ok())
    return s;
  if (Status s = LaunchFlows(flow - begin); !s.ok()) return s;
  return device_->CopyOut(out.data() + begin, flows_, (flow - begin) * sizeof(FlowEmbedding));
}

Status DeviceBulk::EmbedFlows(const FlowBatch& batch, std::span<FlowEmbedding> out) {
  for (uint32_t begin = 0; begin < out.size();) {
    uint32_t end = begin;
    if (Status trip = FlowTrip(batch, begin, &end, out); !trip.ok()) return trip;
    begin = end;
  }
  return {};
}

Status DeviceBulk::LaunchPairs(uint32_t rows, uint32_t first, uint32_t count, uint32_t k,
                               int32_t threshold) {
  const uint32_t chunks = ChunksOf(rows), list_keys = chunks * k;
  const LaunchShape tiles = {.blocks_x = (count + kTopKQueries - 1) / kTopKQueries,
                             .blocks_y = chunks,
                             .threads = kTopKThreads};
  if (Status s = Launch(*device_, "AllPairsChunk", tiles, rows_, rows, first, count, k, threshold, lists_);
      !s.ok()) {
    return s;
  }
  constexpr uint32_t kQueriesEach = kMergeThreads / 32;
  return Launch(*device_, "MergeTopK",
                {.blocks_x = (count + kQueriesEach - 1) / kQueriesEach, .threads = kMergeThreads}, lists_,
                count, list_keys, k, matches_);
}

Status DeviceBulk::AllPairs(std::span<const int8_t> rows, uint32_t k, int32_t threshold,
                            std::span<RepresentativeMatch> out) {
  const uint32_t count = static_cast<uint32_t>(rows.size() / kEmbeddingDims);
  if (count == 0) return {};
  if (Status s = device_->CopyIn(rows_, rows.data(), rows.size()); !s.ok()) return s;
  const uint32_t trip = static_cast<uint32_t>(
      std::min<uint64_t>(kTripQueries, kListKeysMax / (uint64_t{ChunksOf(count)} * k)));
  for (uint32_t first = 0; first < count; first += trip) {
    const uint32_t queries = std::min(trip, count - first);
    if (Status s = LaunchPairs(count, first, queries, k, threshold); !s.ok()) return s;
    const auto matches = out.subspan(size_t{first} * k, size_t{queries} * k);
    if (Status s = device_->CopyOut(matches.data(), matches_, matches.size_bytes()); !s.ok()) return s;
  }
  return {};
}

Status DeviceBulk::LaunchLabels(LabelRule rule, uint32_t nodes, uint32_t weight_min, bool odd_step) {
  const LabelArguments arguments = {.offsets = reinterpret_cast<const uint32_t*>(offsets_),
                                    .neighbours = reinterpret_cast<const uint32_t*>(neighbours_),
                                    .weights = reinterpret_cast<const uint32_t*>(weights_),
                                    .labels = reinterpret_cast<const uint32_t*>(labels_[odd_step]),
                                    .next = reinterpret_cast<uint32_t*>(labels_[!odd_step]),
                                    .slots = reinterpret_cast<VoteSlot*>(slots_),
                                    .changed = reinterpret_cast<uint32_t*>(changed_),
                                    .nodes = nodes,
                                    .weight_min = weight_min};
  constexpr uint32_t kNodesEach = kLabelThreads / 32;
  return Launch(*device_, rule == LabelRule::kComponents ? "ComponentStep" : "LabelStep",
                {.blocks_x = (nodes + kNodesEach - 1) / kNodesEach, .threads = kLabelThreads}, arguments);
}

Result<uint32_t> DeviceBulk::PropagateLabels(const LabelGraph& graph, LabelRule rule,
                                             uint32_t weight_min, uint32_t steps_max,
                                             std::span<uint32_t> labels) {
  if (labels.empty()) return std::min(1u, steps_max);
  const uint32_t nodes = static_cast<uint32_t>(labels.size());
  if (Status s = device_->CopyIn(offsets_, graph.offsets.data(), graph.offsets.size_bytes()); !s.ok())
    return Error{s.message()};
  if (Status s = device_->CopyIn(neighbours_, graph.neighbours.data(), graph.neighbours.size_bytes());
      !s.ok())
    return Error{s.message()};
  if (Status s = device_->CopyIn(weights_, graph.weights.data(), graph.weights.size_bytes()); !s.ok())
    return Error{s.message()};
  if (Status s = device_->CopyIn(labels_[0], labels.data(), labels.size_bytes()); !s.ok())
    return Error{s.message()};
  uint32_t steps = 0;
  for (uint32_t changed = 1; changed != 0 && steps < steps_max; ++steps) {
    changed = 0;
    if (Status s = device_->CopyIn(changed_, &changed, sizeof changed); !s.ok()) return Error{s.message()};
    if (Status s = LaunchLabels(rule, nodes, weight_min, steps % 2 != 0); !s.ok()) return Error{s.message()};
    if (Status s = device_->CopyOut(&changed, changed_, sizeof changed); !s.ok()) return Error{s.message()};
  }
  if (Status s = device_->CopyOut(labels.data(), labels_[steps % 2], labels.size_bytes()); !s.ok())
    return Error{s.message()};
  return steps;
}

}  // namespace stillwatch::gpu
