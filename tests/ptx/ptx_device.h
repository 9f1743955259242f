// A device that runs the kernels' PTX on the CPU, fails where it is told to, and has as much memory
// as it is told.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "gpu/cuda/device.h"
#include "tests/ptx/ptx.h"

namespace stillwatch::ptx {

// Outlives the device, so that a test sees what happened.
struct DeviceScript {
  uint64_t free_bytes = 1ull << 30;
  uint64_t fail_at = UINT64_MAX;  // the operation with this number fails, and all after it
  uint64_t operations = 0;        // so far
  uint32_t seed = 0;              // of every launch
  uint64_t warp_instructions = 0;
  std::string fault;  // the first that a kernel made; a test asserts that there is none
};

class PtxDevice final : public gpu::Device {
 public:
  PtxDevice(const Module* module, DeviceScript* script) : module_(module), script_(script) {}

  std::string Name() const override { return "PTX on the CPU"; }
  uint64_t FreeBytes() const override { return script_->free_bytes; }

  Result<uint64_t> Take(uint64_t bytes, const std::string& what) override {
    if (Status status = Operation("allocation"); !status.ok()) return Error{status.message()};
    if (bytes > script_->free_bytes) return Error{"out of device memory"};
    script_->free_bytes -= bytes;
    blocks_.push_back(std::make_unique<std::vector<uint8_t>>(bytes));
    return memory_.Map(what, blocks_.back()->data(), bytes);
  }
  Status CopyIn(uint64_t to, const void* from, uint64_t bytes) override {
    if (Status status = Operation("copy to the device"); !status.ok()) return status;
    return Copy(to, bytes, true, [&](uint8_t* data) { std::memcpy(data, from, bytes); });
  }
  Status CopyOut(void* to, uint64_t from, uint64_t bytes) override {
    if (Status status = Operation("copy from the device"); !status.ok()) return status;
    return Copy(from, bytes, false, [&](uint8_t* data) { std::memcpy(to, data, bytes); });
  }
  Status Launch(const char* kernel, gpu::LaunchShape shape,
                std::span<const void* const> arguments) override {
    if (Status status = Operation("launch"); !status.ok()) return status;
    const Report report =
        module_->Launch(kernel, {shape.blocks_x, shape.blocks_y}, {shape.threads, 1}, arguments,
                        memory_, {.seed = script_->seed});
    script_->warp_instructions += report.warp_instructions;
    if (report.ok()) return {};
    if (script_->fault.empty()) script_->fault = report.error;
    return Error{report.error};
  }

 private:
  Status Operation(const char* what) {
    if (script_->operations++ < script_->fail_at) return {};
    return Error{std::string("injected fault: ") + what};
  }
  template <typename F>
  Status Copy(uint64_t at, uint64_t bytes, bool write, F&& copy) {
    if (bytes == 0) return {};
    std::string why;
    uint8_t* data = memory_.Resolve(at, static_cast<uint32_t>(bytes), write, &why);
    if (data == nullptr) {
      if (script_->fault.empty()) script_->fault = why;
      return Error{why};
    }
    copy(data);
    return {};
  }

  const Module* module_;
  DeviceScript* script_;
  Memory memory_;
  std::vector<std::unique_ptr<std::vector<uint8_t>>> blocks_;
};

}  // namespace stillwatch::ptx
