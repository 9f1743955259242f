#include "dataplane/packet/duplicate_filter.h"

#include <algorithm>
#include <cstring>

#include "base/endian.h"
#include "base/mutant.h"

namespace stillwatch::dataplane {

namespace {

constexpr size_t kHeadBytesMax = 96;    // the IP header without what changes, and what follows it up to here
constexpr size_t kIpHeaderMax = 60;

// The IP packet of a frame, without Ethernet header, tags and padding; empty: none, or not whole.
Bytes IpPacketOf(Bytes frame, uint32_t wire_length) {
  size_t at = 12;
  if (wire_length != frame.size() || frame.size() < at + 2) return {};
  uint16_t type = LoadBe16(&frame[at]);
  for (int tags = 0; tags < 4 && (type == 0x8100 || type == 0x88a8 || type == 0x9100); ++tags) {
    at += 4;
    if (frame.size() < at + 2) return {};
    type = LoadBe16(&frame[at]);
  }
  const Bytes ip = frame.subspan(at + 2);
  size_t length = 0;
  if (type == 0x0800 && ip.size() >= 20 && (ip[0] & 15) >= 5) length = LoadBe16(&ip[2]);
  // A length of 0 means a jumbogram, whose length stands elsewhere.
  if (type == 0x86dd && ip.size() >= 40 && LoadBe16(&ip[4]) != 0) length = size_t{40} + LoadBe16(&ip[4]);
  return length < 20 || length > ip.size() ? Bytes{} : ip.first(length);
}

}  // namespace

DuplicateFilter::DuplicateFilter(int64_t window_ns, Salt salt)
    : window_ns_(window_ns),
      head_salt_(DeriveSalt(salt, "copy-head")),
      whole_salt_(DeriveSalt(salt, "copy-whole")),
      buckets_(kEntries / std::tuple_size_v<Bucket>) {}

bool DuplicateFilter::IsCopy(Bytes frame, uint32_t wire_length, int64_t time_ns) {
  const Bytes ip = IpPacketOf(frame, wire_length);
  if (ip.empty()) return false;
  uint8_t head[kHeadBytesMax];
  const size_t size = std::min(ip.size(), kHeadBytesMax);
  static_assert(kIpHeaderMax < kHeadBytesMax);
  std::memcpy(head, ip.data(), size);
  if (ip[0] >> 4 == 4) {
    head[1] = 0;                // traffic class
    head[8] = 0;                // time to live
    head[10] = head[11] = 0;    // checksum
    if (MutantIs("copies.forget_the_identification")) head[4] = head[5] = 0;
  } else {
    head[0] &= 0xf0;  // traffic class
    head[1] &= 0x0f;
    head[7] = 0;  // hop limit
  }
  Entry now;
  now.head = KeyedHash64(Bytes(head, size), head_salt_);
  // What lies behind the head, under a seed that the head decides.
  now.whole = KeyedHash64(ip.subspan(size), Salt{whole_salt_.value ^ now.head});
  now.time_ns = time_ns;
  Bucket& bucket = buckets_[Mix64(now.head ^ now.whole) % buckets_.size()];
  Entry* oldest = &bucket[0];
  for (Entry& entry : bucket) {
    const bool young = entry.time_ns != 0 && time_ns - entry.time_ns <= window_ns_;
    if (young && entry.head == now.head && entry.whole == now.whole) {
      counters_.Add(DuplicateCounter::kRemoved);
      return true;
    }
    if (entry.time_ns < oldest->time_ns) oldest = &entry;
  }
  if (oldest->time_ns != 0 && time_ns - oldest->time_ns <= window_ns_) counters_.Add(DuplicateCounter::kForgotten);
  *oldest = now;
  return false;
}

}  // namespace stillwatch::dataplane
