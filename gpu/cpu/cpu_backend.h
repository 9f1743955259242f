// The CPU backends behind gpu/backend.h: the vectorised one that ships (MakeCpuBackend) and the
// plain one that defines the answers, for tests.
#pragma once

#include <memory>

#include "base/result.h"
#include "gpu/backend.h"

namespace stillwatch::gpu {

// Same results as MakeCpuBackend, bit for bit, one token and one row at a time.
Result<std::unique_ptr<Backend>> MakeScalarBackend(const BackendOptions& options);

}  // namespace stillwatch::gpu
