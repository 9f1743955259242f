// The options of a TCP header (RFC 9293, 3.2; RFC 7323; RFC 2018). Pure; at most 40 bytes are read. A malformed
// option ends the list.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/hash.h"

namespace stillwatch::dataplane {

struct TcpOptions {
  uint16_t mss = 0;            // 0: not given
  uint8_t window_scale = 0;
  bool has_window_scale = false;
  bool sack_permitted = false;
  bool has_timestamps = false;
  bool malformed = false;
  uint32_t timestamp = 0, timestamp_echo = 0;
  uint8_t kinds[40] = {};      // in the order sent, no-operation included
  uint8_t kinds_count = 0;
};

TcpOptions ParseTcpOptions(Bytes options);
// False: there is no timestamps option.
bool ReadTimestamps(Bytes options, uint32_t* timestamp, uint32_t* echo);

// Tells TCP stacks apart by a client's SYN: window, order of option kinds, MSS and window scale (the fields of
// the published JA4T fingerprint). Never 0.
uint64_t TcpFingerprint(uint16_t window, const TcpOptions& options, Salt salt);

}  // namespace stillwatch::dataplane
