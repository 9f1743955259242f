// HTTP/2 frames as RFC 9113, sections 4 and 6, lays them out. Pure functions on bytes; Http2Reader streams with them.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace stillwatch::dataplane {

enum class Http2FrameType : uint8_t {
  kData, kHeaders, kPriority, kRstStream, kSettings, kPushPromise, kPing, kGoAway, kWindowUpdate, kContinuation
};
inline constexpr uint8_t kHttp2FrameTypes = 10;

inline constexpr size_t kHttp2HeaderBytes = 9;
inline constexpr size_t kHttp2PrefixMax = 6;            // a pad length and a priority
inline constexpr uint32_t kHttp2FrameSizeMin = 16'384;  // SETTINGS_MAX_FRAME_SIZE until somebody says more
inline constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

inline constexpr uint8_t kHttp2EndStream = 0x1, kHttp2Ack = 0x1, kHttp2EndHeaders = 0x4, kHttp2Padded = 0x8,
                         kHttp2Priority = 0x20;
inline constexpr uint16_t kHttp2SettingTableSize = 1, kHttp2SettingFrameSize = 5;

// Error codes of section 7 that a malformed frame calls for.
enum class Http2Error : uint8_t { kNone = 0, kProtocol = 1, kFrameSize = 6 };

struct Http2FrameHeader {
  uint32_t length = 0;  // of the payload
  uint8_t type = 0, flags = 0;
  uint32_t stream_id = 0;

  bool Is(Http2FrameType t) const { return type == static_cast<uint8_t>(t); }
  bool Has(uint8_t flag) const { return (flags & flag) != 0; }
};

// `bytes`: kHttp2HeaderBytes of them.
Http2FrameHeader ReadHttp2Header(const uint8_t* bytes);

// What the header alone says against the frame. `frame_size_max`: as its receiver announced.
Http2Error CheckHttp2Header(const Http2FrameHeader& header, uint32_t frame_size_max);

// Bytes of the payload before its content: pad length, priority, promised stream.
uint32_t Http2PrefixBytes(const Http2FrameHeader& header);

struct Http2Prefix {
  uint8_t padding = 0;
  bool has_priority = false, exclusive = false;
  uint32_t dependency = 0;
  uint16_t weight = 0;           // 1 to 256
  uint32_t promised_stream = 0;
};
// `prefix`: Http2PrefixBytes of them. Says what is wrong with it.
Http2Error ReadHttp2Prefix(const Http2FrameHeader& header, const uint8_t* prefix, Http2Prefix* out);

// SETTINGS_HEADER_TABLE_SIZE out of the HTTP2-Settings field of an upgrade: base64url of SETTINGS (RFC 7540, 3.2.1). 0: not said.
uint32_t TableSizeOfHttp2Settings(std::string_view settings);

// In bytes that were lost track of: can a frame begin with these nine? Narrow on purpose, so that text and bodies
// give none by chance: DATA is not taken (any length and stream would do), nor types that RFC 9113 does not list.
bool LooksLikeHttp2Header(const Http2FrameHeader& header);

}  // namespace stillwatch::dataplane
