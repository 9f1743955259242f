// libFuzzer: any bytes behind an upgrade to WebSocket, whole and cut, give the same messages. Byte 0: bit 7 says that
// deflate was agreed, bit 6 without context takeover, the rest where to cut. Byte 1: how much the server says.
#include <cstdlib>

#include "websocket_talk.h"

namespace {
using namespace stillwatch::dataplane;

std::vector<Heard> Play(const std::string& extensions, const std::string& server, const std::string& client,
                        size_t piece) {
  HttpLimits limits = WebSocketTalk::Small();
  limits.decoded_body_bytes_max = 1 << 20;
  WebSocketTalk talk(extensions, limits);
  talk.Say(false, server, piece);
  talk.Say(true, client, piece);
  talk.connection->Close(talk.at, HttpEnd::kFlowEnded);
  if (talk.ear.ends != 1) std::abort();
  return talk.ear.heard;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data + 2), size - 2);
  const size_t split = bytes.size() * data[1] / 255;
  const std::string extensions = (data[0] & 0x80) == 0   ? ""
                                 : (data[0] & 0x40) == 0 ? "permessage-deflate"
                                                         : "permessage-deflate; client_no_context_takeover; server_no_context_takeover";
  const auto whole = Play(extensions, bytes.substr(0, split), bytes.substr(split), 1 << 20);
  const auto pieces = Play(extensions, bytes.substr(0, split), bytes.substr(split), 1 + (data[0] & 0x3F));
  if (whole != pieces) std::abort();
  return 0;
}
