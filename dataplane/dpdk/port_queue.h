// One receive queue of both ports of an InlinePair, as the Port of its forwarder. For InlinePair only.
#pragma once

#include "dataplane/dpdk/device.h"
#include "dataplane/dpdk/inline_pair.h"
#include "dataplane/port/traffic_clock.h"

namespace stillwatch::dataplane {

struct InlinePair::Devices {
  Pool pool;  // freed last
  std::vector<std::unique_ptr<Device>> list;
  bool forward = false;
};

class PortQueue final : public Port {
 public:
  // `pair` owns this.
  PortQueue(InlinePair* pair, uint16_t index, Heart* heart, const Clock* clock);

  size_t Receive(std::span<Frame> frames) override;
  void Release(std::span<const Frame> frames) override;
  bool lossless() const override { return false; }
  bool at_end() const override { return false; }
  void OnPollingThread() override;
  bool buffers_scarce() const override { return scarce_; }

  const CounterBlock<ForwardCounter>& counters() const { return counters_; }
  const CounterBlock<DelayCounter>& delay_counters() const { return delay_; }
  const CounterBlock<WaitCounter>& wait_counters() const { return wait_; }

 private:
  void BeginWithNewDevices();
  void StandAside();
  size_t ReceiveFrom(size_t side, std::span<Frame> frames, int64_t time_ns);
  // Empties the receive rings; how many frames.
  uint64_t Flush();
  void WatchBuffers();
  InlinePair::Devices& devices() { return *pair_->devices_; }

  InlinePair* const pair_;
  const uint16_t index_, queues_;
  Heart* const heart_;
  const Clock* const clock_;
  const LatencySteps latency_steps_;
  uint32_t opening_ = 1;  // of the devices that are polled
  uint32_t aside_for_ = 0;
  uint64_t lent_ = 0;  // frames handed out and not released
  LiveTime live_time_;
  TrafficClock traffic_clock_;
  uint64_t number_ = 0;
  uint32_t polls_ = 0;
  size_t first_ = 0;  // whose turn it is to be polled first
  bool scarce_ = false;
  bool idle_ = true;
  bool emptied_ = false;  // by the poll at hand: every ring gave less than was asked for
  bool fresh_ = false;  // AF_PACKET just opened: what its rings hold came before it was bound to its interface
  uint64_t polled_ticks_[2] = {};  // end of the last poll of each side; 0: none yet
  CounterBlock<ForwardCounter> counters_{kForwardCounterNames};
  CounterBlock<DelayCounter> delay_{kDelayCounterNames};
  CounterBlock<WaitCounter> wait_{kWaitCounterNames};
};

}  // namespace stillwatch::dataplane
