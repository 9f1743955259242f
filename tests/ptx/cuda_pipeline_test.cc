// Verdicts of a whole pipeline whose GPU disappears: the kernels' PTX in the place of a GPU that fails at an operation drawn by a
// seed, wherever in the run that is. Every exchange is sketched and joined all the same, and every record equals a CPU run's.
#include <gtest/gtest.h>

#include <random>

#include "gpu/cpu/cpu_backend.h"
#include "gpu/cuda/cuda_backend.h"
#include "gpu/window/window.h"
#include "pipeline/pipeline.h"
#include "pipeline/sink/memory_sink.h"
#include "tests/pipeline/detect/crowd.h"
#include "tests/ptx/device_code.h"
#include "tests/ptx/ptx_device.h"

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
  size_t campaigns = 0;
  uint64_t near_duplicates = 0, sketch_failed = 0;
};

Played Play(gpu::Backend* backend) {
  PipelineOptions options;
  options.salt = Salt{11};
  options.token_hash = crowd::TokenOf;
  options.write_request_sketches = true;
  options.tunables.profiles_max = 4096;
  options.tunables.fragment_rows_max = 1 << 16;
  options.tunables.doorkeeper_rows = 1 << 18;
  MemorySink sink;
  CounterRegistry registry;
  Pipeline pipeline(options, backend, &sink, &registry);
  dataplane::ExchangeBuilder builder;
  uint64_t order = 0;
  for (const crowd::Request& request : TheCrowd().requests) {
    pipeline.OnExchange(crowd::BuildExchange(TheCrowd(), request, order++, &builder));
  }
  EXPECT_TRUE(pipeline.Finish().ok());
  Played played;
  for (const Event& event : sink.events()) AppendLine(event, &played.records);
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

}  // namespace
}  // namespace stillwatch::pipeline
