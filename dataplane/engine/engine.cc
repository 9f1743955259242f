#include "dataplane/engine/engine.h"

#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "dataplane/engine/rest.h"

namespace stillwatch::dataplane {

namespace {

constexpr int64_t kNapNs = 50'000;
constexpr size_t kRecordBytesMin = 1u << 20;  // holds the largest exchange

std::vector<std::unique_ptr<Lane>> MakeLanes(const EngineOptions& options, bool lossless,
                                             const WorkerFactory& factory, std::span<const SentUpTo> sent,
                                             const std::atomic<bool>* abandoned) {
  const size_t count = std::max<size_t>(options.workers, 1);
  std::vector<std::unique_ptr<Lane>> lanes;
  for (size_t i = 0; i < count; ++i) {
    Lane::Options lane;
    lane.index = i;
    lane.first = i == 0;
    lane.lossless = lossless;
    lane.ring_frames = options.ring_frames;
    lane.ring_bytes = std::bit_floor(std::max(options.record_bytes / count, kRecordBytesMin));
    lanes.push_back(std::make_unique<Lane>(lane, factory, sent, abandoned));
  }
  return lanes;
}

Forwarder::Options ForwarderOptions(const EngineOptions& options, size_t index, size_t forwarders, int64_t epoch_ns) {
  Forwarder::Options forwarder;
  forwarder.index = index;
  forwarder.forwarders = forwarders;
  forwarder.epoch_ns = epoch_ns;
  forwarder.flow_hash = options.flow_hash;
  forwarder.salt = options.salt;
  forwarder.ring_frames = options.ring_frames;
  return forwarder;
}

}  // namespace

Engine::Engine(const EngineOptions& options, std::span<Port* const> ports, const WorkerFactory& factory,
               const Clock* clock)
    : options_(options),
      ports_(ports.begin(), ports.end()),
      lanes_(MakeLanes(options, ports[0]->lossless(), factory, std::span(sent_).first(ports.size()), &abandoned_)),
      joiner_(options.fronts_max == 0
                  ? nullptr
                  : std::make_unique<SideJoiner>(options.fronts_max, options.fronts_keep_ns, options.salt)),
      merger_(lanes_, joiner_.get()) {
  CHECK(ports_.size() == 1 || options.workers != 0);
  if (clock == nullptr) clock = &system_clock_;
  const int64_t epoch_ns = clock->UnixNs();
  for (size_t i = 0; i < ports_.size(); ++i) {
    forwarders_.push_back(std::make_unique<Forwarder>(ForwarderOptions(options, i, ports_.size(), epoch_ns), ports_[i],
                                                      lanes_, &sent_[i], clock));
  }
}

Engine::~Engine() {
  Stop();
  abandoned_.store(true, std::memory_order_relaxed);
  for (std::thread& thread : threads_) thread.join();
}

Status Engine::Start() {
  CHECK(threads_.empty());
  const auto slot = [&](const std::string& name, bool forwarder) {
    return options_.quiescent == nullptr ? nullptr : options_.quiescent->AddSlot(name, forwarder);
  };
  // All slots exist before the first thread runs.
  std::vector<Quiescent::Slot*> forwarder_slots, worker_slots;
  for (size_t i = 0; i < ports_.size(); ++i) forwarder_slots.push_back(slot("forwarder-" + std::to_string(i), true));
  for (size_t i = 0; i < options_.workers; ++i)
    worker_slots.push_back(slot("worker-" + std::to_string(i), false));

  for (size_t i = 0; i < options_.workers; ++i) {
    Lane* lane = lanes_[i].get();
    Status status = Spawn("sw-worker-" + std::to_string(i), ports_.size() + i,
                          [this, lane, s = worker_slots[i]] { RunWorker(s, lane); });
    if (!status.ok()) return status;
  }
  Lane* own = options_.workers == 0 ? lanes_[0].get() : nullptr;
  for (size_t i = 0; i < ports_.size(); ++i) {
    const std::string name = ports_.size() == 1 ? "sw-forward" : "sw-forward-" + std::to_string(i);
    Status status = Spawn(name, i, [this, i, own, s = forwarder_slots[i]] { RunForwarder(i, s, own); });
    if (!status.ok()) return status;
  }
  return {};
}

Status Engine::Spawn(const std::string& name, size_t cpu_index, std::function<void()> body) {
  threads_running_.fetch_add(1);
  threads_.emplace_back([this, body = std::move(body)] {
    // Naps are tens of microseconds; the kernel would add 50 of its own.
    prctl(PR_SET_TIMERSLACK, 1'000);
    body();
    threads_running_.fetch_sub(1, std::memory_order_release);
  });
  pthread_setname_np(threads_.back().native_handle(), name.substr(0, 15).c_str());
  if (cpu_index >= options_.cpus.size()) return {};
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(static_cast<size_t>(options_.cpus[cpu_index]), &cpus);
  const int failed = pthread_setaffinity_np(threads_.back().native_handle(), sizeof cpus, &cpus);
  if (failed == 0) return {};
  return Error{"threads.cpus: " + name + " cannot be pinned to processor " +
               std::to_string(options_.cpus[cpu_index]) + ": " + std::strerror(failed) +
               "; `nproc --all` and `taskset -p 1` say which there are"};
}

void Engine::RunForwarder(size_t index, Quiescent::Slot* slot, Lane* own_lane) {
  Port* const port = ports_[index];
  Forwarder& forwarder = *forwarders_[index];
  port->OnPollingThread();
  const bool lossless = port->lossless();
  // On shared processors other work would keep a forwarder waiting until its heart counts as stale. One that rests
  // when idle may go first; one that always polls, or decodes too, would starve what else runs there.
  if (!lossless && options_.sleep_when_idle && own_lane == nullptr) {
    const sched_param lowest_of_real_time{.sched_priority = 1};
    pthread_setschedparam(pthread_self(), SCHED_FIFO, &lowest_of_real_time);  // not permitted: as before
  }
  Rest rest(lossless || options_.sleep_when_idle ? kNapNs : 0);
  while (!stop_.load(std::memory_order_relaxed) && !forwarder.at_end()) {
    bool worked = forwarder.Step();
    if (own_lane != nullptr) worked |= own_lane->Step();
    Pass(slot);
    rest.After(worked);
  }
  forwarder.End();
  // What is lent out comes back before the port may be closed.
  while (!forwarder.Reclaim() || (own_lane != nullptr && !own_lane->finished())) {
    const bool worked = own_lane != nullptr && own_lane->Step();
    Pass(slot);
    if (own_lane == nullptr) rest.After(worked);
  }
}

void Engine::RunWorker(Quiescent::Slot* slot, Lane* lane) {
  Rest rest(kNapNs);
  while (!lane->finished()) {
    const bool worked = lane->Step();
    Pass(slot);
    rest.After(worked);
  }
}

void Engine::Drain(ExchangeConsumer* consumer) {
  Rest rest(kNapNs);
  while (!merger_.at_end()) rest.After(merger_.Poll(consumer) != 0);
}

uint64_t Engine::Count(ForwarderCounter counter) const {
  uint64_t sum = 0;
  for (const auto& forwarder : forwarders_) sum += forwarder->counters().Get(counter);
  return sum;
}

void Engine::RegisterCounters(CounterRegistry* registry) {
  for (const auto& forwarder : forwarders_) {
    registry->Register(forwarder->counters());
    registry->Register(forwarder->fragment_counters());
  }
  if (joiner_ != nullptr) registry->Register(joiner_->counters());
  for (const auto& lane : lanes_) lane->RegisterCounters(registry);
}

}  // namespace stillwatch::dataplane
