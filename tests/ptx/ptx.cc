#include "tests/ptx/ptx.h"

#include <algorithm>
#include <cstring>

#include "tests/ptx/decode.h"
#include "tests/ptx/ops.h"
#include "tests/ptx/warp.h"

namespace stillwatch::ptx {
namespace {

constexpr uint64_t kAddressStep = 1ull << 32;
constexpr uint32_t kSharedBytesMax = 48 * 1024;  // what a kernel may declare

std::vector<uint32_t> Order(uint32_t count, uint32_t seed, std::mt19937& random) {
  std::vector<uint32_t> order(count);
  for (uint32_t i = 0; i < count; ++i) order[i] = i;
  if (seed != 0) std::shuffle(order.begin(), order.end(), random);
  return order;
}

std::string Where(const Block& block) {
  return "kernel " + block.kernel.name + ", block (" + std::to_string(block.at.x) + "," +
         std::to_string(block.at.y) + "): ";
}

// All warps wait at one barrier of the block, or it is an error.
void PassBarrier(Block& block, std::vector<std::unique_ptr<Warp>>& warps) {
  const Instruction* barrier = nullptr;
  uint32_t votes = 0, threads = 0;
  for (const auto& warp : warps) {
    const Instruction* at = warp->barrier();
    if (at == nullptr) {
      block.error =
          Where(block) + "barrier divergence: threads have ended while others wait at a barrier";
      return;
    }
    if (barrier != nullptr && at != barrier) {
      block.error = Where(block) + "barrier divergence: warps wait at lines " +
                    std::to_string(barrier->line) + " and " + std::to_string(at->line);
      return;
    }
    barrier = at;
    if (at->reduce == Reduce::kNone) continue;
    ForLanes(warp->live(), [&](uint32_t lane) {
      votes += ((warp->Row(at->from[1])[lane] & 1) != 0) != at->from_not[1];
      ++threads;
    });
  }
  if (barrier->reduce != Reduce::kNone) {
    const uint64_t result = barrier->reduce == Reduce::kPopc ? votes
                            : barrier->reduce == Reduce::kOr ? votes != 0
                                                             : votes == threads;
    for (const auto& warp : warps) {
      ForLanes(warp->live(), [&](uint32_t lane) { warp->Row(barrier->to[0])[lane] = result; });
    }
  }
  ++block.epoch;
  for (const auto& warp : warps) warp->LeaveBarrier();
}

void RunBlock(Block& block, uint32_t seed) {
  const uint32_t threads = block.size.x * block.size.y;
  std::vector<std::unique_ptr<Warp>> warps;
  for (uint32_t i = 0; i * kLanes < threads; ++i) warps.push_back(std::make_unique<Warp>(block, i));
  const uint32_t all_lanes = static_cast<uint32_t>(warps.size());
  while (block.error.empty()) {
    bool running = false;
    for (const uint32_t i : Order(all_lanes, seed, block.random)) {
      warps[i]->Run();
      if (!block.error.empty()) return;
      running |= !warps[i]->done();
    }
    if (!running) return;
    for (const auto& warp : warps) {
      if (warp->live() != warp->started()) {
        block.error =
            Where(block) + "barrier divergence: threads have ended while others wait at a barrier";
        return;
      }
    }
    PassBarrier(block, warps);
  }
}

}  // namespace

uint64_t Memory::Map(std::string name, void* data, size_t bytes, bool writable) {
  const uint64_t address = next_;
  next_ += (bytes / kAddressStep + 2) * kAddressStep;
  buffers_[address] = {std::move(name), static_cast<uint8_t*>(data), bytes, writable};
  return address;
}

bool Memory::Unmap(uint64_t address) {
  last_ = nullptr;
  return buffers_.erase(address) != 0;
}

uint8_t* Memory::Resolve(uint64_t address, uint32_t bytes, bool write, std::string* why) const {
  if (last_ != nullptr && (last_->writable || !write) && address >= last_address_ &&
      bytes <= last_->bytes && address - last_address_ <= last_->bytes - bytes) {
    return last_->data + (address - last_address_);
  }
  auto found = buffers_.upper_bound(address);
  if (found == buffers_.begin()) {
    *why = "access at address " + std::to_string(address) + ", which no buffer has";
    return nullptr;
  }
  --found;
  const Buffer& buffer = found->second;
  const uint64_t at = address - found->first;
  if (at > buffer.bytes || bytes > buffer.bytes - at) {
    *why = std::string(write ? "write" : "read") + " of " + std::to_string(bytes) +
           " bytes at byte " + std::to_string(at) + " of buffer '" + buffer.name + "', which has " +
           std::to_string(buffer.bytes);
    return nullptr;
  }
  if (write && !buffer.writable) {
    *why = "write to read-only buffer '" + buffer.name + "'";
    return nullptr;
  }
  last_address_ = found->first;
  last_ = &buffer;
  return buffer.data + at;
}

// The parameters of a launch lie in the warp's block.
void LoadParameter(Warp& warp, const Instruction& in, uint32_t mask) {
  const std::vector<uint8_t>& parameters = warp.parameters();
  ForLanes(mask, [&](uint32_t lane) {
    uint64_t at = warp.Row(in.from[0])[lane] + static_cast<uint64_t>(in.offset);
    for (const uint32_t row : in.to) {
      if (at > parameters.size() || in.width > parameters.size() - at) {
        return warp.Fail(lane, "read past the parameters");
      }
      uint64_t value = 0;
      std::memcpy(&value, parameters.data() + at, in.width);
      warp.Row(row)[lane] = value;
      at += in.width;
    }
  });
}

Module::Module() = default;
Module::Module(Module&&) noexcept = default;
Module& Module::operator=(Module&&) noexcept = default;
Module::~Module() = default;

Result<Module> Module::Load(const std::string& text) {
  Result<std::vector<EntryText>> entries = EntriesOf(text);
  if (!entries.ok()) return entries.error();
  Module module;
  for (const EntryText& entry : entries.value()) module.kernels_[entry.name] = Decode(entry);
  return module;
}

std::vector<std::string> Module::kernels() const {
  std::vector<std::string> names;
  for (const auto& [name, kernel] : kernels_) names.push_back(name);
  return names;
}

std::string Module::refusal(const std::string& kernel) const {
  const auto found = kernels_.find(kernel);
  return found == kernels_.end() ? "no such kernel" : found->second->refusal;
}

std::vector<uint32_t> Module::argument_bytes(const std::string& kernel) const {
  std::vector<uint32_t> sizes;
  const auto found = kernels_.find(kernel);
  if (found == kernels_.end()) return sizes;
  for (const Parameter& parameter : found->second->parameters) sizes.push_back(parameter.bytes);
  return sizes;
}

Report Module::Launch(const std::string& name, Dim grid, Dim block_size,
                      std::span<const void* const> arguments, const Memory& memory,
                      const LaunchOptions& options) const {
  Report report;
  const auto refuse = [&](const std::string& why) {
    report.error = "kernel " + name + ": " + why;
    return report;
  };
  const auto found = kernels_.find(name);
  if (found == kernels_.end()) return refuse("the module has no such kernel");
  const Kernel& kernel = *found->second;
  if (!kernel.refusal.empty()) return refuse("not covered: " + kernel.refusal);
  if (arguments.size() != kernel.parameters.size()) return refuse("wrong number of arguments");
  const uint32_t threads = block_size.x * block_size.y;
  if (threads == 0 || threads > kernel.threads_max) {
    return refuse(std::to_string(threads) + " threads; it takes 1 to " +
                  std::to_string(kernel.threads_max));
  }
  if (grid.x == 0 || grid.y == 0 || grid.y > 65'535) return refuse("a grid that no device takes");
  if (kernel.shared_bytes > kSharedBytesMax) return refuse("more than 48 KiB of shared memory");
  std::vector<uint8_t> parameters(kernel.parameter_bytes);
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::memcpy(&parameters[kernel.parameters[i].offset], arguments[i], kernel.parameters[i].bytes);
  }
  std::mt19937 random(options.seed);
  for (const uint32_t index : Order(grid.x * grid.y, options.seed, random)) {
    Block block{.kernel = kernel,
                .memory = memory,
                .parameters = parameters,
                .grid = grid,
                .size = block_size,
                .at = {index % grid.x, index / grid.x},
                .shared = SharedMemory(kernel.shared_bytes),
                .random = random,
                .random_lanes = options.seed != 0,
                .error = {},
                .instructions_max = options.warp_instructions_max - report.warp_instructions};
    RunBlock(block, options.seed);
    report.warp_instructions += block.instructions;
    if (!block.error.empty()) {
      report.error = block.error;
      break;
    }
  }
  return report;
}

}  // namespace stillwatch::ptx
