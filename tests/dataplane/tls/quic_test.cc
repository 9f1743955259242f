// QUIC's first packets: the vectors of RFC 9001 and RFC 9369, hellos in pieces and in any order, and damage.
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <numeric>
#include <random>

#include "base/clock.h"
#include "base/endian.h"
#include "dataplane/tls/quic_initial.h"
#include "dataplane/worker.h"
#include "tests/dataplane/flow/worker_driver.h"
#include "tests/dataplane/null_http.h"

namespace stillwatch::dataplane {
namespace {

using ::stillwatch::testing::NullHttp;
using ::stillwatch::testing::RecordKeeper;
using ::stillwatch::testing::WorkerDriver;
using Octets = std::vector<uint8_t>;

Octets FromHex(const std::string& hex) {
  Octets out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) out.push_back(static_cast<uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return out;
}
std::string ToHex(const uint8_t* bytes, size_t size) {
  std::string out;
  char digits[3];
  for (size_t i = 0; i < size; ++i) {
    std::snprintf(digits, sizeof digits, "%02x", bytes[i]);
    out += digits;
  }
  return out;
}
Octets Vector(const std::string& name) {
  std::ifstream file(STILLWATCH_SOURCE_DIR "/tests/data/tls/" + name);
  std::string hex;
  EXPECT_TRUE(file >> hex) << name;
  return FromHex(hex);
}
const Octets kId = FromHex("8394c8f03e515708");

TEST(QuicInitial, KeysAreThoseOfTheRfcs) {
  QuicKeys keys;
  QuicOpener::DeriveClientKeys(1, kId, &keys);  // RFC 9001, A.1
  EXPECT_EQ(ToHex(keys.key, 16), "1f369613dd76d5467730efcbe3b1a22d");
  EXPECT_EQ(ToHex(keys.iv, 12), "fa044b2f42a3fd3b46fb255c");
  EXPECT_EQ(ToHex(keys.header, 16), "9f50449e04a0e810283a1e9933adedd2");
  QuicOpener::DeriveClientKeys(0x6b3343cf, kId, &keys);  // RFC 9369, A.1
  EXPECT_EQ(ToHex(keys.key, 16), "8b1a0bc121284290a29e0971b5cd045d");
  EXPECT_EQ(ToHex(keys.iv, 12), "91f73e2351d8fa91660e909f");
  EXPECT_EQ(ToHex(keys.header, 16), "45b95e15235d6f45a6b19cbcb0294ba9");
}

TEST(QuicInitial, PacketsOfTheRfcsOpen) {
  for (const char* name : {"quic_initial_rfc9001_a2.hex", "quic_initial_rfc9369_a2.hex"}) {
    const Octets packet = Vector(name);
    Bytes left = packet;
    QuicInitial initial;
    ASSERT_EQ(NextQuicPacket(&left, &initial), QuicNext::kInitial);
    EXPECT_TRUE(left.empty());
    EXPECT_EQ(ToHex(initial.connection_id.data(), initial.connection_id.size()), "8394c8f03e515708");
    QuicKeys keys;
    QuicOpener::DeriveClientKeys(initial.version, initial.connection_id, &keys);
    QuicOpener opener;
    const auto frames = opener.Open(initial, keys);
    ASSERT_TRUE(frames.has_value());
    EXPECT_EQ(frames->size(), 1162u);
    uint64_t offset = 9;
    Bytes data;
    QuicFrames walk(*frames);
    ASSERT_EQ(walk.Take(&offset, &data), QuicFrames::Next::kCrypto);
    EXPECT_EQ(offset, 0u);
    EXPECT_EQ(data.size(), 241u);
    EXPECT_EQ(walk.Take(&offset, &data), QuicFrames::Next::kEnd);
    for (size_t i = 0; i < packet.size(); i += 7) {
      Octets damaged = packet;
      damaged[i] ^= 0x10;
      left = damaged;
      if (NextQuicPacket(&left, &initial) != QuicNext::kInitial) continue;
      EXPECT_FALSE(opener.Open(initial, keys).has_value()) << i;
    }
  }
}

// --- connections ----------------------------------------------------------------------------------

class Hellos final : public TlsObserver {
 public:
  void OnClientHello(const StreamContext& at, const ClientHello& hello, std::string_view, std::string_view ja4) override {
    lines.push_back(std::string(hello.sni) + " " + std::string(ja4) + " " + std::to_string(at.client_port));
  }
  void OnServerHello(const StreamContext&, const ServerHello&, std::string_view) override {}
  void OnTlsContent(const StreamContext&, bool, Bytes) override {}
  std::vector<std::string> lines;
};

struct Box {
  explicit Box(WorkerOptions options = WorkerDriver::SmallOptions()) {
    options.ignore_checksums = true;
    worker = MakeWorker(options, &http, &records, nullptr, &hellos);
    worker->RegisterCounters(&registry);
  }
  void Datagram(const Octets& payload, bool from_client = true, uint16_t port = 50'000) {
    Octets frame(14 + 20 + 8);
    StoreBe16(&frame[12], 0x0800);
    frame[14] = 0x45;
    StoreBe16(&frame[16], static_cast<uint16_t>(28 + payload.size()));
    frame[22] = 64;
    frame[23] = 17;
    StoreBe32(&frame[26], from_client ? 0x0a000001 : 0x0a000002);
    StoreBe32(&frame[30], from_client ? 0x0a000002 : 0x0a000001);
    StoreBe16(&frame[34], from_client ? port : 443);
    StoreBe16(&frame[36], from_client ? 443 : port);
    StoreBe16(&frame[38], static_cast<uint16_t>(8 + payload.size()));
    frame.insert(frame.end(), payload.begin(), payload.end());
    now_ns += kNsPerMs;
    worker->Look({frame, static_cast<uint32_t>(frame.size()), 0, ++number, now_ns});
  }
  uint64_t Count(const std::string& name) { return registry.Snapshot().at(name); }

  NullHttp http;
  RecordKeeper records;
  Hellos hellos;
  CounterRegistry registry;
  std::unique_ptr<Worker> worker;
  uint64_t number = 0;
  int64_t now_ns = 1'700'000'000 * kNsPerSecond;
};

const char kWanted[] = "example.com q13d0211an_";

// The ClientHello of the RFCs, with its handshake header.
Octets Hello() {
  const Octets packet = Vector("quic_initial_rfc9001_a2.hex");
  Bytes left = packet;
  QuicInitial initial;
  NextQuicPacket(&left, &initial);
  QuicKeys keys;
  QuicOpener::DeriveClientKeys(1, kId, &keys);
  QuicOpener opener;
  const Bytes frames = *opener.Open(initial, keys);
  return Octets(frames.begin() + 4, frames.begin() + 4 + 241);
}

Octets CryptoFrame(const Octets& hello, size_t offset, size_t size) {
  Octets out{6, static_cast<uint8_t>(0x80), 0, static_cast<uint8_t>(offset >> 8), static_cast<uint8_t>(offset),
             static_cast<uint8_t>(0x40 | size >> 8), static_cast<uint8_t>(size)};
  out.insert(out.end(), hello.begin() + static_cast<ptrdiff_t>(offset), hello.begin() + static_cast<ptrdiff_t>(offset + size));
  return out;
}

// RFC 9001, 5.4, the sender's side. `first_id`: of the client's first packet, whose keys count.
Octets Seal(const Octets& id, Octets frames, uint32_t number, const Octets& first_id = {}) {
  frames.resize(std::max<size_t>(frames.size(), 40));
  QuicKeys keys;
  QuicOpener::DeriveClientKeys(1, first_id.empty() ? id : first_id, &keys);
  Octets packet{0xc3, 0, 0, 0, 1, static_cast<uint8_t>(id.size())};
  packet.insert(packet.end(), id.begin(), id.end());
  const size_t length = 4 + frames.size() + 16;
  packet.insert(packet.end(), {0, 0, static_cast<uint8_t>(0x40 | length >> 8), static_cast<uint8_t>(length)});
  const size_t at = packet.size();
  packet.resize(at + 4);
  StoreBe32(&packet[at], number);
  uint8_t nonce[12];
  std::copy_n(keys.iv, 12, nonce);
  StoreBe32(nonce + 8, LoadBe32(nonce + 8) ^ number);
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  Octets sealed(frames.size() + 16);
  int done = 0;
  EVP_EncryptInit_ex(context, EVP_aes_128_gcm(), nullptr, keys.key, nonce);
  EVP_EncryptUpdate(context, nullptr, &done, packet.data(), static_cast<int>(packet.size()));
  EVP_EncryptUpdate(context, sealed.data(), &done, frames.data(), static_cast<int>(frames.size()));
  EVP_EncryptFinal_ex(context, sealed.data() + done, &done);
  EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, sealed.data() + frames.size());
  packet.insert(packet.end(), sealed.begin(), sealed.end());
  uint8_t mask[32];
  EVP_EncryptInit_ex(context, EVP_aes_128_ecb(), nullptr, keys.header, nullptr);
  EVP_EncryptUpdate(context, mask, &done, &packet[at + 4], 16);
  EVP_CIPHER_CTX_free(context);
  packet[0] ^= mask[0] & 0x0f;
  for (size_t i = 0; i < 4; ++i) packet[at + i] ^= mask[1 + i];
  return packet;
}

TEST(Quic, AHelloIsReadOnAnyPortAndItsDatagramsAreSteps) {
  Box box;
  for (const char* name : {"quic_initial_rfc9001_a2.hex", "quic_initial_rfc9369_a2.hex"}) {
    const uint16_t port = name[17] == '0' ? 50'001 : 50'002;
    box.Datagram(Vector(name), true, port);
    box.Datagram(Octets(900, 0x45), false, port);
    box.Datagram(Octets(30, 0x45), true, port);
    ASSERT_FALSE(box.hellos.lines.empty());
    EXPECT_TRUE(box.hellos.lines.back().starts_with(kWanted)) << box.hellos.lines.back();
    EXPECT_TRUE(box.hellos.lines.back().ends_with(std::to_string(port)));
  }
  EXPECT_EQ(box.hellos.lines.size(), 2u);
  EXPECT_EQ(box.Count("quic.hellos"), 2u);
  EXPECT_EQ(box.Count("quic.datagrams"), 6u);
  box.worker->Tick(box.number + 1, box.now_ns + 59 * kNsPerSecond);
  EXPECT_TRUE(box.records.records.empty());
  box.worker->Tick(box.number + 1, box.now_ns + 61 * kNsPerSecond);
  ASSERT_EQ(box.records.records.size(), 2u);
  for (const FlowRecord& record : box.records.records) {
    ASSERT_EQ(record.steps_count, 3u);
    EXPECT_EQ(record.steps[0].size_bytes, 1200u);
    EXPECT_EQ(record.steps[1].from_client, 0);
    EXPECT_EQ(record.steps[1].gap_us, 1000u);
    EXPECT_EQ(record.bytes_from_client, 1230u);
    EXPECT_EQ(record.bytes_from_server, 900u);
    EXPECT_NE(record.ja4_hash, 0u);
  }
  EXPECT_EQ(box.records.records[0].ja4_hash, box.records.records[1].ja4_hash);
}

TEST(Quic, PiecesInAnyOrderGiveTheSameHello) {
  const Octets hello = Hello();
  std::mt19937 random(3);
  for (int round = 0; round < 40; ++round) {
    Box box;
    std::vector<size_t> cuts{0, hello.size()};
    for (int i = 0; i < 20; ++i) cuts.push_back(random() % hello.size());
    std::sort(cuts.begin(), cuts.end());
    std::vector<Octets> frames;
    for (size_t i = 0; i + 1 < cuts.size(); ++i) {
      const size_t overlap = cuts[i] == 0 ? 0 : random() % 2;
      frames.push_back(CryptoFrame(hello, cuts[i] - overlap, cuts[i + 1] - cuts[i] + overlap));
    }
    std::shuffle(frames.begin(), frames.end(), random);
    uint32_t number = 0;
    Octets payload;
    for (const Octets& frame : frames) {
      if (random() % 3 == 0) {
        box.Datagram(Seal(kId, std::exchange(payload, {}), number++));
        if (random() % 2 == 0) box.Datagram(Octets(100, 0x45), false);  // the server answers in between
      }
      payload.push_back(1);  // PING
      payload.insert(payload.end(), frame.begin(), frame.end());
    }
    box.Datagram(Seal(kId, payload, number));
    ASSERT_EQ(box.hellos.lines.size(), 1u) << round;
    EXPECT_TRUE(box.hellos.lines[0].starts_with(kWanted)) << box.hellos.lines[0];
    EXPECT_EQ(box.Count("quic.connections"), 1u);
  }
}

TEST(Quic, ARetryAndAnotherConnectionOnTheSamePortsAreFollowed) {
  const Octets hello = Hello();
  const Octets other = FromHex("f067a5502a4262b5");
  Box box;
  box.Datagram(Seal(kId, CryptoFrame(hello, 0, 100), 0));
  box.Datagram(Seal(other, CryptoFrame(hello, 0, hello.size()), 1));  // the server chose another id: new keys
  EXPECT_EQ(box.hellos.lines.size(), 1u);
  EXPECT_EQ(box.Count("quic.connections"), 1u);
  box.Datagram(Seal(other, CryptoFrame(hello, 0, hello.size()), 1));  // sent again
  EXPECT_EQ(box.hellos.lines.size(), 1u);
  box.Datagram(Seal(kId, CryptoFrame(hello, 0, hello.size()), 0));
  EXPECT_EQ(box.hellos.lines.size(), 2u);
  EXPECT_EQ(box.Count("quic.connections"), 2u);
}

// What the client acknowledges goes to an id of the server's choice, under the keys of the first packet (RFC 9001, 5.2).
TEST(Quic, InitialsBehindTheHelloAreOpened) {
  const Octets hello = Hello();
  const Octets servers = FromHex("f067a5502a4262b5");
  Box box;
  box.Datagram(Seal(kId, CryptoFrame(hello, 0, hello.size()), 0));
  box.Datagram(Octets(900, 0x45), false);
  box.Datagram(Seal(servers, {2, 0, 0, 0, 0}, 1, kId));
  EXPECT_EQ(box.Count("quic.initials"), 2u);
  EXPECT_EQ(box.Count("quic.sealed"), 0u);
  EXPECT_EQ(box.Count("quic.connections"), 1u);
}

// The client sends the same hello again, to the id that the Retry names (RFC 9000, 17.2.5.2): no other connection.
TEST(Quic, ARetryBehindAWholeHelloIsTheSameConnection) {
  const Octets hello = Hello();
  const Octets other = FromHex("f067a5502a4262b5");
  for (const bool version2 : {false, true}) {
    Box box;
    box.Datagram(version2 ? Vector("quic_initial_rfc9369_a2.hex") : Seal(kId, CryptoFrame(hello, 0, hello.size()), 0));
    box.Datagram(FromHex(version2 ? "cf6b3343cf0008f067a5502a4262b5746f6b656ec8646ce8bfe33952d955543665dcc7b6"
                                  : "ff000000010008f067a5502a4262b5746f6b656e04a265ba2eff4d829058fb3f0f2496ba"), false);  // A.4
    box.Datagram(Seal(other, CryptoFrame(hello, 0, hello.size()), 1));
    EXPECT_EQ(box.Count("quic.connections"), 1u);
    EXPECT_EQ(box.hellos.lines.size(), 1u);
    EXPECT_TRUE(box.records.records.empty());
    box.Datagram(Seal(FromHex("0102030405060708"), {2, 0, 0, 0, 0}, 2, other));
    EXPECT_EQ(box.Count("quic.sealed"), 0u);
    box.Datagram(Seal(kId, CryptoFrame(hello, 0, hello.size()), 0));
    EXPECT_EQ(box.Count("quic.connections"), 2u);
  }
}

TEST(Quic, WhatDoesNotFitIsCounted) {
  const Octets hello = Hello();
  Box box;
  uint16_t port = 1000;
  Octets far = CryptoFrame(hello, 0, 10);
  far[3] = 0xff;  // offset 65,280
  box.Datagram(Seal(kId, far, 0), true, ++port);
  EXPECT_EQ(box.Count("quic.hello_too_large"), 1u);
  Octets no_hello = hello;
  no_hello[0] = 2;
  box.Datagram(Seal(kId, CryptoFrame(no_hello, 0, 50), 0), true, ++port);
  EXPECT_EQ(box.Count("quic.malformed"), 1u);
  box.Datagram(Seal(kId, Octets(50, 0x1e), 0), true, ++port);  // HANDSHAKE_DONE has no place there
  EXPECT_EQ(box.Count("quic.malformed"), 2u);
  Octets version = Vector("quic_initial_rfc9001_a2.hex");
  version[1] = 0x5a;
  box.Datagram(version, true, ++port);
  EXPECT_EQ(box.Count("quic.version_unknown"), 1u);
  // Every other byte: more holes than are kept. Then the whole in one piece.
  uint32_t number = 0;
  ++port;
  for (size_t i = 0; i < 240; i += 2) box.Datagram(Seal(kId, CryptoFrame(hello, i, 1), number++), true, port);
  EXPECT_EQ(box.Count("quic.hello_in_pieces"), 56u);
  box.Datagram(Seal(kId, CryptoFrame(hello, 0, hello.size()), number), true, port);
  EXPECT_EQ(box.hellos.lines.size(), 1u);
}

TEST(Quic, ConnectionsAreBounded) {
  Box box;  // 64 flows: 16 connections of QUIC
  const Octets packet = Vector("quic_initial_rfc9001_a2.hex");
  for (uint16_t port = 2000; port < 2100; ++port) box.Datagram(packet, true, port);
  EXPECT_EQ(box.Count("quic.evicted"), 84u);
  EXPECT_EQ(box.records.records.size(), 84u);
  box.worker->Finish(box.number + 1, box.now_ns);
  EXPECT_EQ(box.records.records.size(), 100u);
}

// A connection whose hello and first record were seen stays in the kernel from then on, unless its end has to be known.
TEST(Quic, BehindItsFirstRecordAConnectionIsOfNoInterest) {
  const auto play = [](const std::function<void(WorkerOptions*)>& change, bool hello = true) {
    WorkerOptions options = WorkerDriver::SmallOptions();
    options.pass_uninteresting = true;
    change(&options);
    Box box(options);
    const Octets first = hello ? Vector("quic_initial_rfc9001_a2.hex") : Octets(1'200, 0x45);
    for (int i = 0; i < 256; ++i) box.Datagram(i == 0 ? first : Octets(900, 0x45), i % 2 == 0);  // younger than a second
    EXPECT_TRUE(box.records.passed.empty());
    box.now_ns += kNsPerSecond;
    for (int i = 0; i < 255; ++i) box.Datagram(Octets(900, 0x45), false);
    EXPECT_TRUE(box.records.passed.empty());
    box.Datagram(Octets(900, 0x45), false);
    EXPECT_EQ(box.Count("quic.passed"), box.records.passed.size());
    return box.records.passed;
  };
  const auto passed = play([](auto*) {});
  ASSERT_EQ(passed.size(), 1u);
  EXPECT_EQ(passed[0].protocol, 17);
  EXPECT_EQ(passed[0].source_port, 50'000);
  EXPECT_EQ(passed[0].destination_port, 443);
  EXPECT_EQ(play([](auto* o) { o->tell_connections = true; }).size(), 1u);
  EXPECT_EQ(play([](auto* o) { o->tell_connections = o->trust_proxy_header = true; }).size(), 0u);
  EXPECT_EQ(play([](auto* o) { o->pass_uninteresting = false; }).size(), 0u);
  EXPECT_EQ(play([](auto*) {}, false).size(), 0u) << "no QUIC";
}

TEST(Quic, AnyBytesAreLegal) {
  std::mt19937 random(5);
  Box box;
  const Octets hello = Hello();
  for (int i = 0; i < 3000; ++i) {
    Octets payload;
    if (i % 3 == 0) {
      payload = Vector(i % 2 == 0 ? "quic_initial_rfc9001_a2.hex" : "quic_initial_rfc9369_a2.hex");
      for (int n = 0; n < 3; ++n) payload[random() % (i % 6 == 0 ? 30 : payload.size())] = static_cast<uint8_t>(random());
      payload.resize(random() % payload.size());
    } else {  // sealed, with nonsense inside
      Octets frames = CryptoFrame(hello, random() % 100, random() % 100);
      for (int n = 0; n < 3; ++n) frames[random() % std::min<size_t>(frames.size(), 8 + random() % 100)] = static_cast<uint8_t>(random());
      payload = Seal(kId, frames, static_cast<uint32_t>(i));
    }
    box.Datagram(payload, random() % 4 != 0, static_cast<uint16_t>(3000 + random() % 20));
  }
  box.worker->Finish(box.number + 1, box.now_ns);
  EXPECT_GT(box.Count("quic.sealed"), 0u);
  EXPECT_GT(box.Count("quic.malformed"), 0u);
}

}  // namespace
}  // namespace stillwatch::dataplane
