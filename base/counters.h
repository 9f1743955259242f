// Named counters. A component declares an enum of its counters and their names; each thread that runs
// the component owns one CounterBlock (single writer, no lock, no contended line). The registry, built
// at start, adds up blocks of the same name for status, NDJSON and tests.
//
//   enum class FlowCounter { kCreated, kEvicted, kCount };
//   inline constexpr CounterNames<FlowCounter> kFlowCounterNames{"flow.created", "flow.evicted"};
//   CounterBlock<FlowCounter> counters(kFlowCounterNames);   // in the component
//   counters.Add(FlowCounter::kCreated);
//   registry.Register(counters);                              // at start; unregister before destroying
//
// Every discard has a named counter, and no counter is a catch-all: a reader must be able to say
// from the name what happened and what to do (docs/counters.md).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace stillwatch {

template <typename Enum>
using CounterNames = std::array<std::string_view, static_cast<size_t>(Enum::kCount)>;

// What the registry sees of a block.
struct CounterView {
  std::span<const std::string_view> names;
  std::span<const std::atomic<uint64_t>> values;
};

template <typename Enum>
class CounterBlock {
 public:
  static constexpr size_t kSize = static_cast<size_t>(Enum::kCount);

  explicit CounterBlock(const CounterNames<Enum>& names) : names_(names) {}
  CounterBlock(const CounterBlock&) = delete;
  CounterBlock& operator=(const CounterBlock&) = delete;

  // Owner thread only.
  void Add(Enum counter, uint64_t amount = 1) {
    auto& value = values_[static_cast<size_t>(counter)];
    value.store(value.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  // A gauge: the owner thread stores the present level.
  void Set(Enum counter, uint64_t level) {
    values_[static_cast<size_t>(counter)].store(level, std::memory_order_relaxed);
  }
  // Any thread.
  uint64_t Get(Enum counter) const {
    return values_[static_cast<size_t>(counter)].load(std::memory_order_relaxed);
  }
  CounterView View() const { return {names_, values_}; }

 private:
  const CounterNames<Enum>& names_;
  std::array<std::atomic<uint64_t>, kSize> values_{};
};

// Thread safe. Snapshots add up all blocks by name; what an unregistered block had counted is kept, so
// that totals never go back.
class CounterRegistry {
 public:
  template <typename Enum>
  void Register(const CounterBlock<Enum>& block) {
    RegisterView(block.View());
  }
  template <typename Enum>
  void Unregister(const CounterBlock<Enum>& block) {
    UnregisterView(block.View());
  }

  std::map<std::string, uint64_t> Snapshot() const;

 private:
  void RegisterView(CounterView view);
  void UnregisterView(CounterView view);

  mutable std::mutex mutex_;
  std::vector<CounterView> views_;
  std::map<std::string, uint64_t> retired_;
};

}  // namespace stillwatch
