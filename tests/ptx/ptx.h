// Runs the PTX text that nvcc writes for a kernel, on the CPU, so that a machine without a GPU
// tests the kernel's own code: bit for bit against its CPU twin, and for faults that a GPU may
// hide. It says nothing about time, and nothing about what ptxas makes of the PTX.
//
// Covers the integer instructions that our kernels use (ops.cc, warp.cc); a kernel with any other
// is refused by that instruction's name. One thread; all memory belongs to the caller.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace stillwatch::ptx {

struct Dim {
  uint32_t x = 1, y = 1;
};

// Device memory: buffers of the caller, each with an address range of its own, so that running off
// one's end never lands in another.
class Memory {
 public:
  // `data` must stay until Unmap. The name is for messages.
  uint64_t Map(std::string name, void* data, size_t bytes, bool writable = true);
  bool Unmap(uint64_t address);

  // The bytes of one access; null when they are not wholly inside one buffer, or a write goes to
  // one that is not writable. `why` then says which and by how much.
  uint8_t* Resolve(uint64_t address, uint32_t bytes, bool write, std::string* why) const;

 private:
  struct Buffer {
    std::string name;
    uint8_t* data;
    size_t bytes;
    bool writable;
  };
  std::map<uint64_t, Buffer> buffers_;  // by address
  // The buffer of the last access, which is mostly that of the next.
  mutable uint64_t last_address_ = 0;
  mutable const Buffer* last_ = nullptr;
  uint64_t next_ = 1ull << 32;
};

struct LaunchOptions {
  // 0: blocks and warps in order, the lanes of a warp together where they can. Others: blocks and
  // warps in another order each, and diverged lanes take turns at random. Results must not differ.
  uint32_t seed = 0;
  uint64_t warp_instructions_max = 1ull << 28;  // a kernel that runs longer never ends
};

struct Report {
  std::string error;  // empty: ran to its end without a fault
  uint64_t warp_instructions = 0;
  bool ok() const { return error.empty(); }
};

struct Kernel;

class Module {
 public:
  Module(Module&&) noexcept;
  Module& operator=(Module&&) noexcept;
  ~Module();

  // Fails on text that is not PTX as nvcc writes it; a kernel with an instruction that is not
  // covered loads, and each launch of it says which.
  static Result<Module> Load(const std::string& text);

  std::vector<std::string> kernels() const;
  // What of a kernel is not covered, "line N: instruction"; empty when all is.
  std::string refusal(const std::string& kernel) const;

  // Sizes of its arguments, in their order; empty when there is no such kernel.
  std::vector<uint32_t> argument_bytes(const std::string& kernel) const;

  // `arguments` point at the values, as cudaLaunchKernel takes them. The first fault ends it.
  Report Launch(const std::string& kernel, Dim grid, Dim block,
                std::span<const void* const> arguments, const Memory& memory,
                const LaunchOptions& options = {}) const;

 private:
  Module();
  std::map<std::string, std::unique_ptr<Kernel>> kernels_;
};

}  // namespace stillwatch::ptx
