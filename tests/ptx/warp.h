// A warp at work and the block around it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/ptx/kernel.h"
#include "tests/ptx/ptx.h"
#include "tests/ptx/shared_memory.h"

namespace stillwatch::ptx {

inline constexpr uint32_t kLanes = 32;
inline constexpr uint32_t kAllLanes = 0xffffffffu;
inline constexpr uint64_t kSharedBase = 1ull << 24;  // of the shared window in generic addresses

// What a launch and its running block share with all warps.
struct Block {
  const Kernel& kernel;
  const Memory& memory;
  const std::vector<uint8_t>& parameters;
  Dim grid, size, at;
  SharedMemory shared;
  std::mt19937& random;
  bool random_lanes;
  uint32_t epoch = 0;  // barriers so far
  std::string error;
  uint64_t instructions = 0;
  uint64_t instructions_max;
};

template <typename F>
inline void ForLanes(uint32_t mask, F&& f) {
  if (mask == kAllLanes) {
    for (uint32_t lane = 0; lane < kLanes; ++lane) f(lane);
  } else {
    for (; mask != 0; mask &= mask - 1) f(static_cast<uint32_t>(__builtin_ctz(mask)));
  }
}

class Warp {
 public:
  Warp(Block& block, uint32_t index);

  // Runs until all lanes have ended or wait at a barrier of the block.
  void Run();
  bool done() const { return live_ == 0; }

  // At a barrier of the block: which instruction, and how it goes on.
  const Instruction* barrier() const;
  uint32_t live() const { return live_; }
  uint32_t started() const { return started_; }  // lanes that the launch gave it
  void LeaveBarrier();

  // For actions.
  uint64_t* Row(uint32_t row) { return &rows_[row * kLanes]; }
  uint32_t members() const { return members_; }  // of the gathered instruction at work
  void Fail(uint32_t lane, const std::string& what);
  bool failed() const { return !block_.error.empty(); }
  // Bytes of one lane's access, checked; null after a fault. `value`: what a write will store.
  uint8_t* Touch(const Instruction& in, uint32_t lane, uint64_t address, uint32_t bytes,
                 Access access, const void* value);
  const std::vector<uint8_t>& parameters() const { return block_.parameters; }
  void OrderLanes() { ++epoch_; }  // all lanes passed a barrier of the warp
  const Instruction* barrier_of(uint32_t lane) const;
  std::string PlaceOf(uint32_t lane) const;

 private:
  struct Group {
    uint32_t pc;
    uint32_t lanes;
  };
  Group PickGroup();
  // Runs one instruction of a group; false when its lanes are no longer together at the next one.
  bool Step(Group* group);
  bool Branch(const Instruction& in, uint32_t taken, Group* group);
  bool Gather(const Instruction& in, uint32_t active, Group* group);
  void SetPc(uint32_t lanes, uint32_t pc);

  Block& block_;
  const uint32_t index_;
  std::vector<uint64_t> rows_;
  std::array<uint32_t, kLanes> pcs_ = {};
  uint32_t live_ = 0, started_ = 0;
  uint32_t gathering_ = 0;   // lanes that wait for others of their mask
  uint32_t at_barrier_ = 0;  // lanes that wait for the block
  uint32_t members_ = 0;
  uint32_t epoch_ = 0;
  const Instruction* now_ = nullptr;
};

}  // namespace stillwatch::ptx
