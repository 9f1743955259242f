#include "dataplane/engine/forwarder.h"

#include <algorithm>

#include "base/endian.h"
#include "base/mutant.h"

namespace stillwatch::dataplane {

namespace {

// Whether the outer IP header says fragment, behind at most two VLAN tags. Cheap: asked of every frame where there is one worker,
// and no flow hash that tells. What a tunnel carries, that worker joins by itself.
bool MayBeFragment(Bytes frame) {
  size_t at = 12;
  if (frame.size() < 14 + 20) return false;
  uint16_t type = LoadBe16(&frame[at]);
  for (int tags = 0; tags < 2 && (type == 0x8100 || type == 0x88a8); ++tags) {
    at += 4;
    type = LoadBe16(&frame[at]);
  }
  if (type == 0x0800) return frame.size() >= at + 10 && (LoadBe16(&frame[at + 8]) & 0x3fff) != 0;
  if (type != 0x86dd || frame.size() < at + 42) return false;
  const uint8_t next = frame[at + 8];
  return next == 44 || next == 0 || next == 43 || next == 60;
}

}  // namespace

Forwarder::Forwarder(const Options& options, Port* port,
                     std::span<const std::unique_ptr<Lane>> lanes, SentUpTo* sent, const Clock* clock)
    : options_(options),
      port_(port),
      lanes_(lanes),
      sent_(sent),
      clock_(clock),
      lossless_(port->lossless()) {
  CHECK(!lanes_.empty());
  CHECK(options_.flow_hash != nullptr || lanes_.size() == 1);
  CHECK(options_.ring_frames > kBurstMax);
  CHECK(options_.index < options_.forwarders && (options_.forwarders == 1 || !lossless_));
  sequence_ = options_.forwarders == 1 ? 0 : options_.index;
  lent_.resize(lanes_.size());
  // The ring, and what the worker has taken out and not finished.
  for (Lent& lent : lent_) lent.frames.resize(2 * options_.ring_frames);
}

bool Forwarder::Step() {
  Reclaim();
  // Joined datagrams come back before a capture is read on: how many the joiner can hold must not
  // depend on how fast a worker is.
  if (lossless_ && (joined_out_ != 0 || !RoomForABurst())) return false;
  Frame frames[kBurstMax];
  const int64_t polled_ns = options_.forwarders == 1 ? 0 : live_time_.Of(clock_->UnixNs(), clock_->MonotonicNs());
  const size_t count = port_->Receive(frames);
  const bool scarce = !lossless_ && count != 0 && port_->buffers_scarce();
  for (size_t i = 0; i < count; ++i) {
    Frame& frame = frames[i];
    // A silent wire may have moved traffic time past this packet's stamp.
    now_ns_ = started_ ? std::max(now_ns_, frame.time_ns) : frame.time_ns;
    frame.time_ns = now_ns_;
    last_number_ = frame.number;
    if (!started_) {
      StartAt(now_ns_);
    } else if (now_ns_ >= next_tick_ns_ && options_.index == 0) {
      SendTick(frame.number, now_ns_);
    }
    if (scarce) {
      counters_.Add(ForwarderCounter::kBuffersScarce);
      port_->Release({&frame, 1});
    } else {
      bool fragment = false;
      const size_t lane = LaneOf(frame, &fragment);
      if (!fragment || !TakeFragment(frame)) Hand(frame, lane, false);
    }
  }
  counters_.Add(ForwarderCounter::kFrames, count);
  if (!lossless_) {
    if (count != 0) {
      last_frame_wall_ns_ = clock_->MonotonicNs();
      last_frame_ns_ = now_ns_;
    } else {
      // With several forwarders the first one tells the time, though nothing may come by its queue.
      if (options_.forwarders != 1) {
        if (!started_) StartAt(polled_ns);
        sequence_ = std::max(sequence_, PlaceOf(polled_ns));
      }
      if (options_.index == 0) IdleTick();
    }
  }
  sent_->sequence.store(sequence_, std::memory_order_release);
  return count != 0;
}

bool Forwarder::RoomForABurst() const {
  // Every frame of the burst, each with a tick before it.
  return std::all_of(lanes_.begin(), lanes_.end(),
                     [this](const auto& lane) { return lane->room(options_.index) >= 2 * kBurstMax; });
}

size_t Forwarder::LaneOf(const Frame& frame, bool* fragment) const {
  if (lanes_.size() == 1) {
    *fragment = MayBeFragment(frame.bytes);
    return 0;
  }
  const uint64_t hash = Mix64(options_.flow_hash(frame.bytes, options_.salt, fragment));
  return static_cast<size_t>(static_cast<unsigned __int128>(hash) * lanes_.size() >> 64);
}

bool Forwarder::TakeFragment(const Frame& frame) {
  Frame joined;
  bool complete = false, fragment = false;
  if (MutantIs("fragments_not_joined") || !fragments_.Offer(frame, &joined, &complete)) return false;
  port_->Release({&frame, 1});
  if (complete) Hand(joined, LaneOf(joined, &fragment), true);
  return true;
}

void Forwarder::Hand(const Frame& frame, size_t index, bool joined) {
  Lent& lent = lent_[index];
  while (MutantIs("forwarder_waits_for_worker") && lanes_[index]->room(options_.index) == 0) Reclaim();
  NextSequence(frame.time_ns);
  const bool has_place = lent.given - lent.returned < lent.frames.size();
  if (!has_place || !lanes_[index]->Offer({frame, sequence_, false}, options_.index)) {
    CHECK(!lossless_);
    counters_.Add(ForwarderCounter::kWorkerRingFull);
    if (joined) {
      fragments_.Release(frame);
    } else {
      port_->Release({&frame, 1});
    }
    return;
  }
  lent.frames[lent.given++ & (lent.frames.size() - 1)] = frame;
  lent.joined += joined ? 1 : 0;
  joined_out_ += joined ? 1 : 0;
}

void Forwarder::StartAt(int64_t time_ns) {
  started_ = true;
  now_ns_ = last_frame_ns_ = time_ns;
  last_frame_wall_ns_ = clock_->MonotonicNs();
  next_tick_ns_ = time_ns + options_.tick_ns;
}

// Among the sequences of several forwarders: by time, and never that of another one. The frames of a burst have one time and are
// put a nanosecond apart.
uint64_t Forwarder::PlaceOf(int64_t time_ns) const {
  return static_cast<uint64_t>(std::max<int64_t>(time_ns - options_.epoch_ns, 0)) * kForwardersMax + options_.index;
}

void Forwarder::NextSequence(int64_t time_ns) {
  if (options_.forwarders == 1) {
    ++sequence_;
  } else {
    sequence_ = std::max(sequence_ + kForwardersMax, PlaceOf(time_ns));
  }
}

void Forwarder::SendTick(uint64_t packet, int64_t time_ns) {
  NextSequence(time_ns);
  next_tick_ns_ = time_ns + options_.tick_ns;
  const StreamItem item{Frame{{}, 0, 0, packet, time_ns}, sequence_, true};
  for (const auto& lane : lanes_) {
    if (lane->Offer(item, options_.index)) continue;
    CHECK(!lossless_);
    counters_.Add(ForwarderCounter::kTickLost);
  }
  counters_.Add(ForwarderCounter::kTicks);
}

// On a silent wire traffic time goes on with the wall clock, from the last packet on.
void Forwarder::IdleTick() {
  if (!started_) return;
  const int64_t now_ns = last_frame_ns_ + (clock_->MonotonicNs() - last_frame_wall_ns_);
  if (now_ns < next_tick_ns_) return;
  now_ns_ = std::max(now_ns_, now_ns);
  SendTick(last_number_ + 1, now_ns_);
}

void Forwarder::End() {
  NextSequence(now_ns_);
  for (const auto& lane : lanes_) lane->End(last_number_ + 1, now_ns_, sequence_, options_.index);
}

bool Forwarder::Reclaim() {
  bool all = true;
  for (size_t i = 0; i < lanes_.size(); ++i) {
    Lent& lent = lent_[i];
    const uint64_t done = lanes_[i]->done(options_.index);
    const uint64_t mask = lent.frames.size() - 1;
    while (lent.returned < done) {
      const uint64_t begin = lent.returned & mask;
      const uint64_t count = std::min<uint64_t>(done - lent.returned, lent.frames.size() - begin);
      GiveBack(&lent, {&lent.frames[begin], count});
      lent.returned += count;
    }
    all = all && lent.returned == lent.given;
  }
  return all;
}

void Forwarder::GiveBack(Lent* lent, std::span<const Frame> frames) {
  if (lent->joined == 0) [[likely]]
    return port_->Release(frames);
  for (const Frame& frame : frames) {
    if (!fragments_.Owns(frame)) {
      port_->Release({&frame, 1});
      continue;
    }
    fragments_.Release(frame);
    --lent->joined;
    --joined_out_;
  }
}

}  // namespace stillwatch::dataplane
