// The CPU backends behind gpu/backend.h: the vectorised one that ships (MakeCpuBackend) and the
// plain one that defines the answers, for tests.
#pragma once

#include <memory>

#include "base/result.h"
#include "gpu/backend.h"
#include "gpu/window/window.h"

namespace stillwatch::gpu {

// Same results as MakeCpuBackend, bit for bit, one token and one row at a time.
Result<std::unique_ptr<Backend>> MakeScalarBackend(const BackendOptions& options);

// MakeCpuBackend that counts in `counters`, which outlives it: the one that a GPU's backend falls
// back to. `window` is the backend's own.
struct CpuTwin {
  std::unique_ptr<Backend> backend;
  LshWindow* window = nullptr;
};
Result<CpuTwin> MakeCpuTwin(const BackendOptions& options, CounterBlock<GpuCounter>* counters);
WindowOptions WindowOptionsOf(const BackendOptions& options);

// The message when spans do not agree or a text has more than 65,536 tokens.
Status CheckBatch(const TokenBatch& batch, size_t out_size);
// The message when a text was sketched with another salt or table.
Status CheckVersions(std::span<const Sketch> sketches, const SketchVersions& versions);

}  // namespace stillwatch::gpu
