// What a kernel and the host code that launches it agree on: thread counts, tile sizes and the
// layout of arguments. Plain C++ without CUDA headers.
#pragma once

#include <cstdint>

#include "gpu/backend.h"
#include "gpu/embed/embedding.h"
#include "gpu/sketch/rarity.h"
#include "gpu/sketch/seeds.h"

namespace stillwatch::gpu {

// The tables as the device sees them (pointers into device memory); lies in device memory itself.
struct DeviceTables {
  SketchSeeds seeds;
  RarityView rarity;
  EmbeddingView embedding;
  SketchVersions versions;
};

// SketchTexts: one block a text.
inline constexpr uint32_t kSketchThreads = 128;
static_assert(kSketchThreads == kOphBins && kSketchThreads == kEmbeddingDims);

// TopKChunk: one block for 32 queries and one chunk of representatives; MergeTopK: one warp a
// query.
inline constexpr uint32_t kTopKThreads = 128;
inline constexpr uint32_t kTopKQueries = 32;
inline constexpr uint32_t kTopKChunkRows = 16'384;
inline constexpr uint32_t kMergeThreads = 128;

// A match as one number: a larger key is a better match, of equal dots the lower representative.
// 0 stands for no match.
SW_HOST_DEVICE inline uint64_t MatchKey(int32_t dot, uint32_t representative) {
  return static_cast<uint64_t>(static_cast<uint32_t>(dot) ^ 0x80000000u) << 32 |
         (0xffffffffu - representative);
}
SW_HOST_DEVICE inline RepresentativeMatch MatchOf(uint64_t key) {
  return {0xffffffffu - static_cast<uint32_t>(key),
          static_cast<int32_t>(static_cast<uint32_t>(key >> 32) ^ 0x80000000u)};
}

}  // namespace stillwatch::gpu
