// Verdicts of a whole pipeline whose GPU disappears: the kernels' PTX in the place of a GPU that fails at an operation drawn by a
// seed, wherever in the run that is. Every exchange is sketched and joined all the same, and every record equals a CPU run's.
#include <gtest/gtest.h>

#include <random>

#include "base/clock.h"
#include "gpu/cpu/cpu_backend.h"
#include "gpu/cuda/cuda_backend.h"
#include "gpu/window/window.h"
#include "pipeline/pipeline.h"
#include "pipeline/sink/memory_sink.h"
#include "tests/pipeline/detect/crowd.h"
#include "tests/ptx/device_code.h"
#include "tests/ptx/ptx_device.h"
#include "tools/stillwatch/skipped.h"

namespace stillwatch::pipeline {
namespace {

using ptx::DeviceScript;

gpu::BackendOptions Options() {
  gpu::BackendOptions options;
  options.salt = Salt{11};
  options.window_bytes = gpu::LshWindow::BytesMin();
  options.representatives_max = 64;
  return options;
}

// Small: a kernel takes milliseconds a text here.
const crowd::Crowd& TheCrowd() {
  static const crowd::Crowd crowd = crowd::MakeCrowd({.seed = 3, .chat_accounts = 200, .app_accounts = 5, .framework_accounts = 40, .classes = 1,
                                                      .harnesses = 1, .batch_jobs = 1, .pack_users = 10, .t1 = true, .t4 = false});
  return crowd;
}

struct Played {
  std::string records;  // of all topics, as NDJSON
  v1::Coverage coverage;  // of the last campaign verdict
  size_t campaigns = 0;
  uint64_t near_duplicates = 0, sketch_failed = 0;
};

// As the daemon does every second: verdicts tell what was skipped.
void NoteCoverage(const gpu::Backend& backend, const CounterRegistry& registry, Pipeline* pipeline) {
  pipeline->SetCoverage(SkippedIn(registry.Snapshot()), backend.Info().degraded);
}

Played Play(gpu::Backend* backend, bool live = false) {
  PipelineOptions options;
  options.salt = Salt{11};
  options.token_hash = crowd::TokenOf;
  options.write_request_sketches = true;
  options.tunables.profiles_max = 4096;
  options.tunables.fragment_rows_max = 1 << 16;
  options.tunables.doorkeeper_rows = 1 << 18;
  MemorySink sink;
  CounterRegistry registry;
  registry.Register(*backend->Counters());
  Pipeline pipeline(options, backend, &sink, &registry);
  dataplane::ExchangeBuilder builder;
  uint64_t order = 0;
  for (const crowd::Request& request : TheCrowd().requests) {
    pipeline.OnExchange(crowd::BuildExchange(TheCrowd(), request, order++, &builder));
    if (live) NoteCoverage(*backend, registry, &pipeline);
  }
  EXPECT_TRUE(pipeline.Finish().ok());
  Played played;
  for (const Event& event : sink.events()) {
    AppendLine(event, &played.records);
    if (event.topic == Topic::kCampaignVerdict) played.coverage = static_cast<const v1::CampaignVerdict&>(*event.message).coverage();
  }
  played.campaigns = pipeline.Campaigns().size();
  played.near_duplicates = pipeline.counters().Get(PipelineCounter::kNearDuplicates);
  played.sketch_failed = pipeline.counters().Get(PipelineCounter::kSketchFailed);
  return played;
}

Played PlayOn(DeviceScript* script, uint64_t* fallback_rows = nullptr) {
  static const ptx::Module kernels = ptx::LoadKernels("80");
  auto backend = gpu::MakeCudaBackend(Options(), std::make_unique<ptx::PtxDevice>(&kernels, script));
  EXPECT_TRUE(backend.ok()) << backend.message();
  Played played = Play(backend.value().get());
  EXPECT_EQ(backend.value()->Info().degraded, script->fail_at != UINT64_MAX);
  if (fallback_rows != nullptr) *fallback_rows = backend.value()->Counters()->Get(gpu::GpuCounter::kFallbackRows);
  EXPECT_EQ(backend.value()->Counters()->Get(gpu::GpuCounter::kJoinsSkipped), 0u);
  return played;
}

TEST(CudaPipeline, VerdictsOfAGpuThatDisappearsEqualTheCpus) {
  auto cpu = gpu::MakeScalarBackend(Options());
  ASSERT_TRUE(cpu.ok());
  const Played expected = Play(cpu.value().get());
  ASSERT_GE(expected.campaigns, 1u) << "or nothing is compared";
  ASSERT_GT(expected.near_duplicates, 100u) << "or the window is not in it";

  DeviceScript whole;
  uint64_t first;  // operation after the start
  {
    static const ptx::Module kernels = ptx::LoadKernels("80");
    DeviceScript start;
    auto backend = gpu::MakeCudaBackend(Options(), std::make_unique<ptx::PtxDevice>(&kernels, &start));
    ASSERT_TRUE(backend.ok());
    first = start.operations;
  }
  const Played healthy = PlayOn(&whole);
  EXPECT_TRUE(healthy.records == expected.records);
  EXPECT_EQ(whole.fault, "");
  ASSERT_GT(whole.operations, first + 1'000);

  std::mt19937_64 random(29);
  for (int run = 0; run < 3; ++run) {
    DeviceScript script;
    script.fail_at = first + random() % (whole.operations - first);
    uint64_t fallback_rows = 0;
    const Played played = PlayOn(&script, &fallback_rows);
    EXPECT_TRUE(played.records == expected.records) << "failed at operation " << script.fail_at << " of " << whole.operations;
    EXPECT_EQ(played.sketch_failed, 0u);
    EXPECT_GT(fallback_rows, 0u);
  }
}

// Ten milliseconds at each look, so that a join takes that long and a CPU cannot join all.
class SlowClock final : public Clock {
 public:
  int64_t MonotonicNs() const override { return now_ns_ += 10 * kNsPerMs; }
  int64_t UnixNs() const override { return now_ns_; }
  mutable int64_t now_ns_ = 0;
};

// A live box whose CPU cannot join all that the GPU could: verdicts say how much was not compared, and no exchange lacks its sketch.
TEST(CudaPipeline, VerdictsTellWhatADegradedBoxSkipped) {
  SlowClock clock;
  gpu::BackendOptions options = Options();
  options.clock = &clock;
  static const ptx::Module kernels = ptx::LoadKernels("80");
  DeviceScript script;
  auto backend = gpu::MakeCudaBackend(options, std::make_unique<ptx::PtxDevice>(&kernels, &script));
  ASSERT_TRUE(backend.ok()) << backend.message();
  script.fail_at = script.operations;
  const Played played = Play(backend.value().get(), true);
  const auto counter = [&](gpu::GpuCounter which) { return backend.value()->Counters()->Get(which); };
  const uint64_t skipped = counter(gpu::GpuCounter::kJoinsSkipped);
  EXPECT_GT(skipped, 100u);
  EXPECT_EQ(counter(gpu::GpuCounter::kTextsSketched), counter(gpu::GpuCounter::kWindowTexts) + skipped) << "joined or counted";
  EXPECT_EQ(played.sketch_failed, 0u);
  ASSERT_GE(played.campaigns, 1u) << "or no verdict tells";
  EXPECT_TRUE(played.coverage.degraded());
  EXPECT_GT(played.coverage.skipped(), 100u);
  EXPECT_LE(played.coverage.skipped(), skipped);

  auto cpu = gpu::MakeScalarBackend(Options());
  const Played whole = Play(cpu.value().get(), true);
  EXPECT_FALSE(whole.coverage.degraded());
  EXPECT_EQ(whole.coverage.skipped(), 0u);
}

}  // namespace
}  // namespace stillwatch::pipeline
