// A plugin library for tests of whole programs: loaded as the CUDA one is, with the kernels' PTX in the place of a GPU. It
// fails at the batch that STILLWATCH_TEST_GPU_FAILS_AT names (0: the first that is sketched) and at everything after it.
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tests/ptx/ptx_device.h"

namespace stillwatch::ptx {
namespace {

gpu::Device* Open(std::string* why_not) {
  const std::string path = STILLWATCH_DEVICE_CODE "/kernels_80.ptx";
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  Result<Module> loaded = Module::Load(text.str());
  if (!file || !loaded.ok()) {
    *why_not = path + (loaded.ok() ? " cannot be read" : ": " + loaded.message());
    return nullptr;
  }
  static Module kernels = std::move(loaded).value();  // the library stays loaded
  static DeviceScript script;
  script.keep_log = false;
  if (const char* at = std::getenv("STILLWATCH_TEST_GPU_FAILS_AT"); at != nullptr) script.fail_batch = std::strtoull(at, nullptr, 10);
  if (const char* bytes = std::getenv("STILLWATCH_TEST_GPU_BYTES"); bytes != nullptr) script.free_bytes = std::strtoull(bytes, nullptr, 10);
  return new PtxDevice(&kernels, &script);
}

}  // namespace
}  // namespace stillwatch::ptx

extern "C" __attribute__((visibility("default"))) stillwatch::gpu::Device* stillwatch_cuda_open_2(std::string* why_not) {
  return stillwatch::ptx::Open(why_not);
}
