#include "dataplane/dpdk/inline_pair.h"

#include <utility>

#include "dataplane/dpdk/device.h"
#include "dataplane/dpdk/port_queue.h"

namespace stillwatch::dataplane {

InlinePair::InlinePair(const InlinePairOptions& options, std::unique_ptr<Devices> devices, Heart* heart, const Clock* clock)
    : options_(options), devices_(std::move(devices)) {
  heart->SetForwarders(options.queues);
  for (uint16_t i = 0; i < options.queues; ++i) queues_.push_back(std::make_unique<PortQueue>(this, i, heart, clock));
}

InlinePair::~InlinePair() = default;

Result<std::unique_ptr<InlinePair>> InlinePair::Open(const InlinePairOptions& options, Heart* heart,
                                                     const Clock* clock) {
  const size_t count = options.b.empty() ? 1 : 2;
  if (options.forward && count != 2) return Error{"ports.b: is empty; inline needs two ports"};
  if (options.queues == 0 || options.queues > kForwardersMax) {
    return Error{"ports.queues: " + std::to_string(options.queues) + " is not 1 to " + std::to_string(kForwardersMax)};
  }
  if (Status s = CheckPoolSize(options, count); !s.ok()) return Error{s.message()};
  auto devices = OpenDevices(options);
  if (!devices.ok()) return devices.error();
  return std::unique_ptr<InlinePair>(new InlinePair(options, std::move(devices).value(), heart, clock));
}

Result<std::unique_ptr<InlinePair::Devices>> InlinePair::OpenDevices(const InlinePairOptions& options) {
  const size_t count = options.b.empty() ? 1 : 2;
  auto devices = std::make_unique<Devices>();
  devices->forward = options.forward;
  // One pool for both ports: AF_XDP sends a buffer without copying it only from its own.
  auto pool = MakePool(options);
  if (!pool.ok()) return pool.error();
  devices->pool = std::move(pool).value();
  for (size_t side = 0; side < count; ++side) {
    auto device = Device::Open(options, side == 0 ? 'a' : 'b', devices->pool.get());
    if (!device.ok()) return device.error();
    devices->list.push_back(std::move(device).value());
  }
  return devices;
}

Port* InlinePair::port(size_t queue) const { return queues_[queue].get(); }

std::vector<Port*> InlinePair::ports() const {
  std::vector<Port*> ports;
  for (const auto& queue : queues_) ports.push_back(queue.get());
  return ports;
}

uint64_t InlinePair::Count(ForwardCounter counter) const {
  uint64_t sum = 0;
  for (const auto& queue : queues_) sum += queue->counters().Get(counter);
  return sum;
}

uint64_t InlinePair::Received(size_t queue) const {
  const auto& counters = queues_[queue]->counters();
  return counters.Get(ForwardCounter::kReceivedA) + counters.Get(ForwardCounter::kReceivedB);
}

LatencyCounts InlinePair::Delays() const {
  LatencyCounts sum{};
  for (const auto& queue : queues_) AddTo(&sum, LatencyOf(queue->delay_counters()));
  return sum;
}

LatencyCounts InlinePair::Waits() const {
  LatencyCounts sum{};
  for (const auto& queue : queues_) AddTo(&sum, LatencyOf(queue->wait_counters()));
  return sum;
}

void InlinePair::RegisterCounters(CounterRegistry* registry) const {
  for (const auto& queue : queues_) {
    registry->Register(queue->counters());
    registry->Register(queue->delay_counters());
    registry->Register(queue->wait_counters());
  }
  registry->Register(device_counters_);
}

void InlinePair::Reopen(const std::string& a, const std::string& b) {
  std::lock_guard lock(devices_mutex_);
  options_.a = a;
  options_.b = b;
  reopen_.store(true, std::memory_order_release);
}

std::string InlinePair::reopen_error() const {
  std::lock_guard lock(devices_mutex_);
  return reopen_error_;
}

// All lent frames have come back, and nobody polls: buffers and devices go, and come again.
void InlinePair::TryReopen() {
  std::lock_guard lock(devices_mutex_);
  open_.store(false, std::memory_order_release);
  if (devices_ != nullptr) AddDeviceCounters(closed_);
  devices_.reset();
  CloseLeftSockets();
  auto devices = OpenDevices(options_);
  reopen_error_ = devices.ok() ? "" : devices.message();
  if (devices.ok()) {
    devices_ = std::move(devices).value();
    open_.store(true, std::memory_order_release);
  }
  openings_.fetch_add(1, std::memory_order_relaxed);
  aside_.store(0, std::memory_order_relaxed);
  reopen_.store(false, std::memory_order_release);
}

void InlinePair::AddDeviceCounters(uint64_t totals[3]) const {
  for (const auto& device : devices_->list) {
    rte_eth_stats stats{};
    if (rte_eth_stats_get(device->id(), &stats) != 0) continue;
    totals[0] += stats.imissed;
    totals[1] += stats.rx_nombuf;
    totals[2] += stats.ierrors;
  }
}

void InlinePair::RefreshDeviceCounters() {
  std::unique_lock lock(devices_mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return;  // being opened
  uint64_t totals[3] = {closed_[0], closed_[1], closed_[2]};
  if (devices_ != nullptr) AddDeviceCounters(totals);
  device_counters_.Set(DeviceCounter::kMissed, totals[0]);
  device_counters_.Set(DeviceCounter::kNoBuffer, totals[1]);
  device_counters_.Set(DeviceCounter::kErrors, totals[2]);
}

}  // namespace stillwatch::dataplane
