#include "gpu/cuda/device_memory.h"

#include <algorithm>

#include "base/mutant.h"
#include "gpu/cpu/cpu_backend.h"
#include "gpu/cpu/sketch_row.h"
#include "gpu/cuda/device_bulk.h"
#include "gpu/cuda/device_window.h"
#include "gpu/cuda/launch.h"
#include "gpu/embed/embedding_table.h"
#include "gpu/join/representatives.h"
#include "gpu/sketch/rarity_table.h"

namespace stillwatch::gpu {
namespace {

constexpr uint64_t kMib = 1ull << 20;
constexpr uint64_t kLeastWindow = 16 * kMib, kLeastRepresentatives = 16;  // of their configuration keys
static_assert(kTripTokens >= kTextTokensMax);

uint64_t RepresentativeBytes(const BackendOptions& options) {
  return std::max<uint64_t>(options.representatives_max, 1) * kEmbeddingDims;
}

// What of the needs would have to be smaller, and how small, to fit.
std::string Mend(const DeviceMemory& needed, uint64_t available) {
  std::string mend;
  const uint64_t without_rows = needed.fixed + needed.window;
  if (without_rows + kEmbeddingDims <= available) {
    mend = "representatives_max of " + std::to_string((available - without_rows) / kEmbeddingDims) +
           " or less (sketch.representatives_max) would fit";
  }
  const uint64_t without_window = needed.fixed + needed.representatives;
  if (without_window + kLeastWindow <= available) {
    const uint64_t window = available - without_window;
    mend += (mend.empty() ? "" : ", or ") + ("window_bytes of " + std::to_string(window) + " or less (sketch.window_mib = " +
                                            std::to_string(window / kMib) + ") would fit");
  }
  if (!mend.empty()) return mend;
  return "the smallest window (sketch.window_mib) and the fewest representatives (sketch.representatives_max) need " +
         std::to_string(needed.fixed + kLeastWindow + kLeastRepresentatives * kEmbeddingDims) +
         "; sketch.bucket_pairs_max lowers the fixed part";
}

}  // namespace

DeviceParts DevicePartsOf(const BackendOptions& options, uint64_t rarity_bytes, uint64_t embedding_bytes) {
  return {{{sizeof(DeviceTables), "tables"},
           {rarity_bytes, "rarity table"},
           {embedding_bytes, "embedding table"},
           {kTripTokens * sizeof(uint32_t), "tokens"},
           {(kTripRows + 1) * sizeof(uint32_t), "offsets"},
           {kTripRows * sizeof(uint32_t), "cuts"},
           {kTripRows * sizeof(Sketch), "sketches"},
           {kTripTokens * sizeof(uint32_t), "tokens"},
           {(kTripRows + 1) * sizeof(uint32_t), "offsets"},
           {kTripRows * sizeof(uint32_t), "cuts"},
           {kTripRows * sizeof(Sketch), "sketches"},
           {RepresentativeBytes(options), "representatives"},
           {kTripQueries * kEmbeddingDims, "queries"},
           {kListKeysMax * sizeof(uint64_t), "lists"},
           {kTripQueries * kTopKMax * sizeof(RepresentativeMatch), "matches"}}};
}

DeviceMemory DeviceMemoryWith(const BackendOptions& options, uint64_t rarity_bytes, uint64_t embedding_bytes) {
  WindowOptions no_window = WindowOptionsOf(options);
  const uint64_t window_and_batch = DeviceWindow::DeviceBytesFor(no_window);
  no_window.bytes = 0;
  const uint64_t batch = DeviceWindow::DeviceBytesFor(no_window);
  DeviceMemory memory;
  memory.window = window_and_batch - batch;
  memory.representatives = RepresentativeBytes(options);
  memory.fixed = batch + DeviceBulk::BytesOf(options);
  for (const DevicePart& part : DevicePartsOf(options, rarity_bytes, embedding_bytes)) memory.fixed += part.bytes;
  memory.fixed -= memory.representatives;
  return memory;
}

Result<DeviceMemory> DeviceMemoryFor(const BackendOptions& options) {
  const Result<RarityTable> rarity = RarityTable::Open(options.rarity_table_path, options.salt);
  if (!rarity.ok()) return rarity.error();
  const Result<EmbeddingTable> embedding = EmbeddingTable::Open(options.embedding_table_path, options.salt);
  if (!embedding.ok()) return embedding.error();
  return DeviceMemoryWith(options, rarity.value().bytes(), embedding.value().bytes());
}

Status CheckDeviceMemory(const DeviceMemory& needed, uint64_t available, const std::string& whose) {
  const uint64_t window = MutantIs("gpu.budget_forgets_window") ? 0 : needed.window;
  if (needed.fixed + window + needed.representatives <= available) return {};
  return Error{"device memory: " + std::to_string(needed.all()) + " bytes are needed (fixed " + std::to_string(needed.fixed) +
               ", window " + std::to_string(needed.window) + ", representatives " + std::to_string(needed.representatives) + "), " +
               whose + "; " + Mend(needed, available)};
}

Status CheckDeviceBudget(const BackendOptions& options) {
  if (options.device_bytes_max == 0) return {};
  const Result<DeviceMemory> needed = DeviceMemoryFor(options);
  if (!needed.ok()) return needed.error();
  return CheckDeviceMemory(needed.value(), options.device_bytes_max,
                           "the budget is " + std::to_string(options.device_bytes_max) + "; sketch.device_mib = " +
                               std::to_string((needed.value().all() + kMib - 1) / kMib) + " would fit");
}

}  // namespace stillwatch::gpu
