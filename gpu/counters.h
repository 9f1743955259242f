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
  kFlowsEmbedded,       // flow records embedded
  kPairsRows,           // account rows compared with all others
  kLabelSteps,          // steps of labels over a graph
  kDeviceFailed,  // failures of the GPU; look at the log for the driver's words, restart to use it
                  // again
  kFallbackRows,  // rows that the GPU failed to compute and the CPU did in its place
  kJoinsSkipped,  // texts that were not compared with others, because the GPU failed and the CPU
                  // cannot join so many; restart to use the GPU again
  kDegraded,      // 1 from a failure of the GPU on: the CPU computes everything (gauge)
  kCount
};
inline constexpr CounterNames<GpuCounter> kGpuCounterNames{
    "gpu.texts_sketched",      "gpu.window_texts",   "gpu.window_candidates",
    "gpu.window_popular_band", "gpu.window_evicted", "gpu.topk_queries",
    "gpu.flows_embedded",      "gpu.pairs_rows",     "gpu.label_steps",
    "gpu.device_failed",       "gpu.fallback_rows",  "gpu.joins_skipped",
    "gpu.degraded"};

}  // namespace stillwatch::gpu
