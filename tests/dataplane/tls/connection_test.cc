// One TLS connection in pieces of any size, with secrets early, late and never, with bytes missing and wrong.
#include <openssl/evp.h>

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/endian.h"
#include "dataplane/tls/key_schedule.h"
#include "tests/dataplane/tls/harness.h"

namespace stillwatch::testing {
namespace {

using dataplane::SecretLabel;
using dataplane::TlsCounter;
using dataplane::TlsOptions;

// TLS 1.3 with a key update; TLS 1.3 both ways; TLS 1.2 GCM, ChaCha20, CCM and a renegotiation.
const char* const kCases[] = {"snet-TLSv1_3_AES_256_GCM_SHA384_KeyUpdate",
                              "snet-mTLS1_3_ECDSA",
                              "illustrated-tls13-aes128",
                              "hotplace-curl_http1_tls12",
                              "hotplace-curl_http1_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
                              "snet-TLSv1_2_DHE-RSA-AES128-CCM",
                              "hotplace-tls12renogotiation"};
constexpr char kTls13[] = "snet-TLSv1_3_AES_256_GCM_SHA384";
constexpr char kTls12[] = "hotplace-curl_http1_tls12";

struct Whole {
  std::vector<Piece> pieces;
  std::vector<dataplane::SessionSecret> secrets;
  std::string content[2];
};
Whole Load(const std::string& name) {
  Whole whole{PiecesOf(name), SecretsIn(kKeyLogData / name), {}};
  TlsHarness harness;
  harness.Give(whole.secrets);
  harness.Feed(whole.pieces);
  for (int side = 0; side < 2; ++side) whole.content[side] = harness.sink.content[side];
  EXPECT_NE(whole.content[0] + whole.content[1], "") << name;
  return whole;
}

TEST(TlsConnection, AnyCutGivesTheSameContent) {
  std::mt19937 random(7);
  for (const char* name : kCases) {
    const Whole whole = Load(name);
    for (const size_t size_max : {size_t{1}, size_t{3}, size_t{40}, size_t{1'000}, size_t{100'000}}) {
      TlsHarness harness;
      harness.sink.step = 1 + random() % 50;
      harness.Give(whole.secrets);
      for (const Piece& piece : whole.pieces) {
        for (size_t at = 0; at < piece.bytes.size();) {
          const size_t size = std::min<size_t>(piece.bytes.size() - at, 1 + random() % size_max);
          harness.Feed(piece.from_client, std::string_view(piece.bytes).substr(at, size));
          at += size;
        }
      }
      EXPECT_EQ(harness.sink.content[0], whole.content[0]) << name << " " << size_max;
      EXPECT_EQ(harness.sink.content[1], whole.content[1]) << name << " " << size_max;
      EXPECT_EQ(harness.core().buffers.taken(), 0u) << name;
    }
  }
}

// Secrets that come after any number of pieces: the content is the same and in order.
TEST(TlsConnection, LateSecretsLoseNothing) {
  for (const char* name : kCases) {
    const Whole whole = Load(name);
    for (size_t late = 0; late <= whole.pieces.size(); ++late) {
      TlsHarness harness({.secret_wait_ns = 10 * kNsPerSecond});
      harness.sink.step = 11;
      for (size_t i = 0; i < whole.pieces.size(); ++i) {
        if (i == late) harness.Give(whole.secrets);
        harness.Feed(whole.pieces[i].from_client, whole.pieces[i].bytes);
      }
      harness.Give(whole.secrets);
      harness.Retry();
      EXPECT_EQ(harness.sink.content[0], whole.content[0]) << name << " " << late;
      EXPECT_EQ(harness.sink.content[1], whole.content[1]) << name << " " << late;
      harness.Retry(true);  // the secret of a renegotiated handshake is not in its key log
      EXPECT_FALSE(harness.connection().waiting());
      EXPECT_EQ(harness.core().waiting->bytes_taken(), 0u);
    }
  }
}

// ... and when they come one by one, handshake first, as a terminator writes them.
TEST(TlsConnection, SecretsOneByOne) {
  const Whole whole = Load(kTls13);
  TlsHarness harness({.secret_wait_ns = 10 * kNsPerSecond});
  harness.Feed(whole.pieces);
  for (const auto& secret : whole.secrets) {
    harness.Give({secret});
    harness.Retry();
  }
  EXPECT_EQ(harness.sink.content[0], whole.content[0]);
  EXPECT_EQ(harness.Counter(TlsCounter::kSecretLate), 1u);
}

// A logger that writes no handshake secrets: the handshake's records are passed over.
TEST(TlsConnection, TrafficSecretsAlone) {
  Whole whole = Load(kTls13);
  std::erase_if(whole.secrets, [](const auto& secret) {
    return secret.label == SecretLabel::kClientHandshake || secret.label == SecretLabel::kServerHandshake;
  });
  TlsHarness harness;
  harness.Give(whole.secrets);
  harness.Feed(whole.pieces);
  EXPECT_EQ(harness.sink.content[0], whole.content[0]);
  EXPECT_EQ(harness.sink.content[1], whole.content[1]);
}

TEST(TlsConnection, SecretsThatNeverComeFreeWhatWaits) {
  const Whole whole = Load(kTls13);
  TlsHarness harness({.secret_wait_ns = 10 * kNsPerSecond});
  harness.Feed(whole.pieces);
  EXPECT_TRUE(harness.connection().waiting());
  EXPECT_NE(harness.core().waiting->bytes_taken(), 0u);
  harness.at.time_ns += 9 * kNsPerSecond;
  harness.Retry();
  EXPECT_TRUE(harness.connection().waiting());
  harness.at.time_ns += kNsPerSecond;
  harness.Retry();
  EXPECT_FALSE(harness.connection().waiting());
  EXPECT_TRUE(harness.connection().done());
  EXPECT_EQ(harness.core().waiting->bytes_taken(), 0u);
  EXPECT_EQ(harness.Counter(TlsCounter::kSecretNever), 1u);
  EXPECT_EQ(harness.sink.content[0], "");
}

TEST(TlsConnection, WhatWaitsIsBounded) {
  const Whole whole = Load(kTls13);
  TlsHarness harness({.secret_wait_ns = 10 * kNsPerSecond, .wait_flow_bytes_max = 4'096});
  for (int i = 0; i < 20; ++i) harness.Feed(whole.pieces);
  EXPECT_EQ(harness.Counter(TlsCounter::kWaitFull), 1u);
  EXPECT_EQ(harness.core().waiting->bytes_taken(), 0u);
  TlsHarness poor({.secret_wait_ns = 10 * kNsPerSecond, .wait_bytes_max = 2'048});
  for (int i = 0; i < 20; ++i) poor.Feed(whole.pieces);
  EXPECT_EQ(poor.Counter(TlsCounter::kWaitFull), 1u);
}

// One flipped bit anywhere in protected records: no wrong byte is ever handed on.
TEST(TlsConnection, WrongBytesEndTheirDirection) {
  std::mt19937 random(11);
  for (const char* name : {kTls13, kTls12}) {
    const Whole whole = Load(name);
    size_t failed = 0;
    for (int round = 0; round < 60; ++round) {
      std::vector<Piece> pieces = whole.pieces;
      // Behind the hellos: the last bytes of a piece with content.
      std::string& bytes = pieces[pieces.size() - 1 - random() % std::min<size_t>(4, pieces.size() - 2)].bytes;
      bytes[bytes.size() - 1 - random() % std::min<size_t>(16, bytes.size() - 5)] ^= static_cast<char>(1 << random() % 8);
      TlsHarness harness;
      harness.Give(whole.secrets);
      harness.Feed(pieces);
      for (int side = 0; side < 2; ++side) {
        const std::string& got = harness.sink.content[side];
        EXPECT_EQ(got, whole.content[side].substr(0, got.size())) << name;
      }
      failed += harness.Counter(TlsCounter::kBadTag);
    }
    EXPECT_GT(failed, 40u) << name;
  }
}

TEST(TlsConnection, AWrongSecretIsCountedAndGivesNothing) {
  for (const char* name : {kTls13, kTls12}) {
    Whole whole = Load(name);
    for (auto& secret : whole.secrets) secret.bytes[3] ^= 1;
    TlsHarness harness;
    harness.Give(whole.secrets);
    harness.Feed(whole.pieces);
    EXPECT_EQ(harness.sink.content[0] + harness.sink.content[1], "");
    EXPECT_EQ(harness.Counter(TlsCounter::kBadTag), 2u) << name;
    EXPECT_TRUE(harness.connection().done());
    EXPECT_TRUE(harness.sink.lost[0] && harness.sink.lost[1]);
  }
}

// A lost segment ends its own direction; the other goes on.
TEST(TlsConnection, AGapEndsItsDirection) {
  const Whole whole = Load(kTls12);
  TlsHarness harness;
  harness.Give(whole.secrets);
  for (const Piece& piece : whole.pieces) {
    const bool has_content = !harness.sink.content[0].empty();
    if (piece.from_client && has_content) {
      harness.connection().Gap(harness.at, true, &harness.sink);
      continue;
    }
    harness.Feed(piece.from_client, piece.bytes);
  }
  EXPECT_EQ(harness.sink.content[1], whole.content[1]);
  TlsHarness server;
  server.Give(whole.secrets);
  bool gap = false;
  for (const Piece& piece : whole.pieces) {
    if (!piece.from_client && !server.sink.content[0].empty() && !gap) {
      gap = true;
      server.connection().Gap(server.at, false, &server.sink);
      continue;
    }
    server.Feed(piece.from_client, piece.bytes);
  }
  EXPECT_EQ(server.Counter(TlsCounter::kGap), 1u);
  EXPECT_EQ(server.sink.content[0], whole.content[0]);
  EXPECT_EQ(server.sink.content[1], "");
  EXPECT_TRUE(server.sink.lost[1]);
}

// A gap among what waits keeps its place: what came before it is still read.
TEST(TlsConnection, AGapBehindWhatWaits) {
  const Whole whole = Load(kTls12);
  TlsHarness harness({.secret_wait_ns = 10 * kNsPerSecond});
  harness.Feed(whole.pieces);
  harness.connection().Gap(harness.at, false, &harness.sink);
  harness.Feed(false, "what comes behind the gap");
  harness.connection().End(harness.at, true, &harness.sink);
  EXPECT_EQ(harness.sink.ends[0], 0);
  harness.Give(whole.secrets);
  harness.Retry();
  EXPECT_EQ(harness.sink.content[0], whole.content[0]);
  EXPECT_EQ(harness.sink.content[1], whole.content[1]);
  EXPECT_EQ(harness.sink.ends[0], 1);
}

TEST(TlsConnection, WithoutBuffersADirectionIsGivenUp) {
  const Whole whole = Load(kTls12);
  TlsHarness harness({.buffers_max = 0});
  harness.Give(whole.secrets);
  for (const Piece& piece : whole.pieces) {
    for (const char& byte : piece.bytes) harness.Feed(piece.from_client, std::string_view(&byte, 1));
  }
  EXPECT_NE(harness.Counter(TlsCounter::kBuffersEmpty), 0u);
  EXPECT_EQ(harness.sink.content[0], "");
}

// A record as TLS 1.3 protects it, made by OpenSSL's encryption under the capture's own secret.
std::string Protect(const dataplane::SessionSecret& secret, uint64_t sequence, const std::string& inner) {
  const dataplane::Suite* const suite = dataplane::FindSuite(0x1301);
  dataplane::RecordKeys keys{};
  std::memcpy(keys.secret, secret.bytes, secret.size);
  dataplane::DeriveTls13Keys(*suite, &keys);
  StoreBe64(keys.iv + 4, LoadBe64(keys.iv + 4) ^ sequence);
  const size_t size = inner.size() + 16;
  std::string record = {23, 3, 3, static_cast<char>(size >> 8), static_cast<char>(size)};
  record.resize(5 + size);
  auto* const bytes = reinterpret_cast<uint8_t*>(record.data());
  EVP_CIPHER_CTX* const context = EVP_CIPHER_CTX_new();
  int done = 0;
  EVP_EncryptInit_ex(context, EVP_aes_128_gcm(), nullptr, keys.key, keys.iv);
  EVP_EncryptUpdate(context, nullptr, &done, bytes, 5);
  EVP_EncryptUpdate(context, bytes + 5, &done, AsBytes(inner).data(), static_cast<int>(inner.size()));
  EVP_EncryptFinal_ex(context, bytes + 5 + done, &done);
  EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, bytes + 5 + inner.size());
  EVP_CIPHER_CTX_free(context);
  return record;
}

TEST(TlsConnection, PaddingIsNoContentAndAllPaddingIsAnError) {
  const Whole whole = Load("illustrated-tls13-aes128");
  const auto secret = std::find_if(whole.secrets.begin(), whole.secrets.end(),
                                   [](const auto& s) { return s.label == SecretLabel::kClientTraffic; });
  TlsHarness harness;
  harness.Give(whole.secrets);
  for (const Piece& piece : whole.pieces) {
    if (!harness.sink.content[0].empty()) break;
    harness.Feed(piece.from_client, piece.bytes);
  }
  ASSERT_EQ(harness.sink.content[0], "ping");
  const std::string zeros(300, '\0');
  harness.Feed(true, Protect(*secret, 1, "padded\x17" + zeros));
  harness.Feed(true, Protect(*secret, 2, "\x17" + zeros));  // no content: padding alone
  harness.Feed(true, Protect(*secret, 3, "after\x17"));
  EXPECT_EQ(harness.sink.content[0], "pingpaddedafter");
  harness.Feed(true, Protect(*secret, 4, zeros));
  EXPECT_EQ(harness.Counter(TlsCounter::kRecordMalformed), 1u);
  harness.Feed(true, Protect(*secret, 5, "never\x17"));
  EXPECT_EQ(harness.sink.content[0], "pingpaddedafter");
}

// The server sends a ChangeCipherSpec behind its HelloRetryRequest (RFC 8446, D.4).
TEST(TlsConnection, WithoutSecretsTheHelloBehindARetryIsRead) {
  const std::vector<Piece> pieces = PiecesOf("illustrated-tls13-aes128");
  const std::string& client = pieces[0].bytes;
  ASSERT_TRUE(pieces[0].from_client && !pieces[1].from_client);
  const std::string server = pieces[1].bytes.substr(0, 5 + LoadBe16(AsBytes(pieces[1].bytes).data() + 3));
  std::string retry = server;
  const uint8_t retry_random[] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c,
                                  0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb,
                                  0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};
  std::memcpy(retry.data() + 5 + 4 + 2, retry_random, sizeof retry_random);
  const std::string change_cipher("\x14\x03\x03\x00\x01\x01", 6);
  dataplane::TlsCore core({.connections_max = 4, .buffers_max = 8}, Salt{}, nullptr);
  dataplane::TlsConnection* const connection = core.Open();
  ContentKeeper sink;
  const auto feed = [&](bool from_client, const std::string& bytes) {
    EXPECT_EQ(connection->Feed({}, from_client, AsBytes(bytes), &sink), bytes.size());
  };
  feed(true, client);
  feed(false, retry + change_cipher);
  feed(true, change_cipher + client);
  EXPECT_FALSE(connection->done());
  feed(false, server + change_cipher + std::string("\x17\x03\x03\x00\x01x", 6));
  EXPECT_TRUE(connection->done());
  EXPECT_EQ(core.counters.Get(TlsCounter::kClientHellos), 2u);
  EXPECT_EQ(core.counters.Get(TlsCounter::kServerHellos), 2u);
  feed(true, std::string("\x17\x03\x03\x00\x01x", 6));
  EXPECT_EQ(core.counters.Get(TlsCounter::kHelloLost), 0u);
  core.Close(connection);
}

// TLS 1.2 with AES-GCM, made by OpenSSL: one direction's records under one set of keys.
class Gcm12 {
 public:
  Gcm12(uint16_t suite, const std::string& master, const std::string& client_random, const std::string& server_random,
        bool of_client)
      : cipher_(dataplane::FindSuite(suite)->key_bytes == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm()) {
    dataplane::DeriveTls12Keys(*dataplane::FindSuite(suite), AsBytes(master).data(), AsBytes(client_random).data(),
                               AsBytes(server_random).data(), of_client, &keys_);
  }
  std::string Seal(char type, const std::string& content) {
    const size_t size = 8 + content.size() + 16;
    std::string record = {type, 3, 3, static_cast<char>(size >> 8), static_cast<char>(size)};
    record.resize(5 + size);
    auto* const bytes = reinterpret_cast<uint8_t*>(record.data());
    uint8_t nonce[12], aad[13];
    StoreBe64(bytes + 5, sequence_);
    std::memcpy(nonce, keys_.iv, 4);
    std::memcpy(nonce + 4, bytes + 5, 8);
    StoreBe64(aad, sequence_++);
    std::memcpy(aad + 8, bytes, 3);
    StoreBe16(aad + 11, static_cast<uint16_t>(content.size()));
    EVP_CIPHER_CTX* const context = EVP_CIPHER_CTX_new();
    int done = 0;
    EVP_EncryptInit_ex(context, cipher_, nullptr, keys_.key, nonce);
    EVP_EncryptUpdate(context, nullptr, &done, aad, sizeof aad);
    EVP_EncryptUpdate(context, bytes + 13, &done, AsBytes(content).data(), static_cast<int>(content.size()));
    EVP_EncryptFinal_ex(context, bytes + 13 + done, &done);
    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, bytes + 13 + content.size());
    EVP_CIPHER_CTX_free(context);
    return record;
  }

 private:
  const EVP_CIPHER* const cipher_;
  dataplane::RecordKeys keys_{};
  uint64_t sequence_ = 0;
};

std::string Message(char type, const std::string& body) {
  return std::string{type, 0, static_cast<char>(body.size() >> 8), static_cast<char>(body.size())} + body;
}
std::string Clear(char type, const std::string& content) {
  return std::string{type, 3, 3, static_cast<char>(content.size() >> 8), static_cast<char>(content.size())} + content;
}

// A server may ask for a new handshake to get another suite: what comes before the ChangeCipherSpec is still under the
// old one (RFC 5246, 7.1).
TEST(TlsConnection, ARenegotiationMayChangeTheSuite) {
  constexpr char kHandshake = 22, kChange = 20, kData = 23;
  const auto client_hello = [](const std::string& random) {
    return Message(1, "\x03\x03" + random + std::string("\0\0\4\xc0\x2f\xc0\x30\1\0", 9));
  };
  const auto server_hello = [](const std::string& random, char suite) {
    return Message(2, "\x03\x03" + random + std::string("\0\xc0", 2) + suite + std::string(1, '\0'));
  };
  const std::string finished = Message(20, std::string(12, 'f')), certificate = Message(11, std::string(300, 'c'));
  const std::string client_random[] = {std::string(32, 'c'), std::string(32, 'C')};
  const std::string server_random[] = {std::string(32, 's'), std::string(32, 'S')};
  const std::string master[] = {std::string(48, 'm'), std::string(48, 'M')};
  std::vector<dataplane::SessionSecret> secrets(2);
  for (size_t i = 0; i < 2; ++i) {
    secrets[i].label = SecretLabel::kMaster;
    secrets[i].size = 48;
    std::memcpy(secrets[i].random, client_random[i].data(), 32);
    std::memcpy(secrets[i].bytes, master[i].data(), 48);
  }
  TlsHarness harness;
  harness.Give(secrets);
  Gcm12 c1(0xc02f, master[0], client_random[0], server_random[0], true);
  Gcm12 s1(0xc02f, master[0], client_random[0], server_random[0], false);
  harness.Feed(true, Clear(kHandshake, client_hello(client_random[0])));
  harness.Feed(false, Clear(kHandshake, server_hello(server_random[0], '\x2f') + certificate));
  harness.Feed(true, Clear(kChange, "\1") + c1.Seal(kHandshake, finished));
  harness.Feed(false, Clear(kChange, "\1") + s1.Seal(kHandshake, finished));
  harness.Feed(true, c1.Seal(kData, "GET"));
  harness.Feed(false, s1.Seal(kHandshake, Message(0, "")));
  harness.Feed(true, c1.Seal(kHandshake, client_hello(client_random[1])));
  harness.Feed(false, s1.Seal(kHandshake, server_hello(server_random[1], '\x30')));
  harness.Feed(false, s1.Seal(kHandshake, certificate));
  harness.Feed(true, c1.Seal(kHandshake, certificate));
  harness.Feed(true, c1.Seal(kChange, "\1"));
  Gcm12 c2(0xc030, master[1], client_random[1], server_random[1], true);
  Gcm12 s2(0xc030, master[1], client_random[1], server_random[1], false);
  harness.Feed(true, c2.Seal(kHandshake, finished));
  harness.Feed(false, s1.Seal(kData, "late"));
  harness.Feed(false, s1.Seal(kChange, "\1"));
  harness.Feed(false, s2.Seal(kHandshake, finished));
  harness.Feed(true, c2.Seal(kData, " /secret"));
  harness.Feed(false, s2.Seal(kData, " answer"));
  EXPECT_EQ(harness.Counter(TlsCounter::kRenegotiations), 1u);
  EXPECT_EQ(harness.Counter(TlsCounter::kBadTag), 0u);
  EXPECT_EQ(harness.sink.content[0], "GET /secret");
  EXPECT_EQ(harness.sink.content[1], "late answer");
}

TEST(TlsConnection, KeysAreWipedAtTheEnd) {
  const Whole whole = Load(kTls12);
  TlsHarness harness;
  harness.Give(whole.secrets);
  harness.Feed(whole.pieces);
  EXPECT_EQ(harness.core().keys->taken(), 1u);
  EXPECT_EQ(harness.core().secrets->size(), 0u) << "a secret that was used stays in the store";
  harness.Close();
  EXPECT_EQ(harness.core().keys->taken(), 0u);
}

}  // namespace
}  // namespace stillwatch::testing
