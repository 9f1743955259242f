#include "dataplane/port/link_layer.h"

#include "base/endian.h"

namespace stillwatch::dataplane {

namespace {

constexpr uint32_t kNull = 0, kPpp = 9, kRawBsd = 12, kRawOpenBsd = 14, kRaw = 101, kLoop = 108, kSll = 113,
                   kPppWithDirection = 204, kPppHdlc = 50, kIpv4 = 228, kIpv6 = 229, kSll2 = 276;
constexpr uint16_t kEtherIpv4 = 0x0800, kEtherIpv6 = 0x86dd, kEtherMpls = 0x8847, kEtherMplsMulticast = 0x8848;

// RFC 1661, 2 and 6.5, and RFC 1662, 3.1: address and control may be left out, the protocol's first byte too where it is zero.
std::optional<NetworkHeader> BehindPpp(Bytes bytes, uint32_t at) {
  if (bytes.size() >= at + 2 && bytes[at] == 0xff && bytes[at + 1] == 0x03) at += 2;
  if (bytes.size() < at + 2) return {};
  const bool compressed = (bytes[at] & 1) != 0;
  const uint16_t protocol = compressed ? bytes[at] : LoadBe16(bytes.data() + at);
  at += compressed ? 1 : 2;
  switch (protocol) {
    case 0x0021: return NetworkHeader{at, kEtherIpv4};
    case 0x0057: return NetworkHeader{at, kEtherIpv6};
    case 0x0281: return NetworkHeader{at, kEtherMpls};
    case 0x0283: return NetworkHeader{at, kEtherMplsMulticast};
    default: return {};  // LCP, authentication, compressed headers
  }
}

}  // namespace

LinkSupport SupportOf(uint32_t link_type) {
  switch (link_type) {
    case kLinkEthernet:
      return LinkSupport::kEthernet;
    case kNull:
    case kPpp:
    case kPppHdlc:
    case kPppWithDirection:
    case kRawBsd:
    case kRawOpenBsd:
    case kRaw:
    case kLoop:
    case kSll:
    case kIpv4:
    case kIpv6:
    case kSll2:
      return LinkSupport::kMadeUp;
    default:
      return LinkSupport::kUnsupported;
  }
}

std::optional<NetworkHeader> FindNetworkHeader(const CaptureRecord& record) {
  const Bytes bytes = record.bytes;
  switch (record.link_type) {
    case kIpv4:
      return NetworkHeader{0, kEtherIpv4};
    case kIpv6:
      return NetworkHeader{0, kEtherIpv6};
    case kRawBsd:
    case kRawOpenBsd:
    case kRaw:
      if (bytes.empty()) return {};
      if (bytes[0] >> 4 == 4) return NetworkHeader{0, kEtherIpv4};
      if (bytes[0] >> 4 == 6) return NetworkHeader{0, kEtherIpv6};
      return {};
    case kNull:
    case kLoop: {
      if (bytes.size() < 4) return {};
      const bool big = record.link_type == kLoop || record.big_endian;
      const uint32_t family = big ? LoadBe32(bytes.data()) : LoadLe<uint32_t>(bytes.data());
      if (family == 2) return NetworkHeader{4, kEtherIpv4};
      // AF_INET6 has another number on Linux, the BSDs and macOS.
      if (family == 10 || family == 24 || family == 28 || family == 30)
        return NetworkHeader{4, kEtherIpv6};
      return {};
    }
    case kPpp:
    case kPppHdlc:
      return BehindPpp(bytes, 0);
    case kPppWithDirection:
      return BehindPpp(bytes, 1);
    case kSll:
      if (bytes.size() < 16) return {};
      return NetworkHeader{16, LoadBe16(bytes.data() + 14)};
    case kSll2:
      if (bytes.size() < 20) return {};
      return NetworkHeader{20, LoadBe16(bytes.data())};
    default:
      return {};
  }
}

}  // namespace stillwatch::dataplane
