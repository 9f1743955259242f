// Polls a port (an inline port transmits inside Receive, at once), gives each frame to the worker
// that owns its flow, and tells every worker when traffic time has moved by 100 ms. One thread.
// Never waits for a worker: on a wire a full ring means that the frame is not looked at, counted; a
// capture is read no further until every ring has room. Frames go back to the port on this thread,
// when their worker is through with them.
//
// IP fragments are joined here on a bounded copy, so that the whole datagram reaches the worker of
// its flow.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"
#include "dataplane/engine/lane.h"
#include "dataplane/packet/fragment_joiner.h"
#include "dataplane/port/port.h"
#include "dataplane/port/traffic_clock.h"

namespace stillwatch::dataplane {

enum class ForwarderCounter {
  kFrames,          // frames received
  kTicks,           // times that traffic time was told to the workers
  kWorkerRingFull,  // frames not looked at because their worker does not keep up; raise
                    // threads.workers
  kBuffersScarce,   // frames not looked at because too few packet buffers are free; raise
                    // ports.mbufs
  kTickLost,        // a worker missed a tick because its ring was full; raise threads.workers
  kCount
};
inline constexpr CounterNames<ForwarderCounter> kForwarderCounterNames{
    "engine.frames", "engine.ticks", "engine.worker_ring_full", "engine.buffers_scarce",
    "engine.tick_lost"};

// Which flow a frame belongs to: the same for both directions; and whether it is a fragment, or carries one in a tunnel.
// dataplane/packet/flow_hash.h has the real one.
using FlowHashFunction = uint64_t (*)(Bytes frame, Salt salt, bool* fragment);

class Forwarder {
 public:
  struct Options {
    FlowHashFunction flow_hash = nullptr;  // may be null with one lane
    Salt salt;
    size_t ring_frames = 4096;  // of each lane
    size_t index = 0, forwarders = 1;
    int64_t epoch_ns = 0;       // with several forwarders: sequences count from here
    int64_t tick_ns = 100 * kNsPerMs;
  };
  // All outlive the forwarder.
  Forwarder(const Options& options, Port* port, std::span<const std::unique_ptr<Lane>> lanes,
            SentUpTo* sent, const Clock* clock);

  // One poll. True when there was work.
  bool Step();
  // No packet will come and all were offered.
  bool at_end() const { return port_->at_end(); }
  // Ends the stream of every lane. After the last Step.
  void End();
  // Gives frames back that workers are through with; true when none is out any more.
  bool Reclaim();
  const CounterBlock<ForwarderCounter>& counters() const { return counters_; }
  const CounterBlock<FragmentCounter>& fragment_counters() const { return fragments_.counters(); }

 private:
  // Frames lent to a lane, in the order in which it will be through with them.
  struct Lent {
    std::vector<Frame> frames;  // a ring; its size is a power of two
    uint64_t given = 0, returned = 0;
    uint64_t joined = 0;  // of those out, how many belong to fragments_
  };

  bool RoomForABurst() const;
  size_t LaneOf(const Frame& frame, bool* fragment) const;
  // Takes the frame if it is a fragment, and hands on the datagram that it completes.
  bool TakeFragment(const Frame& frame);
  void Hand(const Frame& frame, size_t index, bool joined);
  void GiveBack(Lent* lent, std::span<const Frame> frames);
  void StartAt(int64_t time_ns);
  void SendTick(uint64_t packet, int64_t time_ns);
  void IdleTick();
  uint64_t PlaceOf(int64_t time_ns) const;
  void NextSequence(int64_t time_ns);

  const Options options_;
  Port* const port_;
  const std::span<const std::unique_ptr<Lane>> lanes_;
  SentUpTo* const sent_;
  const Clock* const clock_;
  const bool lossless_;

  std::vector<Lent> lent_;
  LiveTime live_time_;
  FragmentJoiner fragments_{{}};
  uint64_t joined_out_ = 0;  // joined datagrams that workers hold
  uint64_t sequence_ = 0;
  uint64_t last_number_ = 0;
  bool started_ = false;  // a packet has set traffic time
  int64_t now_ns_ = 0;    // traffic time
  int64_t next_tick_ns_ = 0;
  int64_t last_frame_wall_ns_ = 0, last_frame_ns_ = 0;
  CounterBlock<ForwarderCounter> counters_{kForwarderCounterNames};
};

}  // namespace stillwatch::dataplane
