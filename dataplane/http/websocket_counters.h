// Counters of WebSocket connections, one block a worker. They move where the observer asks for WebSocket.
#pragma once

#include "base/counters.h"

namespace stillwatch::dataplane {

enum class WebSocketCounter {
  kConnections,       // connections that turned to WebSocket and are read
  kFrames,            // frames read to their end
  kMessages,          // text and binary messages that ended
  kControls,          // close, ping and pong frames
  kUnmasked,          // client frames without a mask, or server frames with one (RFC 6455, 5.1): read on
  kFrameMalformed,    // directions given up: reserved opcode, a control frame that is long or in parts, a length over
                      // 63 bits, a continuation of nothing or a message inside a message (5.2, 5.4, 5.5)
  kExtensionUnknown,  // messages not read: a reserved bit that no extension which we know has set
  kInflateFailed,     // compressed messages cut at corrupt data; later ones that share its context are not read
  kInflatedTooLarge,  // compressed messages cut because they grew too much (a bomb); later ones that share its context are not read
  kDecodersEmpty,     // compressed messages not read: no decompressor left in the pool; raise http.decoders_max
  kGapInPayload,      // TCP bytes of a payload are missing: read on behind
  kGapInHead,         // directions given up: TCP bytes of a frame's head are missing
  kCut,               // messages that the end of their connection cut off
  kCount
};

inline constexpr CounterNames<WebSocketCounter> kWebSocketCounterNames{
    "websocket.connections", "websocket.frames", "websocket.messages", "websocket.controls", "websocket.unmasked",
    "websocket.frame_malformed", "websocket.extension_unknown", "websocket.inflate_failed",
    "websocket.inflated_too_large", "websocket.decoders_empty", "websocket.gap_in_payload", "websocket.gap_in_head",
    "websocket.cut"};

}  // namespace stillwatch::dataplane
