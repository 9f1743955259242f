// The CPU backends behind gpu/backend.h: the vectorised one that ships (MakeCpuBackend) and the
// plain one that defines the answers, for tests.
#pragma once

#include <memory>

#include "base/result.h"
#include "gpu/backend.h"

namespace stillwatch::gpu {

// Same results as MakeCpuBackend, bit for bit, one token and one row at a time.
Result<std::unique_ptr<Backend>> MakeScalarBackend(const BackendOptions& options);

// MakeCpuBackend that counts in `counters`, which outlives it: the one that a GPU's backend falls
// back to.
Result<std::unique_ptr<Backend>> MakeCpuTwin(const BackendOptions& options,
                                             CounterBlock<GpuCounter>* counters);

// The message when spans do not agree or a text has more than 65,536 tokens.
Status CheckBatch(const TokenBatch& batch, size_t out_size);

}  // namespace stillwatch::gpu
