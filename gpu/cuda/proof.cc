#include "gpu/cuda/proof.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>
#include <random>

#include "gpu/cpu/sketch_row.h"
#include "gpu/cuda/device_bulk.h"
#include "gpu/cuda/device_window.h"
#include "gpu/cuda/window_keeper.h"
#include "gpu/cuda/launch.h"
#include "gpu/flow/flow_embedding.h"
#include "gpu/join/labels.h"
#include "gpu/join/representatives.h"

namespace stillwatch::gpu {
namespace {

constexpr uint32_t kRarityHalf = 4'096;
constexpr uint32_t kEmbeddingRows = 65'536;

// Tables of random values: both twins read the same ones, so no file and no tokenizer is needed.
struct ProofTables {
  explicit ProofTables(uint64_t seed)
      : entries(2 * kRarityHalf), rows(size_t{kEmbeddingRows} * kEmbeddingDims) {
    std::mt19937_64 random(seed);
    for (uint32_t& entry : entries)
      entry = random() % 2 != 0 ? static_cast<uint32_t>(random()) | 1 : 0;
    for (int8_t& value : rows) value = static_cast<int8_t>(static_cast<int>(random() % 255) - 127);
    host.seeds = MakeSketchSeeds(Salt{seed});
    host.rarity = {entries.data(), kRarityHalf - 1, 208};
    host.embedding = {rows.data(), kEmbeddingRows - 1};
    host.versions = {1, host.seeds.salt_id, 2, 3};
  }
  std::vector<uint32_t> entries;
  std::vector<int8_t> rows;
  SketchTables host;
};

struct ProofTexts {
  std::vector<uint32_t> tokens, offsets{0}, cuts;
  void Add(std::mt19937_64& random, uint32_t count, uint32_t cut, uint32_t vocabulary) {
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t token = static_cast<uint32_t>(random());
      tokens.push_back(vocabulary != 0 ? token % vocabulary * 0x9e3779b1u : token);
    }
    offsets.push_back(static_cast<uint32_t>(tokens.size()));
    cuts.push_back(cut);
  }
  uint32_t rows() const { return static_cast<uint32_t>(cuts.size()); }
};

// Device memory is taken as it is needed and given back with the device: a proof runs once.
class Bench {
 public:
  Bench(Device& device, uint64_t seed) : device_(device), tables_(seed) {}

  const SketchTables& host() const { return tables_.host; }
  const std::string& error() const { return error_; }
  void ClearError() { error_.clear(); }

  bool UploadTables() {
    DeviceTables tables = {tables_.host.seeds, tables_.host.rarity, tables_.host.embedding,
                           tables_.host.versions};
    tables.rarity.entries = reinterpret_cast<const uint32_t*>(Up(tables_.entries));
    tables.embedding.rows = reinterpret_cast<const int8_t*>(Up(tables_.rows));
    device_tables_ = Take(sizeof tables);
    return Good(device_.CopyIn(device_tables_, &tables, sizeof tables));
  }
  uint64_t Take(uint64_t bytes) {
    if (!error_.empty()) return 0;
    Result<uint64_t> address = device_.Take(std::max<uint64_t>(bytes, 1), "proof");
    if (!address.ok()) error_ = address.message();
    return address.ok() ? address.value() : 0;
  }
  template <typename T>
  uint64_t Up(const std::vector<T>& values) {
    const uint64_t address = Take(values.size() * sizeof(T));
    Good(error_.empty() ? device_.CopyIn(address, values.data(), values.size() * sizeof(T))
                        : Status());
    return address;
  }
  bool Good(const Status& status) {
    if (!status.ok() && error_.empty()) error_ = status.message();
    return error_.empty();
  }
  template <typename... T>
  bool Launch(const char* kernel, LaunchShape shape, const T&... values) {
    const void* const arguments[] = {&values...};
    return error_.empty() && Good(device_.Launch(kernel, shape, arguments));
  }
  // Waits for all that was queued.
  bool Wait() {
    uint32_t word = 0;
    return error_.empty() && Good(device_.CopyOut(&word, device_tables_, sizeof word));
  }
  uint64_t tables() const { return device_tables_; }
  Device& device() { return device_; }

 private:
  Device& device_;
  ProofTables tables_;
  uint64_t device_tables_ = 0;
  std::string error_;
};

struct SketchLaunch {
  uint64_t tokens, offsets, cuts, out;
  uint32_t rows;
  bool Run(Bench& bench) const {
    return bench.Launch("SketchTexts", {.blocks_x = rows, .threads = kSketchThreads},
                        bench.tables(), tokens, offsets, cuts, out);
  }
};
SketchLaunch Upload(Bench& bench, const ProofTexts& texts) {
  return {bench.Up(texts.tokens), bench.Up(texts.offsets), bench.Up(texts.cuts),
          bench.Take(texts.rows() * sizeof(Sketch)), texts.rows()};
}

EqualityResult ProveSketches(Bench& bench, const char* name, const ProofTexts& texts) {
  EqualityResult result = {name, texts.rows(), 0, ""};
  const SketchLaunch launch = Upload(bench, texts);
  std::vector<Sketch> got(texts.rows());
  if (launch.Run(bench))
    bench.Good(bench.device().CopyOut(got.data(), launch.out, got.size() * sizeof(Sketch)));
  for (uint32_t row = 0; row < texts.rows(); ++row) {
    Sketch expected;
    SketchRowScalar(bench.host(), texts.tokens.data() + texts.offsets[row],
                    texts.offsets[row + 1] - texts.offsets[row], texts.cuts[row], &expected);
    result.different += std::memcmp(&expected, &got[row], sizeof expected) != 0;
  }
  result.error = bench.error();
  bench.ClearError();
  return result;
}

struct TopKLaunch {
  uint64_t queries, rows, lists, out;
  uint32_t query_count, row_count, k;
  bool Run(Bench& bench) const {
    const uint32_t chunks = (row_count + kTopKChunkRows - 1) / kTopKChunkRows,
                   list_keys = chunks * k;
    return bench.Launch("TopKChunk",
                        {.blocks_x = (query_count + kTopKQueries - 1) / kTopKQueries,
                         .blocks_y = chunks,
                         .threads = kTopKThreads},
                        queries, query_count, rows, row_count, k, lists) &&
           bench.Launch("MergeTopK", {.blocks_x = (query_count + 3) / 4, .threads = kMergeThreads},
                        lists, query_count, list_keys, k, out);
  }
};

std::vector<int8_t> RandomRows(std::mt19937_64& random, size_t rows, bool many_ties) {
  std::vector<int8_t> values(rows * kEmbeddingDims);
  for (int8_t& value : values) value = static_cast<int8_t>(many_ties ? random() % 3 - 1 : random());
  return values;
}

TopKLaunch Upload(Bench& bench, const std::vector<int8_t>& queries, const std::vector<int8_t>& rows,
                  uint32_t k) {
  TopKLaunch launch = {};
  launch.query_count = static_cast<uint32_t>(queries.size() / kEmbeddingDims);
  launch.row_count = static_cast<uint32_t>(rows.size() / kEmbeddingDims);
  launch.k = k;
  launch.queries = bench.Up(queries);
  launch.rows = bench.Up(rows);
  const uint64_t chunks = (launch.row_count + kTopKChunkRows - 1) / kTopKChunkRows;
  launch.lists = bench.Take(launch.query_count * chunks * k * sizeof(uint64_t));
  launch.out = bench.Take(uint64_t{launch.query_count} * k * sizeof(RepresentativeMatch));
  return launch;
}

EqualityResult ProveTopK(Bench& bench, const char* name, uint32_t query_count, uint32_t row_count,
                         uint32_t k, bool ties) {
  std::mt19937_64 random(row_count + k);
  const std::vector<int8_t> rows = RandomRows(random, row_count, ties),
                            queries = RandomRows(random, query_count, ties);
  EqualityResult result = {name, query_count, 0, ""};
  std::vector<RepresentativeMatch> got(size_t{query_count} * k), expected(got.size());
  const TopKLaunch launch = Upload(bench, queries, rows, k);
  if (launch.Run(bench)) {
    bench.Good(
        bench.device().CopyOut(got.data(), launch.out, got.size() * sizeof(RepresentativeMatch)));
  }
  Result<Representatives> plain = Representatives::Make(row_count, ScalarDotKernel());
  if (!plain.ok() || !plain.value().Set(rows).ok() ||
      !plain.value().TopK(queries, k, expected).ok()) {
    result.error = "the CPU twin failed";
  }
  for (uint32_t q = 0; q < query_count; ++q) {
    result.different += std::memcmp(&got[size_t{q} * k], &expected[size_t{q} * k],
                                    k * sizeof(RepresentativeMatch)) != 0;
  }
  if (!bench.error().empty()) result.error = bench.error();
  bench.ClearError();
  return result;
}

// A batch in which half of the texts share keys with others.
void MakeWindowBatch(std::mt19937_64& random, uint32_t rows, std::vector<Sketch>* sketches,
                     std::vector<uint64_t>* ids) {
  sketches->resize(rows);
  ids->resize(rows);
  std::memset(static_cast<void*>(sketches->data()), 0, rows * sizeof(Sketch));
  for (uint32_t row = 0; row < rows; ++row) {
    Sketch& sketch = (*sketches)[row];
    const uint32_t family = static_cast<uint32_t>(random() % 40);
    const uint32_t shared = random() % 2 != 0 ? static_cast<uint32_t>(random() % (kBands + 1)) : 0;
    for (uint32_t b = 0; b < kBands; ++b) {
      sketch.bands[b] =
          b < shared ? Mix32(family * kBands + b + 1) : static_cast<uint32_t>(random());
    }
    for (uint8_t& byte : sketch.oph) byte = static_cast<uint8_t>(random());
    for (uint64_t& word : sketch.simhash) word = random();
    sketch.tokens = random() % 20 == 0 ? 0 : 10;
    (*ids)[row] = random() % 1'000'000;
  }
}

// Texts by turns through two queues with pinned memory, two trips under way, as the backend does.
EqualityResult ProveQueues(Bench& bench, uint32_t trips) {
  constexpr uint32_t kRows = 300, kTokens = 20;
  EqualityResult result = {"sketches, two queues", uint64_t{trips} * kRows, 0, ""};
  struct Lane {
    uint64_t tokens, offsets, cuts, sketches;
    uint32_t* host_tokens = nullptr;
    Sketch* host_sketches = nullptr;
  } lanes[kDeviceQueues];
  const std::vector<uint32_t> cuts(kRows, 0);
  std::vector<uint32_t> offsets;
  for (uint32_t row = 0; row <= kRows; ++row) offsets.push_back(row * kTokens);
  for (Lane& lane : lanes) {
    lane = {bench.Take(kRows * kTokens * 4), bench.Up(offsets), bench.Up(cuts),
            bench.Take(kRows * sizeof(Sketch))};
    Result<void*> memory =
        bench.device().TakeHost(kRows * (sizeof(Sketch) + kTokens * sizeof(uint32_t)), "proof");
    if (!bench.Good(memory.ok() ? Status() : memory.error())) break;
    lane.host_sketches = static_cast<Sketch*>(memory.value());
    lane.host_tokens = reinterpret_cast<uint32_t*>(lane.host_sketches + kRows);
  }
  const auto token = [](uint32_t trip, uint32_t i) { return Mix32(trip * kRows * kTokens + i); };
  const auto end_trip = [&](uint32_t trip) {
    const Lane& lane = lanes[trip % kDeviceQueues];
    if (!bench.Good(bench.device().Wait(trip % kDeviceQueues))) return;
    for (uint32_t row = 0; row < kRows; ++row) {
      uint32_t tokens[kTokens];
      for (uint32_t i = 0; i < kTokens; ++i) tokens[i] = token(trip, row * kTokens + i);
      Sketch expected;
      SketchRowScalar(bench.host(), tokens, kTokens, 0, &expected);
      result.different += std::memcmp(&expected, &lane.host_sketches[row], sizeof expected) != 0;
    }
  };
  for (uint32_t trip = 0; trip < trips + kDeviceQueues && bench.error().empty(); ++trip) {
    if (trip >= kDeviceQueues) end_trip(trip - kDeviceQueues);
    if (trip >= trips) continue;
    const uint32_t queue = trip % kDeviceQueues;
    const Lane& lane = lanes[queue];
    for (uint32_t i = 0; i < kRows * kTokens; ++i) lane.host_tokens[i] = token(trip, i);
    Device& device = bench.device();
    const uint64_t tables = bench.tables();
    const void* const arguments[] = {&tables, &lane.tokens, &lane.offsets, &lane.cuts,
                                     &lane.sketches};
    bench.Good(device.QueueCopyIn(queue, lane.tokens, lane.host_tokens, kRows * kTokens * 4));
    bench.Good(device.QueueLaunch(queue, "SketchTexts",
                                  {.blocks_x = kRows, .threads = kSketchThreads}, arguments));
    bench.Good(device.QueueCopyOut(queue, lane.host_sketches, lane.sketches,
                                   kRows * sizeof(Sketch)));
  }
  result.error = bench.error();
  bench.ClearError();
  return result;
}

// The last batch is answered by a window that was rebuilt on the host, as after a failure.
EqualityResult ProveWindow(Device& device, uint64_t seed, uint32_t rows, uint32_t batches) {
  EqualityResult result = {"window", 0, 0, ""};
  CounterBlock<GpuCounter> cpu_counters(kGpuCounterNames), gpu_counters(kGpuCounterNames);
  const WindowOptions options = {.bytes = LshWindow::BytesMin(), .batch_rows_max = rows};
  auto cpu = LshWindow::Make(options, &cpu_counters);
  auto gpu = DeviceWindow::Make(options, &device, &gpu_counters);
  if (!cpu.ok() || !gpu.ok()) {
    result.error = cpu.ok() ? gpu.message() : cpu.message();
    return result;
  }
  CounterBlock<GpuCounter> twin_counters(kGpuCounterNames);
  auto twin = LshWindow::Make(options, &twin_counters);
  if (!twin.ok()) return {"window", 0, 0, twin.message()};
  auto keeper = WindowKeeper::Make(options, twin.value().get());
  if (!keeper.ok()) return {"window", 0, 0, keeper.message()};
  std::mt19937_64 random(seed);
  std::vector<Sketch> sketches;
  std::vector<uint64_t> ids;
  std::vector<Candidate> expected, got;
  for (uint32_t batch = 0; batch < batches; ++batch) {
    if (batch % 4 == 3) {
      cpu.value()->AdvanceEpoch();
      gpu.value()->AdvanceEpoch();
      keeper.value()->KeepEpoch();
    }
    if (batch == 2) {
      if (const Status kept = keeper.value()->Checkpoint(*gpu.value()); !kept.ok())
        return {"window", result.cases, result.different, kept.message()};
    }
    MakeWindowBatch(random, rows, &sketches, &ids);
    if (!cpu.value()->ProbeAndInsert(sketches, ids, &expected).ok()) result.error = "the CPU twin";
    const bool rebuilt = batch + 1 == batches;
    if (rebuilt) keeper.value()->Rebuild();
    const Status done = rebuilt ? twin.value()->ProbeAndInsert(sketches, ids, &got)
                                : gpu.value()->ProbeAndInsert(sketches, ids, &got);
    if (!done.ok()) result.error = done.message();
    if (!rebuilt) keeper.value()->KeepBatch(sketches, ids);
    if (!result.error.empty()) return result;
    result.cases += expected.size();
    result.different +=
        !std::equal(expected.begin(), expected.end(), got.begin(), got.end(),
                    [](const Candidate& a, const Candidate& b) {
                      return a.row == b.row && a.id == b.id && a.bands_shared == b.bands_shared &&
                             a.oph_equal == b.oph_equal && a.simhash_distance == b.simhash_distance;
                    });
  }
  return result;
}

// Flow records of every size and gap, with few instructions each.
struct ProofFlows {
  ProofFlows(std::mt19937_64& random, uint32_t count, uint32_t steps_each) {
    for (uint32_t flow = 0; flow < count; ++flow) {
      const uint32_t length = steps_each != 0 ? steps_each : static_cast<uint32_t>(random() % 300);
      for (uint32_t i = 0; i < length; ++i) {
        steps.push_back({static_cast<uint32_t>(random()) >> random() % 32,
                         static_cast<uint32_t>(random()) >> random() % 32,
                         static_cast<uint8_t>(random() % 2),
                         {}});
      }
      const std::vector<int8_t> rows = RandomRows(random, flow % 3, false);
      instructions.insert(instructions.end(), rows.begin(), rows.end());
      step_offsets.push_back(static_cast<uint32_t>(steps.size()));
      instruction_offsets.push_back(static_cast<uint32_t>(instructions.size() / kEmbeddingDims));
    }
  }
  FlowBatch batch() const { return {steps, step_offsets, instructions, instruction_offsets}; }

  std::vector<FlowStep> steps;
  std::vector<int8_t> instructions;
  std::vector<uint32_t> step_offsets{0}, instruction_offsets{0};
};

// Each node lists `degree` others, as often as not one of the first few: hubs of labels.
struct ProofGraph {
  ProofGraph(std::mt19937_64& random, uint32_t nodes, uint32_t degree) : labels(nodes) {
    for (uint32_t node = 0; node < nodes; ++node) {
      const uint32_t edges = node == 0 ? 20 * degree : static_cast<uint32_t>(random() % (2 * degree + 1));
      for (uint32_t i = 0; i < edges; ++i) {
        neighbours.push_back(static_cast<uint32_t>(random() % (random() % 2 != 0 ? nodes : 1 + nodes / 50)));
        weights.push_back(static_cast<uint32_t>(random() % 5));
      }
      offsets.push_back(static_cast<uint32_t>(neighbours.size()));
    }
    std::iota(labels.begin(), labels.end(), 0u);
  }
  LabelGraph view() const { return {offsets, neighbours, weights}; }

  std::vector<uint32_t> offsets{0}, neighbours, weights, labels;
};

BackendOptions BulkOptions(uint32_t pairs, uint32_t nodes, uint32_t edges) {
  BackendOptions options;
  options.pairs_rows_max = pairs;
  options.graph_nodes_max = nodes;
  options.graph_edges_max = edges;
  return options;
}

std::string ErrorOf(const Status& status) { return status.ok() ? "" : status.message(); }

EqualityResult ProveFlows(DeviceBulk& bulk, uint64_t seed, uint32_t count) {
  std::mt19937_64 random(seed);
  const ProofFlows flows(random, count, 0);
  const FlowBatch batch = flows.batch();
  std::vector<FlowEmbedding> got(count);
  EqualityResult result = {"flow embeddings", count, 0, ErrorOf(bulk.EmbedFlows(batch, got))};
  const FlowFilters filters = MakeFlowFilters(Salt{});
  for (uint32_t i = 0; i < count; ++i) {
    FlowEmbedding expected;
    const uint32_t step = flows.step_offsets[i], row = flows.instruction_offsets[i];
    EmbedFlow(filters, FlowKernelFor({}).convolve,
              batch.steps.subspan(step, flows.step_offsets[i + 1] - step),
              batch.instructions.subspan(size_t{row} * kEmbeddingDims,
                                         size_t{flows.instruction_offsets[i + 1] - row} * kEmbeddingDims),
              &expected);
    result.different += std::memcmp(&expected, &got[i], sizeof expected) != 0;
  }
  return result;
}

EqualityResult ProvePairs(DeviceBulk& bulk, uint64_t seed, uint32_t rows, uint32_t k) {
  std::mt19937_64 random(seed);
  const std::vector<int8_t> values = RandomRows(random, rows, seed % 2 != 0);
  const int32_t threshold = seed % 2 != 0 ? 0 : 20'000;
  std::vector<RepresentativeMatch> got(size_t{rows} * k), expected(got.size());
  EqualityResult result = {"account pairs", rows, 0, ErrorOf(bulk.AllPairs(values, k, threshold, got))};
  Result<Representatives> plain = Representatives::Make(rows, ScalarDotKernel());
  if (!plain.ok() || !plain.value().AllPairs(values, k, threshold, expected).ok()) {
    result.error = "the CPU twin failed";
  }
  for (uint32_t q = 0; q < rows; ++q) {
    result.different += std::memcmp(&got[size_t{q} * k], &expected[size_t{q} * k],
                                    k * sizeof(RepresentativeMatch)) != 0;
  }
  return result;
}

EqualityResult ProveLabels(DeviceBulk& bulk, LabelRule rule, uint64_t seed, uint32_t nodes) {
  std::mt19937_64 random(seed);
  ProofGraph graph(random, nodes, 6);
  std::vector<uint32_t> expected = graph.labels;
  EqualityResult result = {rule == LabelRule::kComponents ? "components" : "labels", nodes, 0, ""};
  LabelStepper stepper(nodes);
  const Result<uint32_t> cpu = stepper.Run(graph.view(), rule, 1, 6, expected);
  const Result<uint32_t> gpu = bulk.PropagateLabels(graph.view(), rule, 1, 6, graph.labels);
  if (!cpu.ok() || !gpu.ok()) {
    result.error = cpu.ok() ? gpu.message() : cpu.message();
    return result;
  }
  result.different += cpu.value() != gpu.value();
  for (uint32_t node = 0; node < nodes; ++node) result.different += expected[node] != graph.labels[node];
  return result;
}

// Seconds of one run, by runs that queue behind one another after one to warm up.
template <typename F>
double SecondsOf(Bench& bench, uint32_t runs, F&& run) {
  using Clock = std::chrono::steady_clock;
  if (!run() || !bench.Wait()) return 0;
  const Clock::time_point begin = Clock::now();
  for (uint32_t i = 0; i < runs; ++i) {
    if (!run()) return 0;
  }
  if (!bench.Wait()) return 0;
  return std::chrono::duration<double>(Clock::now() - begin).count() / runs;
}

KernelTime MeasureSketches(Bench& bench, uint32_t tokens, uint32_t rows) {
  std::mt19937_64 random(tokens);
  ProofTexts texts;
  for (uint32_t i = 0; i < rows; ++i) texts.Add(random, tokens, 0, 50'000);
  const SketchLaunch launch = Upload(bench, texts);
  KernelTime time;
  time.name = "SketchTexts, " + std::to_string(tokens) + " tokens";
  time.items = rows;
  time.seconds = SecondsOf(bench, 20, [&] { return launch.Run(bench); });
  time.bytes_memory = double{1} * rows * (tokens * 4 + sizeof(Sketch));
  // A row of the embedding and two sectors of the rarity table for each token.
  time.bytes_cache = double{1} * rows * tokens * (kEmbeddingDims + 2 * 32);
  time.error = bench.error();
  bench.ClearError();
  return time;
}

KernelTime MeasureTopK(Bench& bench, uint32_t queries, uint32_t rows, uint32_t k) {
  std::mt19937_64 random(rows);
  const TopKLaunch launch =
      Upload(bench, RandomRows(random, queries, false), RandomRows(random, rows, false), k);
  KernelTime time;
  time.name =
      "TopKChunk + MergeTopK, " + std::to_string(rows) + " representatives, k " + std::to_string(k);
  time.items = queries;
  time.seconds = SecondsOf(bench, 5, [&] { return launch.Run(bench); });
  time.bytes_memory = double{1} * kEmbeddingDims * rows;
  time.bytes_cache =
      double{1} * kEmbeddingDims * rows * ((queries + kTopKQueries - 1) / kTopKQueries);
  time.int8_operations = 2.0 * kEmbeddingDims * queries * rows;
  time.error = bench.error();
  bench.ClearError();
  return time;
}

KernelTime MeasureFlows(Bench& bench, DeviceBulk& bulk) {
  constexpr uint32_t kFlows = 1'024;
  std::mt19937_64 random(11);
  const ProofFlows flows(random, kFlows, kFlowStepsMax);
  std::vector<FlowEmbedding> out(kFlows);
  KernelTime time;
  time.name = "EmbedFlows, 256 records";
  time.items = kFlows;
  bench.Good(bulk.EmbedFlows(flows.batch(), out));
  time.seconds = SecondsOf(bench, 20, [&] { return bench.Good(bulk.LaunchFlows(kFlows)); });
  time.bytes_memory = double{1} * kFlows * (kFlowStepsMax * sizeof(FlowStep) + kEmbeddingDims + sizeof(FlowEmbedding));
  time.bytes_cache = time.bytes_memory + double{1} * kFlows * sizeof(FlowFilters);
  time.int8_operations = 2.0 * kFlows * kFlowStepsMax * sizeof(FlowFilters);
  time.error = bench.error();
  bench.ClearError();
  return time;
}

KernelTime MeasurePairs(Bench& bench, DeviceBulk& bulk, uint32_t rows) {
  constexpr uint32_t kTrip = 4'096;
  std::mt19937_64 random(12);
  std::vector<RepresentativeMatch> out(size_t{rows} * 8);
  KernelTime time;
  time.name = "AllPairsChunk + MergeTopK, " + std::to_string(rows) + " accounts, k 8";
  time.items = kTrip;
  bench.Good(bulk.AllPairs(RandomRows(random, rows, false), 8, 0, out));
  time.seconds = SecondsOf(bench, 5, [&] { return bench.Good(bulk.LaunchPairs(rows, 0, kTrip, 8, 0)); });
  time.bytes_memory = double{1} * kEmbeddingDims * rows;
  time.bytes_cache = double{1} * kEmbeddingDims * rows * (kTrip / kTopKQueries);
  time.int8_operations = 2.0 * kEmbeddingDims * kTrip * rows;
  time.error = bench.error();
  bench.ClearError();
  return time;
}

KernelTime MeasureLabels(Bench& bench, DeviceBulk& bulk, LabelRule rule, const ProofGraph& graph) {
  const auto nodes = static_cast<uint32_t>(graph.labels.size());
  std::vector<uint32_t> labels = graph.labels;
  KernelTime time;
  time.name = rule == LabelRule::kComponents ? "ComponentStep, 1000000 nodes" : "LabelStep, 1000000 nodes";
  time.items = nodes;
  const Result<uint32_t> first = bulk.PropagateLabels(graph.view(), rule, 1, 1, labels);
  if (!first.ok()) bench.Good(Error{first.message()});
  time.seconds = SecondsOf(bench, 10, [&] { return bench.Good(bulk.LaunchLabels(rule, nodes, 1, false)); });
  // Lists and labels once from memory; a sector of labels for each edge through L2.
  const double edges = static_cast<double>(graph.neighbours.size());
  time.bytes_memory = 8 * edges + 12.0 * nodes;
  time.bytes_cache = time.bytes_memory + 32 * edges;
  time.error = bench.error();
  bench.ClearError();
  return time;
}

// A batch of 4,096 texts with all its copies and the joining of candidates on the host.
KernelTime MeasureWindow(Device& device) {
  KernelTime time;
  time.name = "window batch of 4096, with copies";
  CounterBlock<GpuCounter> counters(kGpuCounterNames);
  auto window =
      DeviceWindow::Make({.bytes = 256u << 20, .batch_rows_max = 4'096}, &device, &counters);
  if (!window.ok()) {
    time.error = window.message();
    return time;
  }
  std::mt19937_64 random(9);
  std::vector<Sketch> sketches;
  std::vector<uint64_t> ids;
  std::vector<Candidate> candidates;
  constexpr int kBatches = 20;
  for (int i = 0; i < kBatches && time.error.empty(); ++i) {
    MakeWindowBatch(random, 4'096, &sketches, &ids);
    const auto begin = std::chrono::steady_clock::now();
    const Status done = window.value()->ProbeAndInsert(sketches, ids, &candidates);
    if (!done.ok()) time.error = done.message();
    time.seconds +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / kBatches;
  }
  time.items = 4'096;
  return time;
}

KernelTime MeasureCopy(Bench& bench, bool in) {
  std::vector<uint8_t> host(64u << 20);
  const uint64_t at = bench.Take(host.size());
  KernelTime time;
  time.name = in ? "copy in, pageable" : "copy out, pageable";
  time.items = static_cast<double>(host.size());
  time.seconds = SecondsOf(bench, 5, [&] {
    return bench.Good(in ? bench.device().CopyIn(at, host.data(), host.size())
                         : bench.device().CopyOut(host.data(), at, host.size()));
  });
  time.error = bench.error();
  bench.ClearError();
  return time;
}

}  // namespace

std::vector<EqualityResult> ProveEquality(Device& device, uint32_t rounds) {
  std::vector<EqualityResult> results;
  Result<DeviceBulk> bulk = DeviceBulk::Make(BulkOptions(3'000, 3'000, 60'000), &device);
  if (!bulk.ok()) {
    results.push_back({"device memory", 0, 0, bulk.message()});
    return results;
  }
  for (uint32_t round = 0; round < rounds; ++round) {
    Bench bench(device, round * 7919);
    if (!bench.UploadTables()) {
      results.push_back({"tables", 0, 0, bench.error()});
      return results;
    }
    std::mt19937_64 random(round + 1);
    ProofTexts any, hostile;
    for (int i = 0; i < 200; ++i) {
      const uint32_t length = static_cast<uint32_t>(random() % 300);
      any.Add(random, length, static_cast<uint32_t>(random() % (length + 3)), i % 2 != 0 ? 100 : 0);
    }
    for (const uint32_t length : {0u, 1u, 2u, 3u, 4u, 127u, 128u, 129u, 4096u}) {
      for (const uint32_t cut : {0u, 1u, 2u, 127u, 2048u, 5000u})
        hostile.Add(random, length, cut, cut == 2 ? 1 : 0);
    }
    results.push_back(ProveSketches(bench, "sketches, random texts", any));
    results.push_back(ProveSketches(bench, "sketches, hostile texts", hostile));
    if (round == 0) results.push_back(ProveQueues(bench, 6));
    if (round < 4) results.push_back(ProveWindow(device, round + 1, 64 + 500 * round, 6));
    const uint32_t more = round * 61;
    results.push_back(ProveTopK(bench, "top-k, one representative", 5, 1, 3, false));
    results.push_back(ProveTopK(bench, "top-k, random", 70 + more, 500 + more, 64, false));
    results.push_back(ProveTopK(bench, "top-k, many ties", 33, 700 + more, 10, true));
    results.push_back(
        ProveTopK(bench, "top-k, two chunks", 4, kTopKChunkRows + 1 + more, 17, true));
    results.push_back(ProveFlows(bulk.value(), round, 30 + more));
    results.push_back(ProvePairs(bulk.value(), round, 150 + more, 1 + round % 64));
    results.push_back(ProveLabels(bulk.value(), LabelRule::kComponents, round, 200 + more));
    results.push_back(ProveLabels(bulk.value(), LabelRule::kPropagate, round, 200 + more));
  }
  return results;
}

std::vector<KernelTime> MeasureKernels(Device& device) {
  std::vector<KernelTime> times;
  Bench bench(device, 1);
  if (!bench.UploadTables()) {
    times.push_back({});
    times.back().error = bench.error();
    return times;
  }
  times.push_back(MeasureSketches(bench, 20, 65'536));
  times.push_back(MeasureSketches(bench, 100, 65'536));
  times.push_back(MeasureSketches(bench, 1'000, 16'384));
  times.push_back(MeasureTopK(bench, 4'096, 65'536, 8));
  times.push_back(MeasureTopK(bench, 4'096, 1'000'000, 8));
  std::mt19937_64 random(13);
  const ProofGraph graph(random, 1'000'000, 16);
  Result<DeviceBulk> bulk = DeviceBulk::Make(
      BulkOptions(65'536, 1'000'000, static_cast<uint32_t>(graph.neighbours.size())), &device);
  if (bulk.ok()) {
    times.push_back(MeasureFlows(bench, bulk.value()));
    times.push_back(MeasurePairs(bench, bulk.value(), 65'536));
    times.push_back(MeasureLabels(bench, bulk.value(), LabelRule::kComponents, graph));
    times.push_back(MeasureLabels(bench, bulk.value(), LabelRule::kPropagate, graph));
  } else {
    times.push_back({});
    times.back().error = bulk.message();
  }
  times.push_back(MeasureWindow(device));
  times.push_back(MeasureCopy(bench, true));
  times.push_back(MeasureCopy(bench, false));
  return times;
}

}  // namespace stillwatch::gpu
