#include "dataplane/port/link_layer.h"

#include "base/endian.h"

namespace stillwatch::dataplane {

namespace {

constexpr uint32_t kNull = 0, kRawBsd = 12, kRawOpenBsd = 14, kRaw = 101, kLoop = 108, kSll = 113,
                   kIpv4 = 228, kIpv6 = 229, kSll2 = 276;
constexpr uint16_t kEtherIpv4 = 0x0800, kEtherIpv6 = 0x86dd;

}  // namespace

LinkSupport SupportOf(uint32_t link_type) {
  switch (link_type) {
    case kLinkEthernet:
      return LinkSupport::kEthernet;
    case kNull:
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
