// A device that runs the kernels' PTX on the CPU, fails where it is told to, and has as much memory
// as it is told. It does everything as late as device.h allows: a queue's work when its queue is
// waited for. So what reads a result too early, or reuses a buffer whose copy is not done, or
// trusts that one queue waits for another, gets wrong bytes.
#pragma once

#include <cstring>
#include <deque>
#include <functional>
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
  uint64_t fail_batch = UINT64_MAX;  // the same by the launch of SketchTexts with this number, from 0 on
  uint64_t operations = 0;        // so far
  bool eager = false;             // does everything at once: the other end of what is allowed
  uint64_t graphs_run = 0;
  bool keep_log = true;
  std::vector<std::string> log;  // of all operations: what, and of launches which kernel
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
  Result<void*> TakeHost(uint64_t bytes, const std::string&) override {
    if (Status status = Operation("host allocation"); !status.ok()) return Error{status.message()};
    host_blocks_.push_back(std::make_unique<std::vector<uint8_t>>(bytes));
    return static_cast<void*>(host_blocks_.back()->data());
  }
  Status QueueCopyIn(uint32_t queue, uint64_t to, const void* from, uint64_t bytes) override {
    if (Status status = Operation("copy to the device"); !status.ok()) return status;
    if (Status status = CheckPinned(from, bytes); !status.ok()) return status;
    return Queue(queue, [=, this] { return CopyNow(to, const_cast<void*>(from), bytes, true); });
  }
  Status QueueCopyOut(uint32_t queue, void* to, uint64_t from, uint64_t bytes) override {
    if (Status status = Operation("copy from the device"); !status.ok()) return status;
    if (Status status = CheckPinned(to, bytes); !status.ok()) return status;
    return Queue(queue, [=, this] { return CopyNow(from, to, bytes, false); });
  }
  Status QueueLaunch(uint32_t queue, const char* kernel, gpu::LaunchShape shape,
                     std::span<const void* const> arguments) override {
    if (Status status = Operation("launch of " + std::string(kernel)); !status.ok()) return status;
    std::vector<std::vector<uint8_t>> values;
    const std::vector<uint32_t> sizes = module_->argument_bytes(kernel);
    if (sizes.size() != arguments.size()) return Fault("another number of arguments");
    for (size_t i = 0; i < sizes.size(); ++i) {
      const auto* bytes = static_cast<const uint8_t*>(arguments[i]);
      values.emplace_back(bytes, bytes + sizes[i]);
    }
    Work work = [this, name = std::string(kernel), shape, values = std::move(values)] {
      std::vector<const void*> pointers;
      for (const auto& value : values) pointers.push_back(value.data());
      return LaunchNow(name, shape, pointers);
    };
    if (recording_) {
      graphs_.back().push_back(std::move(work));
      return {};
    }
    return Queue(queue, std::move(work));
  }
  Status Wait(uint32_t queue) override {
    if (Status status = Operation("wait"); !status.ok()) return status;
    return RunQueue(queue);
  }

  Status BeginGraph() override {
    if (Status status = Operation("recording a graph"); !status.ok()) return status;
    if (recording_) return Fault("a graph inside a graph");
    recording_ = true;
    graphs_.emplace_back();
    return {};
  }
  Result<uint64_t> EndGraph() override {
    if (Status status = Operation("making a graph"); !status.ok()) return Error{status.message()};
    recording_ = false;
    return uint64_t{graphs_.size() - 1};
  }
  Status QueueGraph(uint32_t queue, uint64_t graph) override {
    if (Status status = Operation("running a graph"); !status.ok()) return status;
    if (graph >= graphs_.size() || recording_) return Fault("no such graph");
    ++script_->graphs_run;
    for (const Work& work : graphs_[graph]) {
      if (Status status = Queue(queue, work); !status.ok()) return status;
    }
    return {};
  }

  Status CopyIn(uint64_t to, const void* from, uint64_t bytes) override {
    if (Status status = Operation("copy to the device"); !status.ok()) return status;
    if (Status status = RunQueue(0); !status.ok()) return status;
    return CopyNow(to, const_cast<void*>(from), bytes, true);
  }
  Status CopyOut(void* to, uint64_t from, uint64_t bytes) override {
    if (Status status = Operation("copy from the device"); !status.ok()) return status;
    if (Status status = RunQueue(0); !status.ok()) return status;
    return CopyNow(from, to, bytes, false);
  }

 private:
  using Work = std::function<Status()>;

  Status Operation(const std::string& what) {
    if (script_->keep_log) script_->log.push_back(what);
    if (what == "launch of SketchTexts" && batches_++ == script_->fail_batch) script_->fail_at = script_->operations;
    if (script_->operations++ < script_->fail_at) return {};
    return Error{"injected fault: " + what};
  }
  Status Fault(const std::string& why) {
    if (script_->fault.empty()) script_->fault = why;
    return Error{why};
  }
  Status Queue(uint32_t queue, Work work) {
    if (recording_) return Fault("only launches can be recorded");
    if (script_->eager) return work();
    queues_[queue].push_back(std::move(work));
    return {};
  }
  Status RunQueue(uint32_t queue) {
    while (!queues_[queue].empty()) {
      const Work work = std::move(queues_[queue].front());
      queues_[queue].pop_front();
      if (Status status = work(); !status.ok()) return status;
    }
    return {};
  }
  Status CheckPinned(const void* at, uint64_t bytes) {
    const auto* begin = static_cast<const uint8_t*>(at);
    for (const auto& block : host_blocks_) {
      if (begin >= block->data() && begin + bytes <= block->data() + block->size()) return {};
    }
    return Fault("a queued copy of memory that is not pinned");
  }
  Status LaunchNow(const std::string& kernel, gpu::LaunchShape shape,
                   std::span<const void* const> arguments) {
    const Report report =
        module_->Launch(kernel, {shape.blocks_x, shape.blocks_y}, {shape.threads, 1}, arguments,
                        memory_, {.seed = script_->seed});
    script_->warp_instructions += report.warp_instructions;
    return report.ok() ? Status() : Fault(report.error);
  }
  Status CopyNow(uint64_t at, void* host, uint64_t bytes, bool in) {
    if (bytes == 0) return {};
    std::string why;
    uint8_t* data = memory_.Resolve(at, static_cast<uint32_t>(bytes), in, &why);
    if (data == nullptr) return Fault(why);
    in ? std::memcpy(data, host, bytes) : std::memcpy(host, data, bytes);
    return {};
  }

  const Module* module_;
  DeviceScript* script_;
  Memory memory_;
  std::vector<std::unique_ptr<std::vector<uint8_t>>> blocks_, host_blocks_;
  std::deque<Work> queues_[gpu::kDeviceQueues];
  std::vector<std::vector<Work>> graphs_;
  bool recording_ = false;
  uint64_t batches_ = 0;
};

}  // namespace stillwatch::ptx
