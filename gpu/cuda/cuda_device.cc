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
    for (cudaStream_t stream : streams_) {
      if (stream != nullptr) cudaStreamDestroy(stream);  // waits for what it runs
    }
    for (cudaGraphExec_t graph : graphs_) cudaGraphExecDestroy(graph);
    for (void* block : blocks_) cudaFree(block);
    for (void* block : host_blocks_) cudaFreeHost(block);
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
    for (cudaStream_t& stream : streams_) {
      if (Status s = StatusOf(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking),
                              "cudaStreamCreate");
          !s.ok())
        return s;
    }
    return {};
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
  Result<void*> TakeHost(uint64_t bytes, const std::string& what) override {
    void* block = nullptr;
    if (Status s = StatusOf(cudaHostAlloc(&block, bytes, cudaHostAllocDefault), what.c_str());
        !s.ok())
      return Error{s.message()};
    host_blocks_.push_back(block);
    return block;
  }

  Status QueueCopyIn(uint32_t queue, uint64_t to, const void* from, uint64_t bytes) override {
    if (bytes == 0) return {};
    return StatusOf(
        cudaMemcpyAsync(Pointer(to), from, bytes, cudaMemcpyHostToDevice, streams_[queue]),
        "copy to the GPU");
  }
  Status QueueCopyOut(uint32_t queue, void* to, uint64_t from, uint64_t bytes) override {
    if (bytes == 0) return {};
    return StatusOf(
        cudaMemcpyAsync(to, Pointer(from), bytes, cudaMemcpyDeviceToHost, streams_[queue]),
        "copy from the GPU");
  }
  Status QueueLaunch(uint32_t queue, const char* kernel, LaunchShape shape,
                     std::span<const void* const> arguments) override {
    auto found = kernels_.find(kernel);
    if (found == kernels_.end()) {
      cudaKernel_t handle = nullptr;
      if (Status s = StatusOf(cudaLibraryGetKernel(&handle, library_, kernel), kernel); !s.ok())
        return s;
      found = kernels_.emplace(kernel, handle).first;
    }
    const dim3 grid(shape.blocks_x, shape.blocks_y), block(shape.threads);
    return StatusOf(
        cudaLaunchKernel(found->second, grid, block, const_cast<void**>(arguments.data()), 0,
                         streams_[queue]),
        kernel);
  }
  Status Wait(uint32_t queue) override {
    return StatusOf(cudaStreamSynchronize(streams_[queue]), "waiting for the GPU");
  }

  Status BeginGraph() override {
    return StatusOf(cudaStreamBeginCapture(streams_[0], cudaStreamCaptureModeThreadLocal),
                    "recording a graph");
  }
  Result<uint64_t> EndGraph() override {
    cudaGraph_t graph = nullptr;
    if (Status s = StatusOf(cudaStreamEndCapture(streams_[0], &graph), "recording a graph");
        !s.ok())
      return Error{s.message()};
    cudaGraphExec_t ready = nullptr;
    const Status made = StatusOf(cudaGraphInstantiate(&ready, graph, 0), "making a graph");
    cudaGraphDestroy(graph);
    if (!made.ok()) return Error{made.message()};
    graphs_.push_back(ready);
    return uint64_t{graphs_.size() - 1};
  }
  Status QueueGraph(uint32_t queue, uint64_t graph) override {
    return StatusOf(cudaGraphLaunch(graphs_[graph], streams_[queue]), "running a graph");
  }

  Status CopyIn(uint64_t to, const void* from, uint64_t bytes) override {
    if (Status s = QueueCopyIn(0, to, from, bytes); !s.ok()) return s;
    return Wait(0);
  }
  Status CopyOut(void* to, uint64_t from, uint64_t bytes) override {
    if (Status s = QueueCopyOut(0, to, from, bytes); !s.ok()) return s;
    return Wait(0);
  }

 private:
  std::string name_;
  cudaLibrary_t library_ = nullptr;
  cudaStream_t streams_[kDeviceQueues] = {};
  std::vector<void*> blocks_, host_blocks_;
  std::vector<cudaGraphExec_t> graphs_;
  std::map<std::string, cudaKernel_t, std::less<>> kernels_;
};

}  // namespace
}  // namespace stillwatch::gpu

extern "C" __attribute__((visibility("default"))) stillwatch::gpu::Device* stillwatch_cuda_open_2(
    std::string* why_not) {
  auto device = std::make_unique<stillwatch::gpu::CudaDevice>();
  const stillwatch::Status opened = device->Open();
  if (opened.ok()) return device.release();
  *why_not = opened.message();
  return nullptr;
}
