// The kernels: thin, each finds its block's share and calls the block's code. Names are C names, so
// that they are launched by name (device.h). -DSW_SEED_... builds with a seeded bug, for tests/ptx
// alone.
#include "gpu/cuda/flow_block.h"
#include "gpu/cuda/label_block.h"
#include "gpu/cuda/launch.h"
#include "gpu/cuda/sketch_block.h"
#include "gpu/cuda/top_k_block.h"
#include "gpu/cuda/window_block.h"

namespace stillwatch::gpu {

extern "C" __global__ void __launch_bounds__(kSketchThreads)
    SketchTexts(const DeviceTables* tables, const uint32_t* tokens, const uint32_t* offsets,
                const uint32_t* cuts, Sketch* out) {
  __shared__ SketchShared shared;
  const uint32_t row = blockIdx.x;
  SketchText(*tables, tokens + offsets[row], offsets[row + 1] - offsets[row], cuts[row], shared,
             out + row);
}

// Four blocks a multiprocessor leave 128 registers a thread: with the compiler's own choice sm_100
// spills.
extern "C" __global__ void __launch_bounds__(kTopKThreads, 4)
    TopKChunk(const int8_t* queries, uint32_t query_count, const int8_t* rows, uint32_t row_count,
              uint32_t k, uint64_t* keys) {
  __shared__ TopKShared shared;
  const uint32_t begin = blockIdx.y * kTopKChunkRows;
  const uint32_t end = begin + kTopKChunkRows < row_count ? begin + kTopKChunkRows : row_count;
  TopKOfChunk<false>(queries, query_count, rows, begin, end, k, INT32_MIN, 0, shared, keys,
                     blockIdx.y, gridDim.y);
}

extern "C" __global__ void __launch_bounds__(kTopKThreads, 4)
    AllPairsChunk(const int8_t* rows, uint32_t row_count, uint32_t first_self, uint32_t query_count,
                  uint32_t k, int32_t threshold, uint64_t* keys) {
  __shared__ TopKShared shared;
  const uint32_t begin = blockIdx.y * kTopKChunkRows;
  const uint32_t end = begin + kTopKChunkRows < row_count ? begin + kTopKChunkRows : row_count;
  TopKOfChunk<true>(rows + static_cast<uint64_t>(first_self) * kEmbeddingDims, query_count, rows,
                    begin, end, k, threshold, first_self, shared, keys, blockIdx.y, gridDim.y);
}

extern "C" __global__ void __launch_bounds__(kMergeThreads)
    MergeTopK(const uint64_t* lists, uint32_t query_count, uint32_t list_keys, uint32_t k,
              RepresentativeMatch* out) {
  const uint32_t query = blockIdx.x * (kMergeThreads / 32) + threadIdx.x / 32;
  if (query >= query_count) return;
  MergeLists(lists + static_cast<uint64_t>(query) * list_keys, list_keys, k,
             out + static_cast<uint64_t>(query) * k);
}

extern "C" __global__ void __launch_bounds__(kFlowThreads)
    EmbedFlows(const FlowFilters* filters, const FlowStep* steps, const uint32_t* step_offsets,
               const int8_t* instructions, const uint32_t* instruction_offsets,
               FlowEmbedding* out) {
  __shared__ FlowShared shared;
  const uint32_t flow = blockIdx.x;
  const uint32_t first_row = instruction_offsets[flow];
  PoolRows(instructions + static_cast<uint64_t>(first_row) * kEmbeddingDims,
           instruction_offsets[flow + 1] - first_row, shared, out + flow);
  ShapeOfSteps(*filters, steps + step_offsets[flow], step_offsets[flow + 1] - step_offsets[flow],
               shared, out + flow);
}

extern "C" __global__ void __launch_bounds__(kLabelThreads) ComponentStep(LabelArguments graph) {
  const uint32_t node = blockIdx.x * (kLabelThreads / 32) + threadIdx.x / 32;
  if (node < graph.nodes) StoreLabel(graph, node, LeastAround(graph, node));
}

extern "C" __global__ void __launch_bounds__(kLabelThreads) LabelStep(LabelArguments graph) {
  __shared__ LabelShared shared;
  const uint32_t node = blockIdx.x * (kLabelThreads / 32) + threadIdx.x / 32;
  if (node < graph.nodes) StoreLabel(graph, node, HeaviestAround(graph, node, shared));
}

extern "C" __global__ void __launch_bounds__(kWindowThreads) WindowItems(WindowBatch batch) {
  MakeItem(batch, blockIdx.x * kWindowThreads + threadIdx.x);
}

extern "C" __global__ void __launch_bounds__(kWindowThreads)
    SortStep(uint64_t* keys, uint32_t pairs, uint32_t size, uint32_t step) {
  const uint32_t i = blockIdx.x * kWindowThreads + threadIdx.x;
  if (i < pairs) SortPair(keys, i, size, step);
}

extern "C" __global__ void __launch_bounds__(kWindowThreads) WindowLink(WindowBatch batch) {
  LinkItem(batch, blockIdx.x * kWindowThreads + threadIdx.x);
}

extern "C" __global__ void __launch_bounds__(kWindowThreads) WindowInsert(WindowBatch batch) {
  InsertBucket(batch, blockIdx.x * kWindowThreads + threadIdx.x);
}

extern "C" __global__ void __launch_bounds__(32)
    WindowCollect(WindowBatch batch, uint32_t first_text, WindowFound* found) {
  __shared__ CollectShared shared;
  CollectText(batch, first_text + blockIdx.x, shared, found);
}

extern "C" __global__ void __launch_bounds__(kStoreThreads) WindowStore(WindowBatch batch) {
  StoreWord(batch, blockIdx.x, threadIdx.x);
}

extern "C" __global__ void __launch_bounds__(kWindowThreads)
    WindowSweep(WindowBatch batch, uint64_t first_bucket) {
  const uint32_t i = blockIdx.x * kWindowThreads + threadIdx.x;
  if (i >= batch.texts) return;
  const uint64_t bucket = first_bucket + i;
  SweepBucket(batch, bucket >= batch.bucket_count ? bucket - batch.bucket_count : bucket);
}

}  // namespace stillwatch::gpu
