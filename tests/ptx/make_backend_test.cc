// What a start does where there is no plugin library, one that is none, or no GPU.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gpu/backend.h"
#include "gpu/cuda/plugin.h"
#include "gpu/window/window.h"

namespace stillwatch::gpu {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

BackendOptions Options(std::string plugin) {
  BackendOptions options;
  options.window_bytes = LshWindow::BytesMin();
  options.representatives_max = 64;
  options.cuda_plugin_path = std::move(plugin);
  return options;
}

TEST(MakeBackend, WithoutThePluginTheCpuComputes) {
  for (const BackendChoice choice : {BackendChoice::kAuto, BackendChoice::kCpu}) {
    auto made = MakeBackend(Options("/nonexistent/libstillwatch_cuda.so"), choice);
    ASSERT_TRUE(made.ok()) << made.message();
    EXPECT_THAT(made.value()->Info().name, StartsWith("cpu-"));
    EXPECT_FALSE(made.value()->Info().degraded);
  }
  EXPECT_TRUE(MakeBackend(Options(""), BackendChoice::kAuto).ok()) << "none beside the program";
}

TEST(MakeBackend, AskedForCudaItSaysWhatIsMissing) {
  const auto missing =
      MakeBackend(Options("/nonexistent/libstillwatch_cuda.so"), BackendChoice::kCuda);
  ASSERT_FALSE(missing.ok());
  EXPECT_THAT(missing.message(), HasSubstr("/nonexistent/libstillwatch_cuda.so"));
  const auto other = MakeBackend(Options("libm.so.6"), BackendChoice::kCuda);
  ASSERT_FALSE(other.ok());
  EXPECT_THAT(other.message(), HasSubstr("another version of Stillwatch"));
}

TEST(MakeBackend, MistakesInTheOptionsAreErrorsEverywhere) {
  BackendOptions options = Options("");
  options.window_bytes = 1;
  for (const BackendChoice choice :
       {BackendChoice::kAuto, BackendChoice::kCpu, BackendChoice::kCuda}) {
    EXPECT_FALSE(MakeBackend(options, choice).ok());
  }
}

// The same on a machine without a GPU: a budget is a matter of the options alone.
TEST(MakeBackend, ABudgetOfDeviceMemoryFitsToTheByte) {
  BackendOptions options = Options("/nonexistent/libstillwatch_cuda.so");
  const Result<DeviceMemory> needed = DeviceMemoryFor(options);
  ASSERT_TRUE(needed.ok()) << needed.message();
  options.device_bytes_max = needed.value().all();
  EXPECT_TRUE(MakeBackend(options, BackendChoice::kAuto).ok());
  --options.device_bytes_max;
  for (const BackendChoice choice : {BackendChoice::kAuto, BackendChoice::kCuda}) {
    const auto refused = MakeBackend(options, choice);
    ASSERT_FALSE(refused.ok());
    EXPECT_THAT(refused.message(), HasSubstr(std::to_string(needed.value().all()) + " bytes are needed"));
    EXPECT_THAT(refused.message(), HasSubstr("the budget is " + std::to_string(options.device_bytes_max)));
    EXPECT_THAT(refused.message(), HasSubstr("sketch.device_mib = " + std::to_string((needed.value().all() >> 20) + 1) + " would fit"));
    EXPECT_THAT(refused.message(), HasSubstr("representatives_max of 63 or less (sketch.representatives_max) would fit"));
  }
  EXPECT_TRUE(MakeBackend(options, BackendChoice::kCpu).ok()) << "the CPU takes none";
  options.representatives_max = 63;
  EXPECT_TRUE(MakeBackend(options, BackendChoice::kAuto).ok()) << "what it says is true";
}

TEST(MakeBackend, ABudgetNamesEachKeyThatShrinksIt) {
  BackendOptions options = Options("/nonexistent/libstillwatch_cuda.so");
  options.window_bytes = 64u << 20;
  const DeviceMemory needed = DeviceMemoryFor(options).value();
  options.device_bytes_max = needed.all() - (20u << 20);
  const std::string window = MakeBackend(options, BackendChoice::kAuto).message();
  const size_t at = window.find("window_bytes of ");
  ASSERT_NE(at, std::string::npos) << window;
  EXPECT_THAT(window, HasSubstr("(sketch.window_mib = 4"));
  options.window_bytes = std::stoull(window.substr(at + 16));
  EXPECT_TRUE(MakeBackend(options, BackendChoice::kAuto).ok()) << "what it says is true";
  options.window_bucket_pairs_max = 1024;
  EXPECT_GT(DeviceMemoryFor(options).value().fixed, needed.fixed);
  options.device_bytes_max = 1;
  EXPECT_THAT(MakeBackend(options, BackendChoice::kAuto).message(), HasSubstr("sketch.bucket_pairs_max lowers the fixed part"));
}

#ifdef STILLWATCH_CUDA_PLUGIN
// On a machine with a GPU the device opens; on one without, the runtime's own words come through.
// Either way nothing crashes, and the CPU serves.
TEST(MakeBackend, ThePluginLoadsWithAndWithoutADriver) {
  auto device = OpenCudaDevice(STILLWATCH_CUDA_PLUGIN);
  if (device.ok()) {
    EXPECT_NE(device.value()->Name(), "");
    EXPECT_GT(device.value()->FreeBytes(), 0u);
  } else {
    EXPECT_THAT(device.message(), HasSubstr("cudaGetDeviceCount: "));
  }
  auto made = MakeBackend(Options(STILLWATCH_CUDA_PLUGIN), BackendChoice::kAuto);
  ASSERT_TRUE(made.ok()) << made.message();
  EXPECT_THAT(made.value()->Info().name, StartsWith(device.ok() ? "cuda" : "cpu-"));
}
#endif

}  // namespace
}  // namespace stillwatch::gpu
