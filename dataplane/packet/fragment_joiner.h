// Joins IP fragments that may carry TCP (itself or in a tunnel) on a bounded copy of their own, so that the joined
// datagram can be hashed and looked at like any other frame. One thread: the forwarder's before it hashes, or a worker's that gets raw
// frames. Bounded: so many datagrams at one time, each of at most 64 KiB, each for so long in traffic time.
//
// Policy: a fragment that overlaps what is there, other than an exact repeat, spoils its datagram, as does one
// that contradicts its length; the rest of it is then refused until its time is over (RFC 5722, section 4, for
// IPv6; current Linux does the same for IPv4). Fragments that the capture cut are refused. Other protocols
// (ICMP, SCTP...) are not joined.
#pragma once

#include <memory>

#include "base/clock.h"
#include "base/counters.h"
#include "dataplane/packet/packet.h"
#include "dataplane/port/frame.h"

namespace stillwatch::dataplane {

enum class FragmentCounter {
  kFragments,   // fragments of datagrams that may carry TCP: TCP, UDP, GRE, IP in IP; of IPv6 all but first ones of other protocols
  kOther,       // fragments of other protocols: not joined
  kJoined,      // datagrams joined
  kOverlapped,  // datagrams given up because fragments overlapped
  kMalformed,   // datagrams given up because fragments contradict each other, or are too long
  kRefused,     // fragments of given-up datagrams, and of those cut by the capture
  kTimedOut,    // datagrams given up because fragments were missing for too long
  kTableFull,   // datagrams given up, oldest first, because too many were open
  kCount
};
inline constexpr CounterNames<FragmentCounter> kFragmentCounterNames{
    "fragment.seen",      "fragment.other",   "fragment.joined",    "fragment.overlapped",
    "fragment.malformed", "fragment.refused", "fragment.timed_out", "fragment.table_full"};

class FragmentJoiner {
 public:
  struct Options {
    uint32_t datagrams_max = 64;
    int64_t timeout_ns = 30 * kNsPerSecond;  // as Linux' ipfrag_time
  };

  explicit FragmentJoiner(const Options& options);
  ~FragmentJoiner();

  // Takes in a fragment: `packet` is what DecodeFrame made of `frame` when it said kFragment. True when it
  // completed its datagram: `*joined` is then an Ethernet frame with the number, time and port of this
  // fragment, whose bytes stay valid until Release. The fragment itself is never kept.
  bool Add(const Frame& frame, const Packet& packet, Frame* joined);
  // For a thread that has not decoded: false when `frame` is no fragment. `*complete` as Add's result.
  bool Offer(const Frame& frame, Frame* joined, bool* complete);

  // Gives back what Add handed out, once.
  void Release(const Frame& joined);
  // Tells a joined frame from one of a port, if both go through the same rings.
  bool Owns(const Frame& frame) const;

  const CounterBlock<FragmentCounter>& counters() const { return counters_; }

 private:
  struct Datagram;

  Datagram* Find(const Packet& packet, uint64_t hash);
  Datagram* Open(const Packet& packet, uint64_t hash, int64_t now_ns);
  bool Place(Datagram* datagram, const Packet& packet);
  void KeepHeader(Datagram* datagram, const Packet& packet);
  Frame Finish(Datagram* datagram, const Frame& frame);
  void Spoil(Datagram* datagram, FragmentCounter why);

  const Options options_;
  const std::unique_ptr<Datagram[]> datagrams_;
  CounterBlock<FragmentCounter> counters_{kFragmentCounterNames};
};

}  // namespace stillwatch::dataplane
