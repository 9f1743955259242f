// libFuzzer: any bytes behind an upgrade to WebSocket, whole and cut, give the same messages. Byte 0: bit 7 says that
// deflate was agreed, bit 6 without context takeover, the rest where to cut. Byte 1: how much the server says.
#include "tests/dataplane/http/websocket_talk.h"
#include "tests/fuzz/target.h"

namespace stillwatch::dataplane {
namespace {

std::vector<Heard> PlayTalk(const std::string& extensions, const std::string& server, const std::string& client,
                        size_t piece) {
  HttpLimits limits = WebSocketTalk::Small();
  limits.decoded_body_bytes_max = 1 << 20;
  WebSocketTalk talk(extensions, limits);
  talk.Say(false, server, piece);
  talk.Say(true, client, piece);
  talk.connection->Close(talk.at, HttpEnd::kFlowEnded);
  fuzz::Require(talk.ear.ends == 1);
  return talk.ear.heard;
}

}  // namespace
}  // namespace stillwatch::dataplane

std::string stillwatch::fuzz::Play(Bytes data) {
  using namespace stillwatch::dataplane;
  if (data.size() < 2) return {};
  const std::string bytes(AsText(data.subspan(2)));
  const size_t split = bytes.size() * data[1] / 255;
  const std::string extensions = (data[0] & 0x80) == 0   ? ""
                                 : (data[0] & 0x40) == 0 ? "permessage-deflate"
                                                         : "permessage-deflate; client_no_context_takeover; server_no_context_takeover";
  const auto whole = PlayTalk(extensions, bytes.substr(0, split), bytes.substr(split), 1 << 20);
  const auto pieces = PlayTalk(extensions, bytes.substr(0, split), bytes.substr(split), 1 + (data[0] & 0x3F));
  Require(whole == pieces);
  std::string all;
  for (const Heard& heard : whole) all += (heard.from_client ? "c" : "s") + std::to_string(heard.opcode) + heard.text + (heard.whole ? "." : "-");
  return all;
}
