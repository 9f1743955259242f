#include "dataplane/packet/tcp_options.h"

#include <algorithm>
#include <cstring>

#include "base/endian.h"

namespace stillwatch::dataplane {

TcpOptions ParseTcpOptions(Bytes options) {
  constexpr uint8_t kEnd = 0, kNop = 1, kMss = 2, kScale = 3, kSackPermitted = 4, kTimestamps = 8;
  TcpOptions out;
  options = options.first(std::min<size_t>(options.size(), sizeof out.kinds));
  while (!options.empty()) {
    const uint8_t kind = options[0];
    if (kind == kEnd) break;
    out.kinds[out.kinds_count++] = kind;
    if (kind == kNop) {
      options = options.subspan(1);
      continue;
    }
    if (options.size() < 2 || options[1] < 2 || options[1] > options.size()) {
      out.malformed = true;
      break;
    }
    const Bytes value = options.subspan(2, options[1] - 2u);
    if (kind == kMss && value.size() == 2) out.mss = LoadBe16(value.data());
    if (kind == kScale && value.size() == 1) {
      out.window_scale = std::min<uint8_t>(value[0], 14);  // RFC 7323, 2.3
      out.has_window_scale = true;
    }
    if (kind == kSackPermitted) out.sack_permitted = true;
    if (kind == kTimestamps && value.size() == 8) {
      out.has_timestamps = true;
      out.timestamp = LoadBe32(value.data());
      out.timestamp_echo = LoadBe32(value.data() + 4);
    }
    options = options.subspan(options[1]);
  }
  return out;
}

bool ReadTimestamps(Bytes options, uint32_t* timestamp, uint32_t* echo) {
  if (options.size() == 12 && LoadBe32(options.data()) == 0x0101080a) {  // as nearly all stacks write it (RFC 7323, appendix A)
    *timestamp = LoadBe32(&options[4]);
    *echo = LoadBe32(&options[8]);
    return true;
  }
  const TcpOptions read = ParseTcpOptions(options);
  *timestamp = read.timestamp;
  *echo = read.timestamp_echo;
  return read.has_timestamps;
}

uint64_t TcpFingerprint(uint16_t window, const TcpOptions& options, Salt salt) {
  uint8_t text[5 + sizeof options.kinds];
  StoreBe16(text, window);
  StoreBe16(text + 2, options.mss);
  text[4] = options.has_window_scale ? options.window_scale : 0xff;
  std::memcpy(text + 5, options.kinds, options.kinds_count);
  return std::max<uint64_t>(1, KeyedHash64(Bytes(text, 5u + options.kinds_count), salt));
}

}  // namespace stillwatch::dataplane
