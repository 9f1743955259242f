// WebSocket (RFC 6455) behind an HTTP/1.1 upgrade or in a stream of HTTP/2 (RFC 8441), both directions, as a watcher;
// permessage-deflate (RFC 7692) with and without context takeover. Made by Connection when a 101 names websocket, and by
// Http2Connection when an extended CONNECT for it is accepted, if the observer asks for it.
//
// Messages are told as they come, unmasked and decompressed, in pieces of at most kWebSocketPieceBytes; nothing of
// them is held here. Any cut of the bytes gives the same frames and messages. Bounds: one decoder block a compressed
// direction (without context takeover: only while a message is open), from the pool of content decoders; a message that
// decompresses to more than decoded_body_bytes_max, or grows more than decoded_ratio_max times past decoded_ratio_from,
// is cut and ends decompression in its direction, unless messages share no context.
// A window smaller than 2^15 needs nothing: what fits it fits 2^15.
// Missing TCP bytes inside a payload are passed over (the message is marked); elsewhere the direction is given up,
// since nothing says where the next frame begins.
#pragma once

#include <memory>

#include "dataplane/http/http_core.h"
#include "dataplane/http/websocket_observer.h"

namespace stillwatch::dataplane {

inline constexpr size_t kWebSocketPieceBytes = 4u << 10;

// What the server's Sec-WebSocket-Extensions says.
struct WebSocketTerms {
  bool deflate = false, client_keeps_context = true, server_keeps_context = true;
};
// False when the answer's fields do not upgrade to WebSocket.
bool ReadWebSocketTerms(std::span<const HttpHeader> answer, WebSocketTerms* terms);
// The same for an answer that needs no Upgrade.
void ReadWebSocketExtensions(std::span<const HttpHeader> answer, WebSocketTerms* terms);

class WebSocketConnection {
 public:
  WebSocketConnection(HttpCore* core, const WebSocketTerms& terms, WebSocketObserver* observer,
                      WebSocketObserver::Handle handle);
  ~WebSocketConnection();
  WebSocketConnection(const WebSocketConnection&) = delete;
  WebSocketConnection& operator=(const WebSocketConnection&) = delete;
  static void* operator new(size_t bytes, HttpCore* core);
  static void operator delete(void* object, HttpCore* core);
  static void operator delete(void* object);

  // As HttpConnection has them.
  size_t Feed(const StreamContext& at, bool from_client, Bytes data, DecodeBudget* budget);
  void Gap(const StreamContext& at, bool from_client, uint64_t skipped);
  void End(const StreamContext& at, bool from_client);
  void Close(const StreamContext& at);
  bool finished() const { return closed_ || (sides_[0].stopped && sides_[1].stopped); }

 private:
  class Inflater;
  struct Side {
    bool stopped = false;
    bool keeps_context = true;
    uint8_t head[14];
    uint8_t head_have = 0;
    bool in_payload = false, payload_whole = true;
    WebSocketFrame frame;
    uint64_t left = 0, mask_at = 0;
    uint8_t mask[4] = {};
    bool in_message = false, compressed = false, whole = true;
    uint8_t opcode = 0;                 // of the message
    uint64_t coded = 0, decoded = 0;    // of the message
    std::unique_ptr<Inflater> inflater;
    bool inflate_failed = false;        // the context is lost
  };

  bool ReadHead(Side* side, Bytes* data);
  void BeginFrame(Side* side);
  void Payload(const StreamContext& at, bool from_client, Side* side, Bytes coded, DecodeBudget* budget);
  void Inflate(const StreamContext& at, bool from_client, Side* side, Bytes coded, DecodeBudget* budget);
  void EndFrame(const StreamContext& at, bool from_client, Side* side, DecodeBudget* budget);
  void Spoil(Side* side, WebSocketCounter why);
  void Stop(const StreamContext& at, bool from_client, WebSocketCounter why);

  HttpCore* const core_;
  const bool deflate_;
  WebSocketObserver* const observer_;
  WebSocketObserver::Handle handle_;
  Side sides_[2];                       // client, server
  bool closed_ = false;
};

}  // namespace stillwatch::dataplane
