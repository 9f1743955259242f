// What gpu/ counts.
#pragma once

#include "base/counters.h"

namespace stillwatch::gpu {

enum class GpuCounter {
  kTextsSketched,       // texts with at least one token that were sketched
  kWindowTexts,         // texts stored in the window
  kWindowCandidates,    // pairs that the window reported
  kWindowPopularBands,  // band probes that made no pairs because their key was popular
  kWindowEvicted,       // live entries lost because their bucket was full: the window is too small
  kTopKQueries,         // rows compared with the representatives
  kCount
};
inline constexpr CounterNames<GpuCounter> kGpuCounterNames{
    "gpu.texts_sketched",      "gpu.window_texts",   "gpu.window_candidates",
    "gpu.window_popular_band", "gpu.window_evicted", "gpu.topk_queries"};

}  // namespace stillwatch::gpu
