// Whoever wants to be misread sends bytes that his peer throws away and a watcher takes, and then the true ones in their place. Here
// such bytes are told by what the watcher knows of the peer, and wait for its word.
#include <algorithm>
#include <cstring>

#include "base/mutant.h"
#include "dataplane/flow/flow_worker.h"
#include "dataplane/packet/tcp_options.h"

namespace stillwatch::dataplane {

namespace {

constexpr uint8_t kDoubtedChunksMax = 32;  // a direction

// Of bytes in doubt: the belief in them, and the hops that are known to suffice once they are acknowledged.
constexpr uint8_t kNoHops = 0xff;
constexpr uint32_t MarkOf(uint32_t belief, uint8_t hops) { return belief << 8 | hops; }
constexpr uint32_t BeliefOf(uint32_t mark) { return mark >> 8; }
constexpr uint8_t ProvenHops(uint32_t mark) { return static_cast<uint8_t>(mark); }

// Both sides' SYNs were seen and asked for it (RFC 7323, 2.2 and 3.2).
bool BothHaveTimestamps(const Flow& flow) { return flow.direction[0].has_timestamps && flow.direction[1].has_timestamps; }

}  // namespace

// How far the client's payload is believed to be taken by its server: kBelieved; the hops that its packet had left, where these are
// fewer than are known to arrive; 0 where the server throws it away by RFC.
FlowWorker::Belief FlowWorker::BeliefIn(const Flow& flow, const Packet& packet) const {
  const Direction& from = flow.direction[0];
  const Direction& back = flow.direction[1];
  if (!from.anchored || (packet.flags & kSyn) != 0) return kBelieved;  // a server that is not seen will say nothing
  // Behind what it has offered to take (RFC 9293, 3.10.7.4).
  if (from.window_end != 0 && from.stream.OffsetOf(packet.seq) > static_cast<int64_t>(from.window_end) &&
      !MutantIs("doubt.any_window")) {
    return 0;
  }
  // It acknowledges what the server has never sent (3.10.7.4), or what can only be long past (RFC 5961, 5.2).
  if ((packet.flags & kAck) != 0 && back.anchored && !MutantIs("doubt.any_ack")) {
    const int64_t ack = back.stream.OffsetOf(packet.ack), acked = static_cast<int64_t>(back.acked_offset);
    const int64_t window = back.window_max != 0 ? back.window_max : kWindowMax;
    if (ack > static_cast<int64_t>(back.sent_end)) return 0;
    if (ack < acked - (back.syn_seen ? std::min(window, acked) : window)) return 0;
  }
  // It is older than what was taken before (RFC 7323, 5.3).
  uint32_t timestamp, echo;
  if (BothHaveTimestamps(flow) && ReadTimestamps(packet.tcp_options, &timestamp, &echo) &&
      static_cast<int32_t>(from.timestamp - timestamp) > 0 && !MutantIs("doubt.any_timestamp")) {
    return 0;
  }
  return packet.hops < from.hops && !MutantIs("doubt.any_hops") ? packet.hops : kBelieved;
}

// Of the SYN that the direction begins with.
void FlowWorker::LearnTerms(Direction* direction, const Packet& packet) {
  const TcpOptions options = ParseTcpOptions(packet.tcp_options);
  direction->window_scale = options.has_window_scale ? options.window_scale : kScaleNone;
  direction->has_timestamps = options.has_timestamps;
  direction->timestamp = options.timestamp;
  direction->hops = packet.hops;
}

// Of a packet that acknowledges up to the offset `acked`: what its sender offers to take, and the timestamps that both have taken.
void FlowWorker::LearnWindow(Flow& flow, int side, const Packet& packet, int64_t acked) {
  Direction& from = flow.direction[side];
  Direction& back = flow.direction[1 - side];
  if (from.window_scale != kScaleUnknown && back.window_scale != kScaleUnknown && acked >= 0) {
    const bool scaled = from.window_scale != kScaleNone && back.window_scale != kScaleNone && (packet.flags & kSyn) == 0;
    const uint32_t window = uint32_t{packet.window} << (scaled ? from.window_scale : 0);
    back.window_max = std::max(back.window_max, window);
    back.window_end = std::max(back.window_end, static_cast<uint64_t>(acked) + window);
  }
  uint32_t timestamp, echo;
  if (!BothHaveTimestamps(flow) || !ReadTimestamps(packet.tcp_options, &timestamp, &echo)) return;
  // What was taken at the edge of what was acknowledged (RFC 7323, 4.3), and what the other side says that it has taken.
  const bool at_edge = from.stream.OffsetOf(packet.seq) <= static_cast<int64_t>(from.acked_offset);
  if (at_edge && static_cast<int32_t>(timestamp - from.timestamp) > 0) from.timestamp = timestamp;
  if (static_cast<int32_t>(echo - back.timestamp) > 0) back.timestamp = echo;
}

void FlowWorker::NoteSent(Direction* direction, uint32_t end_seq) {
  const int64_t end = direction->stream.OffsetOf(end_seq);
  if (end > static_cast<int64_t>(direction->stream.next_offset()) + kWindowMax) return;
  direction->sent_end = std::max(direction->sent_end, static_cast<uint64_t>(std::max<int64_t>(0, end)));
}

// Keeps the payload apart from the stream.
void FlowWorker::SetAside(Direction* direction, const Packet& packet, Belief belief) {
  Count(FlowCounter::kDoubted);
  const int64_t place = direction->stream.OffsetOf(packet.seq);
  const int64_t next = static_cast<int64_t>(direction->stream.next_offset());
  if (place > next + kWindowMax) return Count(FlowCounter::kOutOfWindow);
  const uint64_t old = place < next ? static_cast<uint64_t>(next - place) : 0;
  if (old >= packet.payload.size()) return Count(FlowCounter::kOldSegments);
  Bytes data = packet.payload.subspan(old);
  uint64_t offset = static_cast<uint64_t>(std::max(place, next));
  Segment** link = &direction->doubted;
  while (*link != nullptr) link = &(*link)->next;
  while (!data.empty()) {
    Segment* const segment = direction->doubted_chunks == kDoubtedChunksMax ? nullptr : segments_.Take();
    if (segment == nullptr) return Count(FlowCounter::kDoubtedFull);
    ++direction->doubted_chunks;
    const size_t size = std::min<size_t>(data.size(), Segment::kBytes);
    segment->next = nullptr;
    segment->offset = offset;
    segment->size = static_cast<uint32_t>(size);
    segment->mark = MarkOf(belief, packet.hops);
    std::memcpy(segment->data, data.data(), size);
    *link = segment;
    link = &segment->next;
    data = data.subspan(size);
    offset += size;
  }
}

// The bytes in doubt that end at `until_offset` or before are the stream's, of two versions the one that came first.
void FlowWorker::TakeDoubted(Direction* direction, uint64_t until_offset) {
  for (Segment** link = &direction->doubted; *link != nullptr;) {
    Segment* const segment = *link;
    if (segment->end() > until_offset) {
      link = &segment->next;
      continue;
    }
    *link = segment->next;
    --direction->doubted_chunks;
    switch (direction->stream.Hold(segment->offset, segment->bytes(), options_.reassembly_flow_bytes_max, &segments_)) {
      case PlaceResult::kFlowFull:
      case PlaceResult::kPoolEmpty: Count(FlowCounter::kDoubtedFull); break;
      case PlaceResult::kEarly:
        Count(FlowCounter::kDoubtedTaken);
        direction->hops = std::min(direction->hops, ProvenHops(segment->mark));
        break;
      default: break;  // it had come in other packets before
    }
    segments_.Give(segment);
  }
}

// At the flow's end: what nobody has contradicted is the stream's, up to its FIN.
void FlowWorker::TakeUncontested(Direction* direction) {
  const int64_t fin = direction->fin_seen ? direction->stream.OffsetOf(direction->fin_seq) : INT64_MAX;
  if (!direction->ended && fin > 0) TakeDoubted(direction, static_cast<uint64_t>(fin));
  while (direction->doubted != nullptr) {
    Segment* const segment = direction->doubted;
    direction->doubted = segment->next;
    --direction->doubted_chunks;
    segments_.Give(segment);
  }
}

// Drops those bytes in doubt of which a payload that is believed more is another version, or the same.
void FlowWorker::Contest(Flow* flow, Direction* direction, const Packet& packet, Belief belief) {
  const int64_t place = direction->stream.OffsetOf(packet.seq);
  const int64_t place_end = place + static_cast<int64_t>(packet.payload.size());
  for (Segment** link = &direction->doubted; *link != nullptr;) {
    Segment* const segment = *link;
    const int64_t begin = static_cast<int64_t>(segment->offset), end = static_cast<int64_t>(segment->end());
    const int64_t from = std::max(begin, place), to = std::min(end, place_end);
    uint32_t different = 0;
    for (int64_t at = from; at < to; ++at) different += segment->data[at - begin] != packet.payload[static_cast<size_t>(at - place)];
    if (different != 0) {
      Count(FlowCounter::kConflicts);
      Count(FlowCounter::kConflictBytes, different);
      flow->contested = true;
    }
    const bool covered = from == begin && to == end;
    if (BeliefOf(segment->mark) >= belief || (different == 0 && !covered)) {
      // Its bytes may be acknowledged because the others arrived.
      if (from < to) segment->mark = MarkOf(BeliefOf(segment->mark), kNoHops);
      link = &segment->next;
      continue;
    }
    *link = segment->next;
    --direction->doubted_chunks;
    segments_.Give(segment);
  }
}

}  // namespace stillwatch::dataplane
