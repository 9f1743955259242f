#include "dataplane/http/http2_frame.h"

#include "base/endian.h"

namespace stillwatch::dataplane {
namespace {

using Type = Http2FrameType;

constexpr uint32_t kStreamMask = 0x7fff'ffff;

// A frame with a payload of another length is malformed; -1: any length.
int FixedLength(Type type) {
  switch (type) {
    case Type::kPriority: return 5;
    case Type::kRstStream: case Type::kWindowUpdate: return 4;
    case Type::kPing: return 8;
    default: return -1;
  }
}

uint8_t FlagsOf(Type type) {
  switch (type) {
    case Type::kData: return kHttp2EndStream | kHttp2Padded;
    case Type::kHeaders: return kHttp2EndStream | kHttp2EndHeaders | kHttp2Padded | kHttp2Priority;
    case Type::kSettings: case Type::kPing: return kHttp2Ack;
    case Type::kPushPromise: return kHttp2EndHeaders | kHttp2Padded;
    case Type::kContinuation: return kHttp2EndHeaders;
    default: return 0;
  }
}

bool OnConnection(Type type) { return type == Type::kSettings || type == Type::kPing || type == Type::kGoAway; }

}  // namespace

Http2FrameHeader ReadHttp2Header(const uint8_t* bytes) {
  return {static_cast<uint32_t>(bytes[0]) << 16 | LoadBe16(bytes + 1), bytes[3], bytes[4],
          LoadBe32(bytes + 5) & kStreamMask};
}

Http2Error CheckHttp2Header(const Http2FrameHeader& header, uint32_t frame_size_max) {
  if (header.length > frame_size_max) return Http2Error::kFrameSize;
  if (header.type >= kHttp2FrameTypes) return Http2Error::kNone;
  const auto type = static_cast<Type>(header.type);
  if (type != Type::kWindowUpdate && OnConnection(type) != (header.stream_id == 0)) return Http2Error::kProtocol;
  const int fixed = FixedLength(type);
  if (fixed >= 0 && header.length != static_cast<uint32_t>(fixed)) return Http2Error::kFrameSize;
  if (type == Type::kSettings && (header.length % 6 != 0 || (header.Has(kHttp2Ack) && header.length != 0))) {
    return Http2Error::kFrameSize;
  }
  if (type == Type::kGoAway && header.length < 8) return Http2Error::kFrameSize;
  return header.length < Http2PrefixBytes(header) ? Http2Error::kFrameSize : Http2Error::kNone;
}

uint32_t Http2PrefixBytes(const Http2FrameHeader& header) {
  const uint32_t pad = header.Has(kHttp2Padded) ? 1 : 0;
  if (header.Is(Type::kData)) return pad;
  if (header.Is(Type::kHeaders)) return pad + (header.Has(kHttp2Priority) ? 5 : 0);
  if (header.Is(Type::kPushPromise)) return pad + 4;
  return 0;
}

Http2Error ReadHttp2Prefix(const Http2FrameHeader& header, const uint8_t* prefix, Http2Prefix* out) {
  const uint8_t* at = prefix;
  const uint32_t bytes = Http2PrefixBytes(header);
  if (bytes == 0) return Http2Error::kNone;
  if (header.Has(kHttp2Padded)) out->padding = *at++;
  if (header.Is(Type::kPushPromise)) {
    out->promised_stream = LoadBe32(at) & kStreamMask;
    if (out->promised_stream == 0) return Http2Error::kProtocol;
  } else if (header.Is(Type::kHeaders) && header.Has(kHttp2Priority)) {
    const uint32_t dependency = LoadBe32(at);
    out->has_priority = true;
    out->exclusive = dependency >> 31 != 0;
    out->dependency = dependency & kStreamMask;
    out->weight = static_cast<uint16_t>(at[4] + 1);
  }
  return out->padding > header.length - bytes ? Http2Error::kProtocol : Http2Error::kNone;
}

uint32_t TableSizeOfHttp2Settings(std::string_view settings) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  uint32_t size = 0;
  // A setting has six bytes, so eight characters.
  for (; settings.size() >= 8; settings.remove_prefix(8)) {
    uint64_t setting = 0;
    for (const char c : settings.substr(0, 8)) {
      const size_t digit = kDigits.find(c);
      if (digit == std::string_view::npos) return 0;
      setting = setting << 6 | digit;
    }
    if (setting >> 32 == kHttp2SettingTableSize) size = static_cast<uint32_t>(setting);
  }
  return size;
}

bool LooksLikeHttp2Header(const Http2FrameHeader& header) {
  if (header.type >= kHttp2FrameTypes || header.Is(Type::kData)) return false;
  const auto type = static_cast<Type>(header.type);
  if (CheckHttp2Header(header, kHttp2FrameSizeMin) != Http2Error::kNone) return false;
  if ((header.flags & ~FlagsOf(type)) != 0) return false;
  constexpr uint32_t kStreamsLikely = 1u << 24, kSettingsLikely = 16 * 6, kDebugLikely = 1'024;
  if (header.stream_id > kStreamsLikely) return false;
  if (type == Type::kSettings) return header.length <= kSettingsLikely;
  if (type == Type::kGoAway) return header.length <= kDebugLikely;
  // Window updates of the connection as well; other streams are the client's.
  return type == Type::kWindowUpdate ? header.stream_id == 0 || header.stream_id % 2 == 1
                                     : OnConnection(type) || header.stream_id % 2 == 1;
}

}  // namespace stillwatch::dataplane
