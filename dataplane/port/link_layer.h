// Captures whose link layer is not Ethernet but carries IP plainly: an Ethernet header is made up
// in the 14 bytes before the network header, so that one decoder serves all. The addresses are
// zero. The bytes before a record's payload are record or link headers that were read already.
#pragma once

#include <cstdint>
#include <optional>

#include "dataplane/port/capture_reader.h"

namespace stillwatch::dataplane {

enum class LinkSupport : uint8_t { kEthernet, kMadeUp, kUnsupported };
LinkSupport SupportOf(uint32_t link_type);

// Where the network header begins in the record and its EtherType. Empty: cut or unknown family.
struct NetworkHeader {
  uint32_t offset;
  uint16_t ether_type;
};
std::optional<NetworkHeader> FindNetworkHeader(const CaptureRecord& record);

}  // namespace stillwatch::dataplane
