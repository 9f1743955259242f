// The threads of the packet path: forwarders and workers (or one thread that is both), and
// the merger that the detection thread polls. For the daemon, replay and benchmarks.
//
//   Engine engine(options, port.get(), factory);     // or one port for each forwarder
//   engine.Start();
//   while (!engine.merger().at_end()) engine.merger().Poll(&consumer);   // or
//   engine.Drain(&consumer)
//
// A capture ends by itself; a wire when Stop() is called. After Stop keep polling until at_end().
// Everything handed in outlives the engine. The destructor stops and joins; records not polled by
// then are lost.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/counters.h"
#include "base/quiescent.h"
#include "base/result.h"
#include "dataplane/engine/forwarder.h"
#include "dataplane/engine/merger.h"

namespace stillwatch::dataplane {

struct EngineOptions {
  size_t workers = 1;                    // 0: one thread forwards and looks
  size_t ring_frames = 4096;             // forwarder to each worker; a power of two
  size_t record_bytes = 64u << 20;       // rings of records, in all
  FlowHashFunction flow_hash = nullptr;  // needed with two or more workers
  Salt salt;                             // seeds the flow hash
  bool sleep_when_idle = true;           // false: the forwarder always polls
  std::vector<int> cpus;                 // forwarders, workers...; empty or shorter: not pinned
  Quiescent* quiescent = nullptr;        // each thread passes it once a loop
  size_t fronts_max = 0;                 // connections remembered to join both sides of a terminator; 0: not joined
  int64_t fronts_keep_ns = 0;            // after their end
};

class Engine {
 public:
  // Each port gets a forwarder of its own. Several: wires only, with at least one worker.
  Engine(const EngineOptions& options, std::span<Port* const> ports, const WorkerFactory& factory,
         const Clock* clock = nullptr);
  Engine(const EngineOptions& options, Port* port, const WorkerFactory& factory, const Clock* clock = nullptr)
      : Engine(options, std::span<Port* const>(&port, 1), factory, clock) {}
  ~Engine();

  // Fails when a thread cannot be pinned.
  Status Start();
  // Asks the forwarders to stop polling; workers finish their rings, then all their flows.
  void Stop() { stop_.store(true, std::memory_order_relaxed); }
  bool running() const { return threads_running_.load(std::memory_order_acquire) != 0; }

  Merger& merger() { return merger_; }
  // Polls the merger until the end, resting when there is nothing.
  void Drain(ExchangeConsumer* consumer);

  // Hands over what workers found to be of no interest since the last call. One thread, the same always.
  template <typename Take>
  void TakeUninteresting(Take take) const {
    std::array<UninterestingFlow, 64> flows;
    for (const auto& lane : lanes_) {
      SpscRing<UninterestingFlow>& ring = lane->output().uninteresting();
      for (size_t left = ring.size(); left != 0;) {
        const size_t count = ring.Pop(std::span(flows).first(std::min(left, flows.size())));
        for (size_t i = 0; i < count; ++i) take(flows[i]);
        left -= count;
      }
    }
  }

  void RegisterCounters(CounterRegistry* registry);
  // Of all forwarders together. Any thread.
  uint64_t Count(ForwarderCounter counter) const;
  std::span<const std::unique_ptr<Lane>> lanes() const { return lanes_; }

 private:
  void RunForwarder(size_t index, Quiescent::Slot* slot, Lane* own_lane);
  void RunWorker(Quiescent::Slot* slot, Lane* lane);
  void Pass(Quiescent::Slot* slot) {
    if (slot != nullptr) options_.quiescent->Pass(slot);
  }
  Status Spawn(const std::string& name, size_t cpu_index, std::function<void()> body);

  const EngineOptions options_;
  SystemClock system_clock_;
  const std::vector<Port*> ports_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> abandoned_{false};
  std::atomic<size_t> threads_running_{0};
  std::array<SentUpTo, kForwardersMax> sent_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<std::unique_ptr<Forwarder>> forwarders_;
  std::unique_ptr<SideJoiner> joiner_;
  Merger merger_;
  std::vector<std::thread> threads_;
};

}  // namespace stillwatch::dataplane
