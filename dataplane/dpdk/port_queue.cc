#include "dataplane/dpdk/port_queue.h"

#include <rte_cycles.h>
#include <rte_ether.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <utility>

#include "base/mutant.h"

namespace stillwatch::dataplane {

namespace {

constexpr uint32_t kPollsABeat = 16;
constexpr uint32_t kPollsAWatch = 64;  // how often free buffers are counted

constexpr ForwardCounter kReceived[] = {ForwardCounter::kReceivedA, ForwardCounter::kReceivedB};
constexpr ForwardCounter kSent[] = {ForwardCounter::kSentA, ForwardCounter::kSentB};

}  // namespace

PortQueue::PortQueue(InlinePair* pair, uint16_t index, Heart* heart, const Clock* clock)
    : pair_(pair), index_(index), queues_(pair->options_.queues), heart_(heart), clock_(clock),
      latency_steps_(rte_get_tsc_hz()),
      fresh_(pair->options_.driver == PortDriver::kAfPacket && !MutantIs("others_frames_are_sent")) {}

void PortQueue::OnPollingThread() {
  // Gives this thread its own cache of free buffers. Without one every free takes the shared ring.
  if (rte_lcore_id() == LCORE_ID_ANY) rte_thread_register();
}

// The devices may be closed once no queue polls them and none of this one's frames is out; the first queue's thread does it.
void PortQueue::StandAside() {
  if (lent_ != 0) return;
  const uint32_t opening = pair_->openings_.load(std::memory_order_relaxed) + 1;
  if (aside_for_ != opening) {
    aside_for_ = opening;
    pair_->aside_.fetch_add(1, std::memory_order_acq_rel);
  }
  if (index_ == 0 && pair_->aside_.load(std::memory_order_acquire) == queues_) pair_->TryReopen();
}

void PortQueue::BeginWithNewDevices() {
  opening_ = pair_->openings_.load(std::memory_order_relaxed);
  polls_ = 0;
  idle_ = true;
  scarce_ = false;
  fresh_ = pair_->options_.driver == PortDriver::kAfPacket;
  std::fill(std::begin(polled_ticks_), std::end(polled_ticks_), 0);
}

size_t PortQueue::Receive(std::span<Frame> frames) {
  const int64_t now_ns = clock_->MonotonicNs();
  if (pair_->reopen_.load(std::memory_order_acquire)) [[unlikely]] {
    StandAside();
    return 0;
  }
  if (pair_->devices_ == nullptr) [[unlikely]] return 0;
  if (opening_ != pair_->openings_.load(std::memory_order_relaxed)) [[unlikely]] BeginWithNewDevices();
  if (fresh_) [[unlikely]] {
    // DPDK's driver listens to all interfaces of the host until it binds; none of that is ours to send.
    Flush();
    fresh_ = false;
  }
  if (heart_->Stale(now_ns, index_) && !MutantIs("late_frames_are_sent")) counters_.Add(ForwardCounter::kStale, Flush());
  // The first beat says that both ports are ready. An idle thread may sleep between polls, so each
  // poll beats.
  if (polls_ % kPollsABeat == 0 || idle_) heart_->Beat(now_ns, index_);
  if (polls_ % kPollsAWatch == 0) WatchBuffers();
  ++polls_;

  const size_t sides = devices().list.size();
  size_t count = 0, polled = 0;
  int64_t time_ns = 0;
  // Without a free buffer a ring gives less than it has.
  emptied_ = !scarce_;
  for (; polled < sides && count < frames.size(); ++polled) {
    const size_t side = (first_ + polled) % sides;
    // What came in by another queue is put before or behind this by its time: an answer is not older than its request.
    if (time_ns == 0 || queues_ != 1) time_ns = live_time_.Of(clock_->UnixNs(), now_ns);
    count += ReceiveFrom(side, frames.subspan(count), time_ns);
  }
  first_ = (first_ + 1) % sides;
  idle_ = count == 0;
  if (emptied_ && polled == sides) heart_->Emptied(now_ns, index_);
  lent_ += count;
  return count;
}

size_t PortQueue::ReceiveFrom(size_t side, std::span<Frame> frames, int64_t time_ns) {
  rte_mbuf* mbufs[kBurstMax];
  const auto room = static_cast<uint16_t>(std::min(frames.size(), kBurstMax));
  const uint64_t poll_ticks = rte_rdtsc();
  const uint16_t received = rte_eth_rx_burst(devices().list[side]->id(), index_, mbufs, room);
  const uint64_t before_ticks = std::exchange(polled_ticks_[side], rte_rdtsc());
  if (received == room) emptied_ = false;
  if (received == 0) return 0;
  // Stopped since this round began: what was received is late, like what Flush finds. From here to the sender's
  // system call is a microsecond or two; a process that is stopped just there sends this one burst late.
  if (heart_->Stale(clock_->MonotonicNs(), index_) && !MutantIs("late_burst_is_sent")) [[unlikely]] {
    rte_pktmbuf_free_bulk(mbufs, received);
    counters_.Add(ForwardCounter::kStale, received);
    return 0;
  }
  counters_.Add(kReceived[side], received);
  const Device* peer = devices().forward ? devices().list[1 - side].get() : nullptr;
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
                          ++number_ * queues_ + index_,
                          time_ns,
                          reinterpret_cast<uint64_t>(mbuf)};
    mbufs[count++] = mbuf;
  }
  if (peer == nullptr) return count;

  // One reference for looking, one that sending takes.
  for (uint16_t i = 0; i < count; ++i) rte_pktmbuf_refcnt_update(mbufs[i], 1);
  uint16_t sent = rte_eth_tx_burst(peer->id(), index_, mbufs, count);
  if (sent < count) [[unlikely]] {
    sent = static_cast<uint16_t>(
        sent + rte_eth_tx_burst(peer->id(), index_, mbufs + sent, static_cast<uint16_t>(count - sent)));
    for (uint16_t i = sent; i < count; ++i) rte_pktmbuf_free(mbufs[i]);
    counters_.Add(ForwardCounter::kTxFull, static_cast<uint64_t>(count - sent));
  }
  counters_.Add(kSent[1 - side], sent);
  delay_.Add(static_cast<DelayCounter>(latency_steps_.StepOf(rte_rdtsc() - poll_ticks)), sent);
  if (before_ticks != 0) wait_.Add(static_cast<WaitCounter>(latency_steps_.StepOf(poll_ticks - before_ticks)), sent);
  return count;
}

void PortQueue::Release(std::span<const Frame> frames) {
  for (const Frame& frame : frames) rte_pktmbuf_free(reinterpret_cast<rte_mbuf*>(frame.handle));
  lent_ -= frames.size();
}

// While the kernel was bypassing us, and before we began.
uint64_t PortQueue::Flush() {
  uint64_t discarded = 0;
  rte_mbuf* mbufs[kBurstMax];
  for (const auto& device : devices().list) {
    // Bounded: new frames may come in while this runs.
    for (size_t bursts = 0; bursts < 32'768 / kBurstMax; ++bursts) {
      const uint16_t count = rte_eth_rx_burst(device->id(), index_, mbufs, kBurstMax);
      if (count == 0) break;
      rte_pktmbuf_free_bulk(mbufs, count);
      discarded += count;
    }
  }
  return discarded;
}

void PortQueue::WatchBuffers() {
  const rte_mempool* pool = devices().pool.get();
  scarce_ = rte_mempool_avail_count(pool) < pool->size / 4;
}

}  // namespace stillwatch::dataplane
