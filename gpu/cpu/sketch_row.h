// One text's sketch on the CPU, twice: the plain loop over the kernel bodies, which is the
// definition that everything else must equal, and the vectorised one. Pure functions of (tables,
// tokens, cut); scratch belongs to the caller, one for each thread.
#pragma once

#include <cstdint>

#include "gpu/backend.h"
#include "gpu/embed/embedding.h"
#include "gpu/sketch/rarity.h"
#include "gpu/sketch/seeds.h"

namespace stillwatch::gpu {

// A longer text is refused before it gets here: sums of weights then stay below 2^20.
inline constexpr uint32_t kTextTokensMax = 65'536;

struct SketchTables {
  SketchSeeds seeds;
  RarityView rarity;
  EmbeddingView embedding;
  SketchVersions versions;
};

// count <= kTextTokensMax; overwrites all of *out.
void SketchRowScalar(const SketchTables& tables, const uint32_t* tokens, uint32_t count,
                     uint32_t cut, Sketch* out);

// Intermediate arrays of the vectorised sketch; about 10 KiB.
struct SimdScratch;
using SketchRowSimd = void (*)(const SketchTables& tables, const uint32_t* tokens, uint32_t count,
                               uint32_t cut, SimdScratch* scratch, Sketch* out);
// The fastest one that this processor runs, with its name ("avx2", "avx512").
struct SimdChoice {
  SketchRowSimd row;
  const char* name;
};
// One part alone leaves the other fields zero: for measuring the stages.
enum class SketchPart { kAll, kOph, kSimHash, kEmbedding };
SimdChoice ChooseSketchRowSimd(SketchPart part = SketchPart::kAll);

SimdScratch* NewSimdScratch(const SketchSeeds& seeds);
void DeleteSimdScratch(SimdScratch* scratch);

}  // namespace stillwatch::gpu
