// Two Ethernet ports as one Port: what comes in by one goes out by the other at once, inside
// Receive, before anybody looks at it. One port, or forward = false: a mirror port, from which
// nothing is ever sent. Polled by one thread (the forwarder). Behind it: AF_XDP on our pinned
// programme, AF_PACKET, or any DPDK device.
//
// Buffers: a frame that is looked at holds one reference to its packet buffer until Release. All
// changes needed to send (VLAN tag put back, chained buffers made one) come before the reference,
// so that looked-at bytes never change. A frame that the peer does not take is tried once more,
// then counted and freed.
//
// An interface that was removed and has come back is another one to its driver: Reopen lets the polling thread close both
// devices and open them anew once no frame is lent out. Meanwhile the heart does not beat, so that the kernel forwards.
//
// Bad input: none; frames are not interpreted. Needs a started Eal.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/counters.h"
#include "base/result.h"
#include "dataplane/dpdk/latency.h"
#include "dataplane/port/heart.h"
#include "dataplane/port/port.h"
#include "dataplane/port/traffic_clock.h"

namespace stillwatch::dataplane {

enum class ForwardCounter {
  kReceivedA,  // frames that came in by port a
  kReceivedB,  // frames that came in by port b
  kSentA,      // frames sent by port a
  kSentB,      // frames sent by port b
  kTxFull,     // frames lost: the other port did not take them, twice; raise ports.descriptors
  kStale,  // late frames discarded after the process had stood still; the kernel had bypassed it;
           // raise fail_open.heartbeat_timeout_ms or pin the forwarder (threads.cpus)
  kVlanFailed,       // frames lost: no room to put the VLAN tag back
  kLineariseFailed,  // frames lost: chained buffers did not fit into one
  kCount
};
inline constexpr CounterNames<ForwardCounter> kForwardCounterNames{
    "forward.received_a", "forward.received_b", "forward.sent_a",      "forward.sent_b",
    "forward.tx_full",    "forward.stale",      "forward.vlan_failed", "forward.linearise_failed"};

// Kept by the devices; copied here by RefreshDeviceCounters.
enum class DeviceCounter {
  kMissed,    // frames lost before we could receive them: receive ring full;
              // raise ports.descriptors or pin the forwarder (threads.cpus)
  kNoBuffer,  // frames lost because no packet buffer was free; raise ports.mbufs
  kErrors,    // frames that a device received with an error
  kCount
};
inline constexpr CounterNames<DeviceCounter> kDeviceCounterNames{
    "device.missed", "device.no_buffer", "device.errors"};

enum class PortDriver {
  kAfXdp,     // a and b are interface names; the fail-open programme is on both already
  kAfPacket,  // interface names
  kEthdev,    // PCI addresses that were named to the Eal
  kVirtual,   // DPDK device arguments, "net_pcap0,rx_pcap=..." (tests, benchmarks)
};

struct InlinePairOptions {
  PortDriver driver = PortDriver::kAfXdp;
  std::string a, b;  // b empty: one mirror port
  bool forward = true;
  uint32_t mtu = 1500;          // largest IP packet
  uint16_t descriptors = 2048;  // of each ring; a power of two
  uint32_t mbufs = 16'383;      // 2^n - 1
  uint32_t lent_max = 4096;     // frames that workers' rings can hold together
};

class InlinePair final : public Port {
 public:
  // The error names the configuration key that mends it. `heart` and `clock` outlive the pair.
  static Result<std::unique_ptr<InlinePair>> Open(const InlinePairOptions& options, Heart* heart,
                                                  const Clock* clock);
  // After every frame was released.
  ~InlinePair() override;

  size_t Receive(std::span<Frame> frames) override;
  void Release(std::span<const Frame> frames) override;
  bool lossless() const override { return false; }
  bool at_end() const override { return false; }
  void OnPollingThread() override;
  bool buffers_scarce() const override { return scarce_; }

  const CounterBlock<ForwardCounter>& counters() const { return counters_; }
  const CounterBlock<DelayCounter>& delay_counters() const { return delay_; }
  const CounterBlock<WaitCounter>& wait_counters() const { return wait_; }
  // Any thread. Closes and opens once; where that fails both stay closed, the error says why, and it may be asked again. With
  // AF_XDP the programme is on both interfaces before.
  void Reopen(const std::string& a, const std::string& b);
  bool reopening() const { return reopen_.load(std::memory_order_acquire); }
  bool open() const { return open_.load(std::memory_order_acquire); }
  std::string reopen_error() const;

  // Any one thread.
  void RefreshDeviceCounters();
  const CounterBlock<DeviceCounter>& device_counters() const { return device_counters_; }

 private:
  struct Devices;

  InlinePair(const InlinePairOptions& options, std::unique_ptr<Devices> devices, Heart* heart, const Clock* clock);
  static Result<std::unique_ptr<Devices>> OpenDevices(const InlinePairOptions& options);
  void TryReopen();
  void AddDeviceCounters(uint64_t totals[3]) const;
  size_t ReceiveFrom(size_t side, std::span<Frame> frames, int64_t time_ns);
  // Empties the receive rings; how many frames.
  uint64_t Flush();
  void WatchBuffers();

  InlinePairOptions options_;  // names under devices_mutex_
  std::atomic<bool> reopen_{false}, open_{true};
  uint64_t lent_ = 0;  // frames handed out and not released
  mutable std::mutex devices_mutex_;  // who opens devices and who asks for their counters; not taken for frames
  std::string reopen_error_;
  uint64_t closed_[3] = {};  // counters of devices that were closed
  std::unique_ptr<Devices> devices_;  // null: closed, and not open again
  Heart* const heart_;
  const Clock* const clock_;
  TrafficClock traffic_clock_;
  uint64_t number_ = 0;
  uint32_t polls_ = 0;
  bool scarce_ = false;
  bool idle_ = true;
  bool fresh_ = false;  // AF_PACKET just opened: what its rings hold came before it was bound to its interface
  const LatencySteps latency_steps_;
  uint64_t polled_ticks_[2] = {};  // end of the last poll of each side; 0: none yet
  CounterBlock<ForwardCounter> counters_{kForwardCounterNames};
  CounterBlock<DelayCounter> delay_{kDelayCounterNames};
  CounterBlock<WaitCounter> wait_{kWaitCounterNames};
  CounterBlock<DeviceCounter> device_counters_{kDeviceCounterNames};
};

}  // namespace stillwatch::dataplane
