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
