#include "dataplane/dpdk/inline_pair.h"

#include <rte_cycles.h>
#include <rte_ether.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/mutant.h"
#include "dataplane/dpdk/device.h"

namespace stillwatch::dataplane {

namespace {

constexpr uint32_t kPollsABeat = 16;
constexpr uint32_t kPollsAWatch = 64;  // how often free buffers are counted

constexpr ForwardCounter kReceived[] = {ForwardCounter::kReceivedA, ForwardCounter::kReceivedB};
constexpr ForwardCounter kSent[] = {ForwardCounter::kSentA, ForwardCounter::kSentB};

}  // namespace

struct InlinePair::Devices {
  Pool pool;  // freed last
  std::vector<std::unique_ptr<Device>> list;
  bool forward = false;
  size_t first = 0;  // whose turn it is to be polled first
};

InlinePair::InlinePair(const InlinePairOptions& options, std::unique_ptr<Devices> devices, Heart* heart, const Clock* clock)
    : options_(options), devices_(std::move(devices)), heart_(heart), clock_(clock),
      fresh_(options.driver == PortDriver::kAfPacket && !MutantIs("others_frames_are_sent")), latency_steps_(rte_get_tsc_hz()) {}

InlinePair::~InlinePair() = default;

Result<std::unique_ptr<InlinePair>> InlinePair::Open(const InlinePairOptions& options, Heart* heart,
                                                     const Clock* clock) {
  const size_t count = options.b.empty() ? 1 : 2;
  if (options.forward && count != 2) return Error{"ports.b: is empty; inline needs two ports"};
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

// All lent frames have come back: buffers and devices go, and come again.
void InlinePair::TryReopen() {
  if (lent_ != 0) return;
  std::lock_guard lock(devices_mutex_);
  open_.store(false, std::memory_order_release);
  if (devices_ != nullptr) AddDeviceCounters(closed_);
  devices_.reset();
  CloseLeftSockets();
  auto devices = OpenDevices(options_);
  reopen_error_ = devices.ok() ? "" : devices.message();
  if (devices.ok()) {
    devices_ = std::move(devices).value();
    polls_ = 0;
    idle_ = true;
    scarce_ = false;
    fresh_ = options_.driver == PortDriver::kAfPacket;
    std::fill(std::begin(polled_ticks_), std::end(polled_ticks_), 0);
    open_.store(true, std::memory_order_release);
  }
  reopen_.store(false, std::memory_order_release);
}

void InlinePair::OnPollingThread() {
  // Gives this thread its own cache of free buffers. Without one every free takes the shared ring.
  if (rte_lcore_id() == LCORE_ID_ANY) rte_thread_register();
}

size_t InlinePair::Receive(std::span<Frame> frames) {
  const int64_t now_ns = clock_->MonotonicNs();
  if (reopen_.load(std::memory_order_relaxed)) [[unlikely]] {
    TryReopen();
    return 0;
  }
  if (devices_ == nullptr) [[unlikely]] return 0;
  if (fresh_) [[unlikely]] {
    // DPDK's driver listens to all interfaces of the host until it binds; none of that is ours to send.
    Flush();
    fresh_ = false;
  }
  if (heart_->Stale(now_ns) && !MutantIs("late_frames_are_sent")) counters_.Add(ForwardCounter::kStale, Flush());
  // The first beat says that both ports are ready. An idle thread may sleep between polls, so each
  // poll beats.
  if (polls_ % kPollsABeat == 0 || idle_) heart_->Beat(now_ns);
  if (polls_ % kPollsAWatch == 0) WatchBuffers();
  ++polls_;

  const size_t sides = devices_->list.size();
  size_t count = 0;
  int64_t time_ns = 0;
  for (size_t i = 0; i < sides && count < frames.size(); ++i) {
    const size_t side = (devices_->first + i) % sides;
    if (time_ns == 0) time_ns = clock_->UnixNs();
    count += ReceiveFrom(side, frames.subspan(count), time_ns);
  }
  devices_->first = (devices_->first + 1) % sides;
  idle_ = count == 0;
  lent_ += count;
  return count;
}

size_t InlinePair::ReceiveFrom(size_t side, std::span<Frame> frames, int64_t time_ns) {
  rte_mbuf* mbufs[kBurstMax];
  const auto room = static_cast<uint16_t>(std::min(frames.size(), kBurstMax));
  const uint64_t poll_ticks = rte_rdtsc();
  const uint16_t received = rte_eth_rx_burst(devices_->list[side]->id(), 0, mbufs, room);
  const uint64_t before_ticks = std::exchange(polled_ticks_[side], rte_rdtsc());
  if (received == 0) return 0;
  // Stopped since this round began: what was received is late, like what Flush finds. From here to the sender's
  // system call is a microsecond or two; a process that is stopped just there sends this one burst late.
  if (heart_->Stale(clock_->MonotonicNs()) && !MutantIs("late_burst_is_sent")) [[unlikely]] {
    rte_pktmbuf_free_bulk(mbufs, received);
    counters_.Add(ForwardCounter::kStale, received);
    return 0;
  }
  counters_.Add(kReceived[side], received);
  const Device* peer = devices_->forward ? devices_->list[1 - side].get() : nullptr;
  time_ns = traffic_clock_.Observe(time_ns);

  uint16_t count = 0;
  for (uint16_t i = 0; i < received; ++i) {
    rte_mbuf* mbuf = mbufs[i];
    if ((mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) && rte_vlan_insert(&mbuf) != 0) {
      counters_.Add(ForwardCounter::kVlanFailed);
      rte_pktmbuf_free(mbuf);
      continue;
    }
    if (MutantIs("frame_is_changed")) ++*rte_pktmbuf_mtod_offset(mbuf, uint8_t*, rte_pktmbuf_data_len(mbuf) - 1);
    mbuf->ol_flags = 0;  // what reception found must not ask the sender for anything
    const bool chained = mbuf->nb_segs > 1;
    if (chained && rte_pktmbuf_linearize(mbuf) != 0 && (peer == nullptr || !peer->sends_chains())) {
      counters_.Add(ForwardCounter::kLineariseFailed);
      rte_pktmbuf_free(mbuf);
      continue;
    }
    // Of a chain that could not be made one, the first buffer is looked at.
    frames[count] = Frame{{rte_pktmbuf_mtod(mbuf, const uint8_t*), rte_pktmbuf_data_len(mbuf)},
                          rte_pktmbuf_pkt_len(mbuf),
                          static_cast<uint16_t>(side),
                          ++number_,
                          time_ns,
                          reinterpret_cast<uint64_t>(mbuf)};
    mbufs[count++] = mbuf;
  }
  if (peer == nullptr) return count;

  // One reference for looking, one that sending takes.
  for (uint16_t i = 0; i < count; ++i) rte_pktmbuf_refcnt_update(mbufs[i], 1);
  uint16_t sent = rte_eth_tx_burst(peer->id(), 0, mbufs, count);
  if (sent < count) [[unlikely]] {
    sent = static_cast<uint16_t>(
        sent + rte_eth_tx_burst(peer->id(), 0, mbufs + sent, static_cast<uint16_t>(count - sent)));
    for (uint16_t i = sent; i < count; ++i) rte_pktmbuf_free(mbufs[i]);
    counters_.Add(ForwardCounter::kTxFull, static_cast<uint64_t>(count - sent));
  }
  counters_.Add(kSent[1 - side], sent);
  delay_.Add(static_cast<DelayCounter>(latency_steps_.StepOf(rte_rdtsc() - poll_ticks)), sent);
  if (before_ticks != 0) wait_.Add(static_cast<WaitCounter>(latency_steps_.StepOf(poll_ticks - before_ticks)), sent);
  return count;
}

void InlinePair::Release(std::span<const Frame> frames) {
  for (const Frame& frame : frames) rte_pktmbuf_free(reinterpret_cast<rte_mbuf*>(frame.handle));
  lent_ -= frames.size();
}

// While the kernel was bypassing us, and before we began.
uint64_t InlinePair::Flush() {
  uint64_t discarded = 0;
  rte_mbuf* mbufs[kBurstMax];
  for (const auto& device : devices_->list) {
    // Bounded: new frames may come in while this runs.
    for (size_t bursts = 0; bursts < 32'768 / kBurstMax; ++bursts) {
      const uint16_t count = rte_eth_rx_burst(device->id(), 0, mbufs, kBurstMax);
      if (count == 0) break;
      rte_pktmbuf_free_bulk(mbufs, count);
      discarded += count;
    }
  }
  return discarded;
}

void InlinePair::WatchBuffers() {
  const rte_mempool* pool = devices_->pool.get();
  scarce_ = rte_mempool_avail_count(pool) < pool->size / 4;
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
