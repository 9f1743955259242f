// inspect --layer packet: one JSON line for each frame of the captures, as the decoder sees it. Single thread.
//
// A line: frame (number of the packet, from 1), status (what it is, or why it is not looked into), and as far as the status
// goes: src, dst (of the innermost packet), sport, dport, protocol, seq, len (payload on the wire), flags, tunnels (encapsulations
// that were opened), checksum (of TCP: good, bad, partial; unchecked where told to ignore them), frag_offset and
// more_fragments; joined says that the frame completed a datagram, whose fields these are.
#pragma once

#include <cstdio>
#include <span>
#include <string>

#include "base/result.h"

namespace stillwatch {

Status InspectPackets(std::span<const std::string> captures, bool ignore_checksums, std::FILE* out);

}  // namespace stillwatch
