#include "dataplane/http/websocket.h"

#include <algorithm>
#include <cstring>

#include "base/endian.h"
#include "base/mutant.h"
#include "dataplane/http/text.h"

namespace stillwatch::dataplane {
namespace {

constexpr uint8_t kRsv1 = 4;              // of the three bits: "compressed"
constexpr uint64_t kControlBytesMax = 125;
constexpr size_t kInflateStepBytes = 64;  // of input: at most 64 KiB come out of it

bool IsControl(uint8_t opcode) { return opcode >= 8; }

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Calls on_item for each trimmed piece between separators.
template <typename OnItem>
void Split(std::string_view text, char separator, OnItem&& on_item) {
  for (;;) {
    const size_t end = text.find(separator);
    on_item(Trim(text.substr(0, end)));
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

void ReadExtensions(std::string_view value, WebSocketTerms* terms) {
  Split(value, ',', [&](std::string_view extension) {
    bool first = true, ours = false;
    Split(extension, ';', [&](std::string_view word) {
      if (first) ours = EqualsNoCase(word, "permessage-deflate");
      first = false;
      if (!ours) return;
      terms->deflate = true;
      if (EqualsNoCase(word, "client_no_context_takeover")) terms->client_keeps_context = false;
      if (EqualsNoCase(word, "server_no_context_takeover")) terms->server_keeps_context = false;
    });
  });
}

}  // namespace

void ReadWebSocketExtensions(std::span<const HttpHeader> answer, WebSocketTerms* terms) {
  for (const HttpHeader& field : answer) {
    if (EqualsNoCase(field.name, "sec-websocket-extensions")) ReadExtensions(field.value, terms);
  }
}

bool ReadWebSocketTerms(std::span<const HttpHeader> answer, WebSocketTerms* terms) {
  bool upgrades = false;
  for (const HttpHeader& field : answer) {
    if (!EqualsNoCase(field.name, "upgrade")) continue;
    Split(field.value, ',', [&](std::string_view word) { upgrades = upgrades || EqualsNoCase(word, "websocket"); });
  }
  ReadWebSocketExtensions(answer, terms);
  return upgrades;
}

// ---- permessage-deflate: a raw deflate stream whose messages end at a flush

class WebSocketConnection::Inflater {
 public:
  static void operator delete(void*) {}  // the destructor gave the block back
  // nullptr when the pool is empty or zlib refuses.
  static Inflater* Make(HttpCore* core) {
    static_assert(sizeof(Inflater) <= sizeof(InflateStage));
    void* const block = core->decoders.Take();
    if (block == nullptr) return nullptr;
    auto* const made = ::new (block) Inflater(core);
    if (inflateInit2(&made->z_, -15) == Z_OK) return made;
    made->~Inflater();
    return nullptr;
  }
  ~Inflater() { core_->decoders.Give(this); }

  // Out of `in` into `out`; false for corrupt data.
  bool Run(Bytes* in, std::span<uint8_t> out, size_t* produced) {
    z_.next_in = const_cast<uint8_t*>(in->data());
    z_.avail_in = static_cast<unsigned>(in->size());
    z_.next_out = out.data();
    z_.avail_out = static_cast<unsigned>(out.size());
    const int result = inflate(&z_, Z_SYNC_FLUSH);
    *in = in->last(z_.avail_in);
    *produced = out.size() - z_.avail_out;
    if (result == Z_STREAM_END) inflateReset(&z_);  // a final block: what follows begins anew (RFC 7692, 7.2.3.5)
    return result == Z_OK || result == Z_BUF_ERROR || result == Z_STREAM_END;
  }

 private:
  explicit Inflater(HttpCore* core) : core_(core) {
    z_.zalloc = [](void* self, unsigned items, unsigned size) -> void* {
      auto* const inflater = static_cast<Inflater*>(self);
      const size_t bytes = (size_t{items} * size + 15) / 16 * 16;
      if (bytes > sizeof inflater->arena_ - inflater->arena_used_) return Z_NULL;
      void* const at = inflater->arena_ + inflater->arena_used_;
      inflater->arena_used_ += bytes;
      return at;
    };
    z_.zfree = [](void*, void*) {};
    z_.opaque = this;
  }

  HttpCore* const core_;
  z_stream z_{};
  size_t arena_used_ = 0;
  alignas(16) uint8_t arena_[InflateStage::kArenaBytes];
};

// ---- the connection

WebSocketConnection::WebSocketConnection(HttpCore* core, const WebSocketTerms& terms, WebSocketObserver* observer,
                                         WebSocketObserver::Handle handle)
    : core_(core), deflate_(terms.deflate), observer_(observer), handle_(handle) {
  sides_[0].keeps_context = terms.client_keeps_context;
  sides_[1].keeps_context = terms.server_keeps_context;
  core_->Count(WebSocketCounter::kConnections);
}

WebSocketConnection::~WebSocketConnection() = default;

void* WebSocketConnection::operator new(size_t bytes, HttpCore* core) {
  static_assert(sizeof(WebSocketConnection) + kConnectionBlockHead <= kConnectionBlockBytes);
  return TakeConnectionBlock(core, bytes);
}
void WebSocketConnection::operator delete(void* object) { GiveConnectionBlock(object); }
void WebSocketConnection::operator delete(void* object, HttpCore*) { GiveConnectionBlock(object); }

// True when the head is complete; takes what belongs to it.
bool WebSocketConnection::ReadHead(Side* side, Bytes* data) {
  size_t needed = 2;
  for (;;) {
    if (side->head_have >= 2) {
      const uint8_t length = side->head[1] & 0x7F;
      needed = 2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + ((side->head[1] & 0x80) != 0 ? 4 : 0);
    }
    if (side->head_have == needed) return true;
    if (data->empty()) return false;
    side->head[side->head_have++] = data->front();
    *data = data->subspan(1);
  }
}

void WebSocketConnection::BeginFrame(Side* side) {
  WebSocketFrame& f = side->frame;
  f.fin = (side->head[0] & 0x80) != 0;
  f.rsv = side->head[0] >> 4 & 7;
  f.opcode = side->head[0] & 15;
  f.masked = (side->head[1] & 0x80) != 0;
  f.length_field = side->head[1] & 0x7F;
  f.length = f.length_field == 126   ? LoadBe16(side->head + 2)
             : f.length_field == 127 ? LoadBe64(side->head + 2)
                                     : f.length_field;
  if (f.masked) std::memcpy(side->mask, side->head + side->head_have - 4, 4);
  side->head_have = 0;
  side->in_payload = side->payload_whole = true;
  side->left = f.length;
  side->mask_at = 0;
}

size_t WebSocketConnection::Feed(const StreamContext& at, bool from_client, Bytes data, DecodeBudget* budget) {
  Side* const side = &sides_[from_client ? 0 : 1];
  const size_t given = data.size();
  while (!side->stopped && !data.empty()) {
    if (budget->bytes_left == 0) return given - data.size();
    if (!side->in_payload) {
      if (!ReadHead(side, &data)) break;
      BeginFrame(side);
      const WebSocketFrame& f = side->frame;
      const bool control = IsControl(f.opcode);
      const bool bad = (f.opcode > kWsBinary && !control) || f.opcode > kWsPong || f.length >> 63 != 0 ||
                       (control && !f.fin) || (!control && (f.opcode == kWsContinuation) != side->in_message);
      if (bad) {
        Stop(at, from_client, WebSocketCounter::kFrameMalformed);
        break;
      }
      if (f.masked != from_client) core_->Count(WebSocketCounter::kUnmasked);
      if (!control && f.opcode != kWsContinuation) {
        side->in_message = side->whole = true;
        side->opcode = f.opcode;
        side->compressed = deflate_ && f.rsv == kRsv1;
        side->coded = side->decoded = 0;
        if (f.rsv != 0 && !side->compressed) Spoil(side, WebSocketCounter::kExtensionUnknown);
      }
    }
    const size_t step = side->compressed && !IsControl(side->frame.opcode) ? kInflateStepBytes : kWebSocketPieceBytes;
    const Bytes coded = data.first(static_cast<size_t>(std::min<uint64_t>({data.size(), side->left, step})));
    if (!coded.empty()) Payload(at, from_client, side, coded, budget);
    data = data.subspan(coded.size());
    side->left -= coded.size();
    if (side->left == 0) EndFrame(at, from_client, side, budget);
  }
  if (side->stopped) core_->Count(HttpCounter::kOpaqueBytes, data.size());
  return given;
}

void WebSocketConnection::Payload(const StreamContext& at, bool from_client, Side* side, Bytes coded,
                                  DecodeBudget* budget) {
  uint8_t plain[kWebSocketPieceBytes];
  if (side->frame.masked && !MutantIs("http.websocket_mask_restarts")) {
    for (size_t i = 0; i < coded.size(); ++i) plain[i] = coded[i] ^ side->mask[(side->mask_at + i) & 3];
  } else if (side->frame.masked) {
    for (size_t i = 0; i < coded.size(); ++i) plain[i] = coded[i] ^ side->mask[i & 3];
  } else {
    std::memcpy(plain, coded.data(), coded.size());
  }
  side->mask_at += coded.size();
  const Bytes bytes(plain, coded.size());
  if (IsControl(side->frame.opcode)) {
    observer_->OnWebSocketData(at, handle_, from_client, side->frame.opcode, bytes);
    return;
  }
  side->coded += bytes.size();
  if (side->compressed) return Inflate(at, from_client, side, bytes, budget);
  budget->bytes_left -= std::min<uint64_t>(budget->bytes_left, bytes.size());
  if (side->whole) observer_->OnWebSocketData(at, handle_, from_client, side->opcode, bytes);
}

// The message at hand is not read any further.
void WebSocketConnection::Spoil(Side* side, WebSocketCounter why) {
  if (side->whole) core_->Count(why);
  side->whole = false;
}

void WebSocketConnection::Inflate(const StreamContext& at, bool from_client, Side* side, Bytes coded,
                                  DecodeBudget* budget) {
  if (side->inflate_failed) {
    side->whole = false;
    return;
  }
  const auto fail = [&](WebSocketCounter why) {
    Spoil(side, why);
    side->inflate_failed = true;
    side->inflater.reset();
  };
  if (side->inflater == nullptr) side->inflater.reset(Inflater::Make(core_));
  if (side->inflater == nullptr) return fail(WebSocketCounter::kDecodersEmpty);
  for (;;) {
    uint8_t out[kWebSocketPieceBytes];
    size_t produced = 0;
    const size_t before = coded.size();
    const bool sound = side->inflater->Run(&coded, out, &produced);
    const HttpLimits& limits = core_->limits;
    const bool too_large = side->decoded + produced > limits.decoded_body_bytes_max;
    if (too_large) produced = limits.decoded_body_bytes_max - side->decoded;
    side->decoded += produced;
    budget->bytes_left -= std::min<uint64_t>(budget->bytes_left, produced);
    // What came before the flaw is told, so that the cut of the bytes makes no difference.
    if (produced > 0 && side->whole) {
      observer_->OnWebSocketData(at, handle_, from_client, side->opcode, {out, produced});
    }
    if (!sound) return fail(WebSocketCounter::kInflateFailed);
    const bool bomb = side->decoded > limits.decoded_ratio_from &&
                      side->decoded / limits.decoded_ratio_max > side->coded;
    if (bomb || too_large) return fail(WebSocketCounter::kInflatedTooLarge);
    const bool stuck = produced == 0 && coded.size() == before;
    if (stuck || (coded.empty() && produced < sizeof out)) return;
  }
}

void WebSocketConnection::EndFrame(const StreamContext& at, bool from_client, Side* side, DecodeBudget* budget) {
  const WebSocketFrame& f = side->frame;
  side->in_payload = false;
  core_->Count(WebSocketCounter::kFrames);
  if (IsControl(f.opcode)) {
    core_->Count(WebSocketCounter::kControls);
    observer_->OnWebSocketFrame(at, handle_, from_client, f);
    observer_->OnWebSocketMessage(at, handle_, from_client, f.opcode, side->payload_whole);
    // After one that is too long no reader goes on (5.5).
    if (f.length > kControlBytesMax) Stop(at, from_client, WebSocketCounter::kFrameMalformed);
    return;
  }
  if (f.fin && side->compressed) {
    static constexpr uint8_t kTail[] = {0x00, 0x00, 0xFF, 0xFF};  // RFC 7692, 7.2.2
    Inflate(at, from_client, side, kTail, budget);
    // The next message begins anew, whatever became of this one.
    if (!side->keeps_context) {
      side->inflater.reset();
      side->inflate_failed = false;
    }
  }
  observer_->OnWebSocketFrame(at, handle_, from_client, f);
  if (!f.fin) return;
  core_->Count(WebSocketCounter::kMessages);
  side->in_message = false;
  observer_->OnWebSocketMessage(at, handle_, from_client, side->opcode, side->whole);
}

void WebSocketConnection::Stop(const StreamContext& at, bool from_client, WebSocketCounter why) {
  Side& side = sides_[from_client ? 0 : 1];
  core_->Count(why);
  if (side.in_message) observer_->OnWebSocketMessage(at, handle_, from_client, side.opcode, false);
  side.in_message = false;
  side.stopped = true;
  side.inflater.reset();
}

void WebSocketConnection::Gap(const StreamContext& at, bool from_client, uint64_t skipped) {
  Side& side = sides_[from_client ? 0 : 1];
  if (side.stopped || skipped == 0) return;
  if (!side.in_payload || skipped > side.left) return Stop(at, from_client, WebSocketCounter::kGapInHead);
  core_->Count(WebSocketCounter::kGapInPayload);
  side.payload_whole = false;
  if (!IsControl(side.frame.opcode)) {
    side.whole = false;
    if (side.compressed) {
      side.inflate_failed = true;
      side.inflater.reset();
    }
  }
  side.left -= skipped;
  side.mask_at += skipped;
  DecodeBudget budget;
  if (side.left == 0) EndFrame(at, from_client, &side, &budget);
}

void WebSocketConnection::End(const StreamContext& at, bool from_client) {
  Side& side = sides_[from_client ? 0 : 1];
  if (side.stopped) return;
  if (side.in_message || side.in_payload || side.head_have != 0) {
    Stop(at, from_client, WebSocketCounter::kCut);
  }
  side.stopped = true;
  side.inflater.reset();
}

void WebSocketConnection::Close(const StreamContext& at) {
  if (closed_) return;
  End(at, true);
  End(at, false);
  closed_ = true;
  observer_->OnWebSocketEnd(at, handle_);
}

}  // namespace stillwatch::dataplane
