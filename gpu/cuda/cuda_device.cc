// The real device, by the CUDA runtime (linked statically: the library loads on a machine without a
// driver, and says so). The kernels are the fat binary beside it, found by name.
#include <cuda_runtime_api.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gpu/cuda/device.h"

// The fat binary, by the assembler.
asm(R"(
  .section .rodata
  .balign 16
  stillwatch_fatbin:
  .incbin ")" STILLWATCH_FATBIN R"("
  .byte 0
  .text
)");
extern "C" const char stillwatch_fatbin[];

namespace stillwatch::gpu {
namespace {

Status StatusOf(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return {};
  return Error{std::string(what) + ": " + cudaGetErrorString(error) + " (" +
               cudaGetErrorName(error) + ")"};
}

void* Pointer(uint64_t address) { return reinterpret_cast<void*>(address); }

class CudaDevice final : public Device {
 public:
  ~CudaDevice() override {
    for (void* block : blocks_) cudaFree(block);
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
    if (library_ != nullptr) cudaLibraryUnload(library_);
  }

  Status Open() {
    int count = 0;
    if (Status s = StatusOf(cudaGetDeviceCount(&count), "cudaGetDeviceCount"); !s.ok()) return s;
    if (count == 0) return Error{"there is no GPU"};
    if (Status s = StatusOf(cudaSetDevice(0), "cudaSetDevice"); !s.ok()) return s;
    cudaDeviceProp properties;
    if (Status s = StatusOf(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
        !s.ok())
      return s;
    name_ = properties.name;
    if (properties.major < 8)
      return Error{name_ + " is older than the kernels are compiled for (compute capability 8.0)"};
    if (Status s = StatusOf(cudaLibraryLoadData(&library_, stillwatch_fatbin, nullptr, nullptr, 0,
                                                nullptr, nullptr, 0),
                            "loading the kernels");
        !s.ok()) {
      return s;
    }
    return StatusOf(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
  }

  std::string Name() const override { return name_; }
  uint64_t FreeBytes() const override {
    size_t free_bytes = 0, all = 0;
    return cudaMemGetInfo(&free_bytes, &all) == cudaSuccess ? free_bytes : 0;
  }

  Result<uint64_t> Take(uint64_t bytes, const std::string& what) override {
    void* block = nullptr;
    if (Status s = StatusOf(cudaMalloc(&block, bytes), what.c_str()); !s.ok())
      return Error{s.message()};
    blocks_.push_back(block);
    if (Status s = StatusOf(cudaMemset(block, 0, bytes), what.c_str()); !s.ok())
      return Error{s.message()};
    if (Status s = StatusOf(cudaDeviceSynchronize(), what.c_str()); !s.ok())
      return Error{s.message()};
    return reinterpret_cast<uint64_t>(block);
  }
  Status CopyIn(uint64_t to, const void* from, uint64_t bytes) override {
    if (bytes == 0) return {};
    return StatusOf(cudaMemcpyAsync(Pointer(to), from, bytes, cudaMemcpyHostToDevice, stream_),
                    "copy to the GPU");
  }
  Status CopyOut(void* to, uint64_t from, uint64_t bytes) override {
    if (Status s =
            StatusOf(cudaMemcpyAsync(to, Pointer(from), bytes, cudaMemcpyDeviceToHost, stream_),
                     "copy from the GPU");
        !s.ok()) {
      return s;
    }
    return StatusOf(cudaStreamSynchronize(stream_), "waiting for the GPU");
  }
  Status Launch(const char* kernel, LaunchShape shape,
                std::span<const void* const> arguments) override {
    auto found = kernels_.find(kernel);
    if (found == kernels_.end()) {
      cudaKernel_t handle = nullptr;
      if (Status s = StatusOf(cudaLibraryGetKernel(&handle, library_, kernel), kernel); !s.ok())
        return s;
      found = kernels_.emplace(kernel, handle).first;
    }
    const dim3 grid(shape.blocks_x, shape.blocks_y), block(shape.threads);
    return StatusOf(cudaLaunchKernel(found->second, grid, block,
                                     const_cast<void**>(arguments.data()), 0, stream_),
                    kernel);
  }

 private:
  std::string name_;
  cudaLibrary_t library_ = nullptr;
  cudaStream_t stream_ = nullptr;
  std::vector<void*> blocks_;
  std::map<std::string, cudaKernel_t, std::less<>> kernels_;
};

}  // namespace
}  // namespace stillwatch::gpu

extern "C" __attribute__((visibility("default"))) stillwatch::gpu::Device* stillwatch_cuda_open_1(
    std::string* why_not) {
  auto device = std::make_unique<stillwatch::gpu::CudaDevice>();
  const stillwatch::Status opened = device->Open();
  if (opened.ok()) return device.release();
  *why_not = opened.message();
  return nullptr;
}
