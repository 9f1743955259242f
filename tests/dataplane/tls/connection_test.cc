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
