// Two Ethernet ports as one Port for each forwarder: what comes in by queue i of one goes out by queue i of the
// other at once, inside Receive, before anybody looks at it. One port, or forward = false: a mirror port, from which
// nothing is ever sent. Each queue is polled by one thread (its forwarder), and shares nothing with the other queues
// but the buffers. Behind it: AF_XDP on our pinned programme, AF_PACKET, or any DPDK device.
//
// Buffers: a frame that is looked at holds one reference to its packet buffer until Release. All
// changes needed to send (VLAN tag put back, chained buffers made one) come before the reference,
// so that looked-at bytes never change. A frame that the peer does not take is tried once more,
// then counted and freed.
//
// An interface that was removed and has come back is another one to its driver: Reopen lets the polling thread close both
// devices and open them anew once no frame is lent out and every queue's thread stands aside. Meanwhile the heart does not beat, so that the kernel forwards.
//
// Bad input: none; frames are not interpreted. Needs a started Eal.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/counters.h"
#include "base/result.h"
#include "dataplane/dpdk/latency.h"
#include "dataplane/port/heart.h"
#include "dataplane/port/port.h"

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
  uint16_t queues = 1;          // of each port, each with its forwarder; at most kForwardersMax
};

class PortQueue;

class InlinePair {
 public:
  // The error names the configuration key that mends it. `heart` and `clock` outlive the pair.
  static Result<std::unique_ptr<InlinePair>> Open(const InlinePairOptions& options, Heart* heart,
                                                  const Clock* clock);
  // After every frame was released.
  ~InlinePair();

  // The receive queues, as ports of their forwarders; frame numbers of all of them are different.
  std::vector<Port*> ports() const;
  Port* port(size_t queue) const;

  // Of all queues together. Any thread.
  uint64_t Count(ForwardCounter counter) const;
  uint64_t Received(size_t queue) const;
  LatencyCounts Delays() const;
  LatencyCounts Waits() const;
  void RegisterCounters(CounterRegistry* registry) const;
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
  friend class PortQueue;
  struct Devices;

  InlinePair(const InlinePairOptions& options, std::unique_ptr<Devices> devices, Heart* heart, const Clock* clock);
  static Result<std::unique_ptr<Devices>> OpenDevices(const InlinePairOptions& options);
  void TryReopen();
  void AddDeviceCounters(uint64_t totals[3]) const;

  InlinePairOptions options_;  // names under devices_mutex_
  // Of an opening anew: asked for, threads of queues that stand aside for it, and how many there were.
  std::atomic<bool> reopen_{false}, open_{true};
  std::atomic<uint32_t> aside_{0}, openings_{1};
  mutable std::mutex devices_mutex_;  // who opens devices and who asks for their counters; not taken for frames
  std::string reopen_error_;
  uint64_t closed_[3] = {};  // counters of devices that were closed
  std::unique_ptr<Devices> devices_;  // null: closed, and not open again
  std::vector<std::unique_ptr<PortQueue>> queues_;
  CounterBlock<DeviceCounter> device_counters_{kDeviceCounterNames};
};

}  // namespace stillwatch::dataplane
