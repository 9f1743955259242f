// The flow convolution for AVX2, for AVX-512 (both: pmaddubsw, exact since a pair of products is at most
// 1,778 and eight taps fit 16 bits) and for AVX-512 VNNI (vpdpbusd).
#pragma once

#include "gpu/flow/flow_embedding.h"

namespace stillwatch::gpu {

// Null convolve when these features have none of the three.
FlowKernel FlowKernelX86(const CpuFeatures& features);

}  // namespace stillwatch::gpu
