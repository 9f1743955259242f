// The window's kernels, as PTX, against the CPU's window: every candidate and every counter.
#include <gmock/gmock.h>

#include <cstring>
#include <random>

#include "gpu/cuda/window_keeper.h"
#include "tests/ptx/device_code.h"
#include "tests/ptx/ptx_device.h"

namespace stillwatch::gpu {
namespace {

using ptx::DeviceScript;
using ptx::PtxDevice;
using testing::HasSubstr;

struct Traffic {
  uint32_t families = 50;   // texts share keys inside one of so many families
  double flood = 0;         // share of keys forced into one bucket
  double repeated_key = 0;  // share of texts with one key in all bands
  double empty = 0;
  uint32_t rows_max = 20;
  uint32_t texts = 600;
  double epoch_chance = 0.1;  // before a batch
  double checkpoint_chance = 0.05;  // before a batch, besides those that are due
  uint32_t texts_after = 2'000;     // that the rebuilt window is asked
  uint32_t seed = 0;          // of blocks, warps and lanes
  const char* arch = "80";
  WindowOptions options = {};
};

Sketch RandomSketch(std::mt19937_64& random, const Traffic& traffic) {
  const auto chance = [&](double p) { return static_cast<double>(random() % 100000) < p * 100000; };
  Sketch sketch;
  std::memset(static_cast<void*>(&sketch), 0, sizeof sketch);
  const uint32_t family = static_cast<uint32_t>(random() % traffic.families);
  const uint32_t shared = static_cast<uint32_t>(random() % (kBands + 1));
  for (uint32_t b = 0; b < kBands; ++b) {
    sketch.bands[b] = b < shared ? Mix32(family * kBands + b + 1) : static_cast<uint32_t>(random());
    if (chance(traffic.flood)) sketch.bands[b] = 0x12345000u + static_cast<uint32_t>(random() % 24);
  }
  if (chance(traffic.repeated_key)) {
    std::fill(sketch.bands, sketch.bands + kBands, sketch.bands[0]);
  }
  for (uint8_t& byte : sketch.oph) byte = static_cast<uint8_t>(random() % 4 * 0x55);
  for (uint64_t& word : sketch.simhash) word = random();
  sketch.tokens = chance(traffic.empty) ? 0 : 10;
  return sketch;
}

struct Batch {
  std::vector<Sketch> sketches;
  std::vector<uint64_t> ids;
};
Batch RandomBatch(std::mt19937_64& random, const Traffic& traffic) {
  Batch batch;
  const uint32_t rows = 1 + static_cast<uint32_t>(random() % traffic.rows_max);
  for (uint32_t row = 0; row < rows; ++row) {
    batch.sketches.push_back(RandomSketch(random, traffic));
    batch.ids.push_back(row > 0 && random() % 20 == 0 ? batch.ids[random() % row]
                                                      : random() % 5000);
  }
  return batch;
}

void ExpectSame(const std::vector<Candidate>& got, const std::vector<Candidate>& expected,
                uint32_t done) {
  ASSERT_EQ(got.size(), expected.size()) << "after " << done << " texts";
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(got[i].row, expected[i].row) << "after " << done << " texts";
    ASSERT_EQ(got[i].id, expected[i].id);
    ASSERT_EQ(got[i].bands_shared, expected[i].bands_shared);
    ASSERT_EQ(got[i].oph_equal, expected[i].oph_equal);
    ASSERT_EQ(got[i].simhash_distance, expected[i].simhash_distance);
  }
}

// The device's window, batch by batch, against the CPU's. Then the device fails, in the middle of a
// checkpoint, and the window that is rebuilt from what the keeper has goes on as the CPU's does.
void ExpectEqual(Traffic traffic) {
  traffic.options.bytes = LshWindow::BytesMin();
  traffic.options.batch_rows_max = traffic.rows_max;
  CounterBlock<GpuCounter> cpu_counters(kGpuCounterNames), gpu_counters(kGpuCounterNames);
  auto cpu = LshWindow::Make(traffic.options, &cpu_counters);
  ASSERT_TRUE(cpu.ok());
  const ptx::Module module = ptx::LoadKernels(traffic.arch);
  DeviceScript script;
  script.seed = traffic.seed;
  PtxDevice device(&module, &script);
  auto gpu = DeviceWindow::Make(traffic.options, &device, &gpu_counters);
  ASSERT_TRUE(gpu.ok()) << gpu.message();
  CounterBlock<GpuCounter> twin_counters(kGpuCounterNames);
  auto twin = LshWindow::Make(traffic.options, &twin_counters);
  ASSERT_TRUE(twin.ok());
  auto keeper = WindowKeeper::Make(traffic.options, twin.value().get());
  ASSERT_TRUE(keeper.ok());
  std::mt19937_64 random(traffic.texts);
  const auto chance = [&](double p) { return static_cast<double>(random() % 1000) < p * 1000; };
  size_t reported = 0;
  uint32_t done = 0;
  std::vector<Candidate> expected, got;
  while (done < traffic.texts) {
    if (chance(traffic.epoch_chance)) {
      cpu.value()->AdvanceEpoch();
      gpu.value()->AdvanceEpoch();
      keeper.value()->KeepEpoch();
    }
    const Batch batch = RandomBatch(random, traffic);
    if (keeper.value()->Full(batch.sketches.size()) || chance(traffic.checkpoint_chance)) {
      ASSERT_TRUE(keeper.value()->Checkpoint(*gpu.value()).ok());
    }
    ASSERT_TRUE(cpu.value()->ProbeAndInsert(batch.sketches, batch.ids, &expected).ok());
    const Status status = gpu.value()->ProbeAndInsert(batch.sketches, batch.ids, &got);
    ASSERT_TRUE(status.ok()) << status.message();
    keeper.value()->KeepBatch(batch.sketches, batch.ids);
    ASSERT_NO_FATAL_FAILURE(ExpectSame(got, expected, done));
    reported += got.size();
    done += static_cast<uint32_t>(batch.sketches.size());
  }
  EXPECT_GT(reported, 100u) << "the run compared next to nothing";
  for (size_t i = 0; i < static_cast<size_t>(GpuCounter::kCount); ++i) {
    const auto counter = static_cast<GpuCounter>(i);
    EXPECT_EQ(gpu_counters.Get(counter), cpu_counters.Get(counter)) << kGpuCounterNames[i];
  }
  EXPECT_EQ(script.fault, "");

  // The buckets come, the ring's texts do not; where the last batches had none, the buckets neither.
  script.fail_at = script.operations + (traffic.empty == 0 ? 1 : 0);
  EXPECT_FALSE(keeper.value()->Checkpoint(*gpu.value()).ok());
  keeper.value()->Rebuild();
  EXPECT_EQ(twin_counters.Get(GpuCounter::kWindowTexts), 0u) << "counted when they were answered";
  reported = 0;
  for (uint32_t more = 0; more < traffic.texts_after;) {
    if (chance(traffic.epoch_chance)) {
      cpu.value()->AdvanceEpoch();
      twin.value()->AdvanceEpoch();
    }
    const Batch batch = RandomBatch(random, traffic);
    ASSERT_TRUE(cpu.value()->ProbeAndInsert(batch.sketches, batch.ids, &expected).ok());
    ASSERT_TRUE(twin.value()->ProbeAndInsert(batch.sketches, batch.ids, &got).ok());
    ASSERT_NO_FATAL_FAILURE(ExpectSame(got, expected, done + more)) << "rebuilt";
    reported += got.size();
    more += static_cast<uint32_t>(batch.sketches.size());
  }
  EXPECT_GT(reported, 20u) << "the rebuilt window compared next to nothing";
}

TEST(WindowKernels, SmallBatchesManyEpochs) {
  ExpectEqual(
      {.repeated_key = 0.02, .empty = 0.05, .options = {.bucket_pairs_max = 8, .epochs_kept = 2}});
  ExpectEqual({.repeated_key = 0.02,
               .empty = 0.05,
               .texts = 500,
               .options = {.bucket_pairs_max = 62, .epochs_kept = 1}});
  ExpectEqual({.empty = 0.5,
               .texts = 400,
               .epoch_chance = 0.5,
               .options = {.bucket_pairs_max = 5, .epochs_kept = 64}});
}

TEST(WindowKernels, EveryArchitectureInAnyOrder) {
  for (const char* arch : {"80", "90", "90a", "100"}) {
    for (const uint32_t seed : {1u, 2u}) {
      ExpectEqual({.repeated_key = 0.05,
                   .texts = 150,
                   .seed = seed,
                   .arch = arch,
                   .options = {.bucket_pairs_max = 16, .epochs_kept = 2}});
    }
  }
}

// A flood of keys into one bucket, and one key in all bands of many texts.
TEST(WindowKernels, Floods) {
  ExpectEqual({.families = 500,
               .flood = 0.3,
               .repeated_key = 0.1,
               .rows_max = 200,
               .texts = 800,
               .epoch_chance = 0.2,
               .options = {.bucket_pairs_max = 32, .epochs_kept = 3}});
  ExpectEqual({.families = 1,
               .flood = 1,
               .rows_max = 100,
               .texts = 300,
               .options = {.bucket_pairs_max = 62, .epochs_kept = 2}});
}

TEST(WindowKernels, TheRingComesRound) {
  ExpectEqual({.families = 3000,
               .rows_max = 1024,
               .texts = 26'500,
               .epoch_chance = 0.05,
               .texts_after = 30'000,
               .options = {.bucket_pairs_max = 32, .epochs_kept = 2}});
}

TEST(WindowKernels, TooLittleDeviceMemorySaysWhatWouldFit) {
  const ptx::Module module = ptx::LoadKernels("80");
  CounterBlock<GpuCounter> counters(kGpuCounterNames);
  WindowOptions options = {.bytes = 64u << 20, .batch_rows_max = 64};
  DeviceScript script;
  script.free_bytes = 40u << 20;
  PtxDevice device(&module, &script);
  auto made = DeviceWindow::Make(options, &device, &counters);
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(made.message(), HasSubstr(" or less would fit"));
  const size_t at = made.message().find("window_bytes of ") + 16;
  options.bytes = std::strtoull(made.message().c_str() + at, nullptr, 10);
  EXPECT_TRUE(DeviceWindow::Make(options, &device, &counters).ok()) << "what it says is true";
  DeviceScript tiny;
  tiny.free_bytes = 1000;
  PtxDevice small(&module, &tiny);
  EXPECT_THAT(DeviceWindow::Make(options, &small, &counters).message(),
              HasSubstr("not even the smallest"));
  options.bytes = 1000;
  EXPECT_THAT(DeviceWindow::Make(options, &device, &counters).message(),
              HasSubstr("the smallest that fits is"));
}

}  // namespace
}  // namespace stillwatch::gpu
