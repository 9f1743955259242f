// What the HTTP layer tells of WebSocket connections (websocket.h). Called on the worker's thread; views are valid
// during the call only.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace stillwatch::dataplane {

struct StreamContext;

// Opcodes of RFC 6455, 11.8.
enum WebSocketOpcode : uint8_t {
  kWsContinuation = 0,
  kWsText = 1,
  kWsBinary = 2,
  kWsClose = 8,
  kWsPing = 9,
  kWsPong = 10,
};

struct WebSocketFrame {
  bool fin = false, masked = false;
  uint8_t rsv = 0, opcode = 0;
  uint8_t length_field = 0;  // the seven bits: 126 and 127 stand for a longer length that follows
  uint64_t length = 0;       // of the payload, as sent
};

class WebSocketObserver {
 public:
  virtual ~WebSocketObserver() = default;
  // The handle of the transaction that upgraded; told after its OnResponseHead. It is released in OnWebSocketEnd.
  using Handle = void*;
  // Asked once, when all else allows the upgrade. False: the connection is not looked at any more, and its transaction ends as HTTP's do.
  virtual bool Wants(Handle) { return true; }
  // The frame's payload was seen to its end.
  virtual void OnWebSocketFrame(const StreamContext& at, Handle handle, bool from_client,
                                const WebSocketFrame& frame) = 0;
  // Bytes of a message, unmasked and decompressed; control frames are messages of their own, in between.
  virtual void OnWebSocketData(const StreamContext& at, Handle handle, bool from_client, uint8_t opcode,
                               Bytes data) = 0;
  // `whole`: none of its bytes are missing.
  virtual void OnWebSocketMessage(const StreamContext& at, Handle handle, bool from_client, uint8_t opcode,
                                  bool whole) = 0;
  virtual void OnWebSocketEnd(const StreamContext& at, Handle handle) = 0;
};

}  // namespace stillwatch::dataplane
