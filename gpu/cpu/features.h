// What this processor can run, for the choice among kernels that are written with intrinsics. The
// choice is a function of this value and not of the processor, so that a test can take features away
// and see each level chosen and run.
#pragma once

namespace stillwatch::gpu {

struct CpuFeatures {
  bool avx2 = false;
  bool avx512 = false;  // F and BW
  bool vnni = false;    // AVX-512 VNNI; counts only with avx512
};

inline CpuFeatures FeaturesOfThisCpu() {
#if defined(__x86_64__)
  return {.avx2 = __builtin_cpu_supports("avx2") != 0,
          .avx512 = __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0,
          .vnni = __builtin_cpu_supports("avx512vnni") != 0};
#else
  return {};
#endif
}

}  // namespace stillwatch::gpu
