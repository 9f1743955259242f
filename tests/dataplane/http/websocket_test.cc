// WebSocket behind an HTTP/1.1 upgrade: the examples of RFC 6455, 5.7 and RFC 7692, 7.2.3, random conversations cut
// anywhere against what was sent, and what is refused or bounded.
#include <gmock/gmock.h>
#include <zlib.h>

#include <random>

#include "websocket_talk.h"

namespace stillwatch::dataplane {
namespace {

using ::testing::ElementsAre;
using std::string;
using std::string_literals::operator""s;

constexpr size_t kWhole = 1 << 16;

string Frame(uint8_t first, const string& payload, bool mask = false, uint32_t key = 0x37fa213d) {
  string frame(1, static_cast<char>(first));
  const uint8_t bit = mask ? 0x80 : 0;
  if (payload.size() < 126) {
    frame += static_cast<char>(bit | payload.size());
  } else if (payload.size() < 65'536) {
    frame += static_cast<char>(bit | 126);
    frame += {static_cast<char>(payload.size() >> 8), static_cast<char>(payload.size())};
  } else {
    frame += static_cast<char>(bit | 127);
    for (int shift = 56; shift >= 0; shift -= 8) frame += static_cast<char>(uint64_t{payload.size()} >> shift);
  }
  if (!mask) return frame + payload;
  string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(key >> shift);
  frame += bytes;
  for (size_t i = 0; i < payload.size(); ++i) frame += static_cast<char>(payload[i] ^ bytes[i % 4]);
  return frame;
}

// A sender's permessage-deflate.
class Deflater {
 public:
  explicit Deflater(int bits = 15) { deflateInit2(&z_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -bits, 8, Z_DEFAULT_STRATEGY); }
  ~Deflater() { deflateEnd(&z_); }
  string Message(const string& text, bool keeps_context = true) {
    string out(text.size() + 1'000, '\0');
    z_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    z_.avail_in = static_cast<uInt>(text.size());
    z_.next_out = reinterpret_cast<Bytef*>(out.data());
    z_.avail_out = static_cast<uInt>(out.size());
    deflate(&z_, Z_SYNC_FLUSH);
    out.resize(out.size() - z_.avail_out);
    EXPECT_TRUE(out.ends_with("\x00\x00\xff\xff"s));
    out.resize(out.size() - 4);
    if (!keeps_context) deflateReset(&z_);
    return out;
  }

 private:
  z_stream z_{};
};

TEST(WebSocket, ExamplesOfRfc6455) {
  WebSocketTalk talk;
  talk.Say(false, "\x81\x05\x48\x65\x6c\x6c\x6f"s, 1);
  talk.Say(true, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s, 1);
  talk.Say(false, "\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f"s, kWhole);
  talk.Say(false, "\x89\x05\x48\x65\x6c\x6c\x6f"s, kWhole);
  talk.Say(true, "\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s, kWhole);
  talk.Say(false, "\x82\x7e\x01\x00"s + string(256, 'b'), kWhole);
  talk.Say(false, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"s + string(65'536, 'c'), kWhole);
  EXPECT_THAT(talk.ear.heard,
              ElementsAre(Heard{false, 1, "Hello", true}, Heard{true, 1, "Hello", true}, Heard{false, 1, "Hello", true},
                          Heard{false, 9, "Hello", true}, Heard{true, 10, "Hello", true},
                          Heard{false, 2, string(256, 'b'), true}, Heard{false, 2, string(65'536, 'c'), true}));
  EXPECT_EQ(talk.ear.frames.size(), 8u);
  EXPECT_EQ(talk.ear.frames[6].length_field, 126);
  EXPECT_EQ(talk.ear.frames[7].length_field, 127);
}

TEST(WebSocket, ExamplesOfRfc7692) {
  WebSocketTalk talk("permessage-deflate");
  talk.Say(false, "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"s, 1);                  // 7.2.3.1
  talk.Say(false, "\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00"s, kWhole);     // the same in two frames
  talk.Say(false, "\xc1\x05\xf2\x00\x11\x00\x00"s, kWhole);                     // 7.2.3.2: the window is shared
  talk.Say(false, "\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"s, kWhole);  // 7.2.3.3: not compressed
  talk.Say(false, "\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"s, kWhole);  // 7.2.3.5: two blocks
  ASSERT_EQ(talk.ear.heard.size(), 5u);
  for (const Heard& heard : talk.ear.heard) EXPECT_EQ(heard.text, "Hello");
}

TEST(WebSocket, ABlockMarkedFinalEndsNothing) {  // RFC 7692, 7.2.3.4
  WebSocketTalk talk("permessage-deflate; server_no_context_takeover");
  for (int i = 0; i < 2; ++i) talk.Say(false, "\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00"s, 1);
  EXPECT_THAT(talk.ear.heard, ElementsAre(Heard{false, 1, "Hello", true}, Heard{false, 1, "Hello", true}));
}

string Random(std::mt19937_64* rng, size_t size) {
  string text;
  while (text.size() < size) text += (*rng)() % 3 == 0 ? static_cast<char>((*rng)()) : "etaoin "[(*rng)() % 7];
  return text;
}

TEST(WebSocket, AnyCutOfAnyConversationGivesWhatWasSent) {
  std::mt19937_64 rng(6455);
  for (int round = 0; round < 60; ++round) {
    const bool deflate = round % 3 != 0, keeps = round % 2 == 0;
    Deflater client(9 + round % 7), server;
    string sent[2];
    std::vector<Heard> expected[2];
    for (int message = 0; message < 12; ++message) {
      const bool from_client = rng() % 2 == 0;
      const uint8_t opcode = rng() % 2 == 0 ? kWsText : kWsBinary;
      const string text = Random(&rng, 1 + (rng() % 3 == 0 ? rng() % 70'000 : rng() % 200));
      const bool compressed = deflate && rng() % 4 != 0;
      string coded = text;
      if (compressed) coded = (from_client ? client : server).Message(text, keeps);
      string& out = sent[from_client];
      for (size_t at = 0, part = 0; at < coded.size() || part == 0; ++part) {
        const size_t size = rng() % 3 == 0 ? coded.size() - at : std::min<size_t>(coded.size() - at, rng() % 300);
        at += size;
        const uint8_t first = static_cast<uint8_t>((at == coded.size() ? 0x80 : 0) | (part == 0 ? opcode : 0) |
                                                   (part == 0 && compressed ? 0x40 : 0));
        out += Frame(first, coded.substr(at - size, size), from_client, static_cast<uint32_t>(rng()));
        if (rng() % 4 == 0 && at < coded.size()) {  // a control frame in between
          out += Frame(0x89, "now", from_client);
          expected[from_client].push_back({from_client, kWsPing, "now", true});
        }
      }
      expected[from_client].push_back({from_client, opcode, text, true});
    }
    for (const size_t piece : {size_t{1}, size_t{1 + rng() % 500}, kWhole}) {
      WebSocketTalk talk(!deflate ? "" : keeps ? "permessage-deflate; client_max_window_bits=9"
                                               : "permessage-deflate; client_no_context_takeover;server_no_context_takeover");
      for (const bool from_client : {false, true}) {
        talk.ear.heard.clear();
        talk.Say(from_client, sent[from_client], piece);
        ASSERT_EQ(talk.ear.heard.size(), expected[from_client].size()) << "round " << round;
        for (size_t i = 0; i < expected[from_client].size(); ++i) {
          ASSERT_TRUE(talk.ear.heard[i] == expected[from_client][i]) << "round " << round << " message " << i;
        }
      }
    }
  }
}

TEST(WebSocket, AFrameBehindTheAnswerInOneSegment) {
  WebSocketEar ear;
  const auto shared = MakeHttpShared(WebSocketTalk::Small(), &ear);
  const auto connection = MakeHttpConnection(shared.get());
  StreamContext at;
  const auto say = [&](bool from_client, const string& bytes) {
    DecodeBudget budget;
    EXPECT_EQ(connection->Feed(at, from_client, {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, &budget),
              bytes.size());
  };
  say(true, kUpgradeRequest);
  say(false, UpgradeAnswer() + Frame(0x81, "early"));
  EXPECT_THAT(ear.heard, ElementsAre(Heard{false, 1, "early", true}));
  EXPECT_FALSE(connection->finished());
  connection->Close(at, HttpEnd::kFlowEnded);
  EXPECT_TRUE(connection->finished());
  EXPECT_EQ(ear.ends, 1);
}

TEST(WebSocket, ADirectionThatMakesNoSenseIsGivenUpAlone) {
  for (const string& bad : {Frame(0x83, "reserved"), Frame(0x8b, ""), Frame(0x09, "part of a ping"),
                            Frame(0x80, "continues nothing"), Frame(0x01, "a") + Frame(0x81, "b"),
                            "\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff"s}) {
    WebSocketTalk talk;
    talk.Say(false, bad + Frame(0x81, "unread"), 1);
    talk.Say(true, Frame(0x81, "read", true), 1);
    ASSERT_FALSE(talk.ear.heard.empty());
    EXPECT_EQ(talk.ear.heard.back(), (Heard{true, 1, "read", true}));
    for (const Heard& heard : talk.ear.heard) EXPECT_FALSE(!heard.from_client && heard.whole);
  }
}

TEST(WebSocket, ABombIsCut) {
  HttpLimits limits = WebSocketTalk::Small();
  limits.decoded_ratio_from = 64 << 10;
  limits.decoded_ratio_max = 50;
  WebSocketTalk talk("permessage-deflate", limits);
  Deflater deflater;
  talk.Say(true, Frame(0xc1, deflater.Message(string(8 << 20, 'x')), true), 1'000);
  talk.Say(true, Frame(0xc1, deflater.Message("after"), true) + Frame(0x81, "plain", true), kWhole);
  ASSERT_EQ(talk.ear.heard.size(), 3u);
  EXPECT_FALSE(talk.ear.heard[0].whole);
  EXPECT_LT(talk.ear.heard[0].text.size(), 300u << 10);
  EXPECT_EQ(talk.ear.heard[1], (Heard{true, 1, "", false}));  // its context is lost
  EXPECT_EQ(talk.ear.heard[2], (Heard{true, 1, "plain", true}));
}

TEST(WebSocket, CorruptDataAndUnknownExtensionsAreNotRead) {
  WebSocketTalk talk("permessage-deflate");
  talk.Say(false, Frame(0xc1, "\xff\xff\xff\xff"), kWhole);
  talk.Say(false, Frame(0xa1, "rsv2") + Frame(0x81, "plain"), kWhole);
  ASSERT_EQ(talk.ear.heard.size(), 3u);
  EXPECT_FALSE(talk.ear.heard[0].whole);
  EXPECT_EQ(talk.ear.heard[1], (Heard{false, 1, "", false}));
  EXPECT_EQ(talk.ear.heard[2], (Heard{false, 1, "plain", true}));
}

TEST(WebSocket, MissingBytesInsideAPayloadArePassedOver) {
  WebSocketTalk talk;
  const string frame = Frame(0x81, "0123456789abcdef", true);
  talk.Say(true, frame.substr(0, 10), kWhole);
  talk.connection->Gap(talk.at, true, 7);
  talk.Say(true, frame.substr(17) + Frame(0x81, "next", true), kWhole);
  EXPECT_THAT(talk.ear.heard, ElementsAre(Heard{true, 1, "0123", false}, Heard{true, 1, "next", true}));
  const string ping = Frame(0x89, "ping", true);
  talk.Say(true, ping.substr(0, 7), kWhole);
  talk.connection->Gap(talk.at, true, 1);
  talk.Say(true, ping.substr(8) + Frame(0x89, "pong", true), kWhole);
  ASSERT_EQ(talk.ear.heard.size(), 4u);
  EXPECT_EQ(talk.ear.heard[2], (Heard{true, kWsPing, "png", false}));
  EXPECT_EQ(talk.ear.heard[3], (Heard{true, kWsPing, "pong", true}));
  talk.connection->Gap(talk.at, true, 1);  // in a head: nothing says where the next one is
  talk.Say(true, Frame(0x81, "unread", true), kWhole);
  EXPECT_EQ(talk.ear.heard.size(), 4u);
}

TEST(WebSocket, WithoutContextALostMessageCostsNoOther) {
  for (const bool keeps : {true, false}) {
    WebSocketTalk talk(keeps ? "permessage-deflate" : "permessage-deflate; server_no_context_takeover");
    Deflater deflater;
    const string lost = Frame(0xc1, deflater.Message("a message that is lost", keeps));
    talk.Say(false, lost.substr(0, 4), kWhole);
    talk.connection->Gap(talk.at, false, 3);
    talk.Say(false, lost.substr(7) + Frame(0xc1, deflater.Message("next", keeps)), kWhole);
    ASSERT_EQ(talk.ear.heard.size(), 2u);
    EXPECT_FALSE(talk.ear.heard[0].whole);
    EXPECT_EQ(talk.ear.heard[1], (keeps ? Heard{false, 1, "", false} : Heard{false, 1, "next", true}));
  }
}

TEST(WebSocket, WithoutContextNoDecoderIsHeldBetweenMessages) {
  HttpLimits limits = WebSocketTalk::Small();
  limits.decoders_max = 1;
  WebSocketTalk talk("permessage-deflate; client_no_context_takeover; server_no_context_takeover", limits);
  Deflater client, server;
  for (int i = 0; i < 2; ++i) {
    talk.Say(true, Frame(0xc1, client.Message("asks", false), true), kWhole);
    talk.Say(false, Frame(0xc1, server.Message("answers", false)), kWhole);
  }
  ASSERT_EQ(talk.ear.heard.size(), 4u);
  for (const Heard& heard : talk.ear.heard) EXPECT_TRUE(heard.whole);
}

TEST(WebSocket, NobodyAsksNobodyIsTold) {
  WebSocketEar ear;
  ear.listens = false;
  const auto shared = MakeHttpShared(WebSocketTalk::Small(), &ear);
  const auto connection = MakeHttpConnection(shared.get());
  StreamContext at;
  DecodeBudget budget;
  for (const auto& [from_client, bytes] : {std::pair(true, kUpgradeRequest), std::pair(false, UpgradeAnswer())}) {
    connection->Feed(at, from_client, {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, &budget);
  }
  EXPECT_TRUE(connection->finished());
}

}  // namespace
}  // namespace stillwatch::dataplane
