// gpu_proof equality ROUNDS | measure: the part of tools/gpu-proof that talks to the GPU. One JSON
// object a line; exit 1 when something differs or fails, 3 without a GPU.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "gpu/cuda/proof.h"

extern "C" stillwatch::gpu::Device* stillwatch_cuda_open_2(std::string* why_not);

namespace stillwatch::gpu {
namespace {

// Names and messages hold no control characters.
std::string Quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

int Main(int count, char** words) {
  const std::string what = count > 1 ? words[1] : "";
  if (what != "equality" && what != "measure") {
    std::fprintf(stderr, "gpu_proof equality ROUNDS | measure\n");
    return 64;
  }
  std::string why_not;
  const std::unique_ptr<Device> device(stillwatch_cuda_open_2(&why_not));
  if (device == nullptr) {
    std::fprintf(stderr, "gpu_proof: no GPU: %s\n", why_not.c_str());
    return 3;
  }
  std::printf("{\"device\": %s, \"free_bytes\": %llu}\n", Quoted(device->Name()).c_str(),
              static_cast<unsigned long long>(device->FreeBytes()));
  bool good = true;
  if (what == "equality") {
    for (const EqualityResult& r :
         ProveEquality(*device, count > 2 ? static_cast<uint32_t>(std::atoi(words[2])) : 1)) {
      good &= r.different == 0 && r.error.empty();
      std::printf("{\"name\": %s, \"cases\": %llu, \"different\": %llu, \"error\": %s}\n",
                  Quoted(r.name).c_str(), static_cast<unsigned long long>(r.cases),
                  static_cast<unsigned long long>(r.different), Quoted(r.error).c_str());
    }
  } else {
    for (const KernelTime& t : MeasureKernels(*device)) {
      good &= t.error.empty();
      std::printf(
          "{\"name\": %s, \"seconds\": %.9g, \"items\": %.0f, \"bytes_memory\": %.0f, "
          "\"bytes_cache\": %.0f, "
          "\"int8_operations\": %.0f, \"error\": %s}\n",
          Quoted(t.name).c_str(), t.seconds, t.items, t.bytes_memory, t.bytes_cache,
          t.int8_operations, Quoted(t.error).c_str());
    }
  }
  return good ? 0 : 1;
}

}  // namespace
}  // namespace stillwatch::gpu

int main(int count, char** words) { return stillwatch::gpu::Main(count, words); }
