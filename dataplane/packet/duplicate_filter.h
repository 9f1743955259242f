// Tells copies of one packet from packets that are alike: a mirror of both ingress and egress, or of two ports, delivers
// each packet twice. Two frames are copies when all of the IP packet is the same but what routers change on the way
// (time to live, traffic class, IPv4 header checksum), and the second comes within the window after the first. MAC addresses,
// VLAN tags and padding may differ. A retransmission has another IP identification, timestamp or acknowledgement, or comes
// later; one that has none of these is told by nobody, and brings nothing that was not seen.
//
// Never for frames that are to be forwarded: those are forwarded unseen. One thread; a fixed table of 1.5 MiB; when a bucket
// is full of packets younger than the window the oldest is forgotten, counted. What is no IP, or cut, is never a copy.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/counters.h"
#include "base/hash.h"

namespace stillwatch::dataplane {

enum class DuplicateCounter {
  kRemoved,    // second copies of packets on a mirror, not looked at
  kForgotten,  // packets whose copy would not be noticed any more, because the table was full; lower ports.duplicate_window_ms
  kCount
};
inline constexpr CounterNames<DuplicateCounter> kDuplicateCounterNames{"mirror.duplicates", "mirror.duplicates_forgotten"};

class DuplicateFilter {
 public:
  static constexpr size_t kEntries = 1 << 16, kEntryBytes = 24;

  DuplicateFilter(int64_t window_ns, Salt salt);

  // True for a copy of a frame that it was asked about before. Times never step back.
  bool IsCopy(Bytes frame, uint32_t wire_length, int64_t time_ns);

  const CounterBlock<DuplicateCounter>& counters() const { return counters_; }

 private:
  // Two hashes: `head` of the packet's first bytes, `whole` of all of it.
  struct Entry {
    uint64_t head = 0, whole = 0;
    int64_t time_ns = 0;  // 0: free
  };
  static_assert(sizeof(Entry) == kEntryBytes);
  using Bucket = std::array<Entry, 4>;

  const int64_t window_ns_;
  const Salt head_salt_, whole_salt_;
  std::vector<Bucket> buckets_;
  CounterBlock<DuplicateCounter> counters_{kDuplicateCounterNames};
};

}  // namespace stillwatch::dataplane
