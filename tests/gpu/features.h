// Every set of features that this processor can be taken for.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "gpu/cpu/features.h"

namespace stillwatch::gpu {

inline std::vector<CpuFeatures> FeatureSubsets() {
  const CpuFeatures all = FeaturesOfThisCpu();
  std::vector<CpuFeatures> subsets;
  for (unsigned bits = 0; bits < 8; ++bits) {
    const CpuFeatures some = {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
    if ((some.avx2 && !all.avx2) || (some.avx512 && !all.avx512) || (some.vnni && !all.vnni)) continue;
    subsets.push_back(some);
  }
  return subsets;
}

// The kernel that must be taken. VNNI without AVX-512 is none: its kernel's compares need BW.
inline std::string LevelOf(const CpuFeatures& features) {
  if (features.avx512) return features.vnni ? "avx512-vnni" : "avx512";
  return features.avx2 ? "avx2" : "scalar";
}

inline std::set<std::string> LevelsOfThisCpu() {
  std::set<std::string> levels;
  for (const CpuFeatures& some : FeatureSubsets()) levels.insert(LevelOf(some));
  return levels;
}

}  // namespace stillwatch::gpu
