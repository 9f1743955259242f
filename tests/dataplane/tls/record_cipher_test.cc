// CBC records, sealed here by OpenSSL's ciphers and one-shot HMAC, opened by the code under test: whatever is changed in one is
// refused, and any bytes at all are read within their bounds. tests/data/tls-keylog has such connections of others.
#include "dataplane/tls/record_cipher.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <memory>
#include <random>
#include <string>

#include "base/endian.h"

namespace stillwatch::dataplane {
namespace {

struct Kind {
  const char* name;
  uint16_t suite;
  const EVP_CIPHER* cipher;
  const EVP_MD* digest;
  bool encrypt_then_mac;
};
std::vector<Kind> Kinds() {
  std::vector<Kind> kinds;
  for (const bool after : {false, true}) {
    kinds.push_back({"AES128-SHA", 0x002f, EVP_aes_128_cbc(), EVP_sha1(), after});
    kinds.push_back({"ECDHE-RSA-AES256-SHA", 0xc014, EVP_aes_256_cbc(), EVP_sha1(), after});
    kinds.push_back({"ECDHE-RSA-AES128-SHA256", 0xc027, EVP_aes_128_cbc(), EVP_sha256(), after});
    kinds.push_back({"AES256-SHA256", 0x003d, EVP_aes_256_cbc(), EVP_sha256(), after});
    kinds.push_back({"ECDHE-RSA-AES256-SHA384", 0xc028, EVP_aes_256_cbc(), EVP_sha384(), after});
    kinds.push_back({"CAMELLIA128-SHA", 0x0041, EVP_camellia_128_cbc(), EVP_sha1(), after});
    kinds.push_back({"ECDHE-RSA-CAMELLIA256-SHA384", 0xc077, EVP_camellia_256_cbc(), EVP_sha384(), after});
  }
  return kinds;
}

constexpr uint8_t kHeader[5] = {23, 3, 3, 0, 0};

RecordKeys Keys() {
  RecordKeys keys;
  for (size_t i = 0; i < sizeof keys.key; ++i) keys.key[i] = static_cast<uint8_t>(i * 3 + 1);
  for (size_t i = 0; i < sizeof keys.secret; ++i) keys.secret[i] = static_cast<uint8_t>(i * 5 + 2);
  return keys;
}

std::string MacOf(const Kind& kind, const RecordKeys& keys, uint64_t sequence, const std::string& data) {
  std::string message(13, '\0');
  StoreBe64(message.data(), sequence);
  std::copy(kHeader, kHeader + 3, message.data() + 8);
  StoreBe16(message.data() + 11, static_cast<uint16_t>(data.size()));
  message += data;
  uint8_t mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(kind.digest, keys.secret, EVP_MD_get_size(kind.digest), reinterpret_cast<const uint8_t*>(message.data()), message.size(), mac, &size);
  return std::string(reinterpret_cast<char*>(mac), size);
}

std::string Encrypt(const Kind& kind, const RecordKeys& keys, const std::string& iv, const std::string& plain) {
  EVP_CIPHER_CTX* const context = EVP_CIPHER_CTX_new();
  std::string out(plain.size() + 32, '\0');
  int done = 0;
  EVP_EncryptInit_ex(context, kind.cipher, nullptr, keys.key, reinterpret_cast<const uint8_t*>(iv.data()));
  EVP_CIPHER_CTX_set_padding(context, 0);
  EVP_EncryptUpdate(context, reinterpret_cast<uint8_t*>(out.data()), &done, reinterpret_cast<const uint8_t*>(plain.data()),
                    static_cast<int>(plain.size()));
  EVP_CIPHER_CTX_free(context);
  out.resize(static_cast<size_t>(done));
  return out;
}

// `blocks_more`: padding beyond what is needed.
std::string Seal(const Kind& kind, const RecordKeys& keys, uint64_t sequence, const std::string& content, size_t blocks_more = 0) {
  const std::string iv = "0123456789abcdef";
  std::string plain = content + (kind.encrypt_then_mac ? "" : MacOf(kind, keys, sequence, content));
  const size_t padding = 16 - plain.size() % 16 + 16 * blocks_more;
  plain += std::string(padding, static_cast<char>(padding - 1));
  const std::string sealed = iv + Encrypt(kind, keys, iv, plain);
  return sealed + (kind.encrypt_then_mac ? MacOf(kind, keys, sequence, sealed) : "");
}

// "refused", or the content.
std::string Open(RecordCiphers* ciphers, const Kind& kind, const RecordKeys& keys, uint64_t sequence, const std::string& fragment) {
  const auto block = std::make_unique<uint8_t[]>(fragment.size());  // exact, for sanitizers
  std::copy(fragment.begin(), fragment.end(), block.get());
  const auto out = std::make_unique<uint8_t[]>(kRecordMax);
  const int size = ciphers->Open(*FindSuite(kind.suite), kind.encrypt_then_mac, keys, sequence, kHeader, Bytes(block.get(), fragment.size()), out.get());
  return size < 0 ? "refused" : std::string(reinterpret_cast<char*>(out.get()), static_cast<size_t>(size));
}

TEST(CbcRecords, OpenAsTheyWereSealed) {
  RecordCiphers ciphers;
  const RecordKeys keys = Keys();
  for (const Kind& kind : Kinds()) {
    for (const size_t size : {0, 1, 15, 16, 17, 100, 16'384}) {
      const std::string content(size, 'c');
      for (const size_t more : {0, 1, 14}) {
        EXPECT_EQ(Open(&ciphers, kind, keys, 7, Seal(kind, keys, 7, content, more)), content) << kind.name << " " << size;
      }
    }
  }
}

TEST(CbcRecords, WhateverIsChangedIsRefused) {
  RecordCiphers ciphers;
  const RecordKeys keys = Keys();
  for (const Kind& kind : Kinds()) {
    const std::string sealed = Seal(kind, keys, 7, "some content of a request");
    for (size_t at = 0; at < sealed.size(); ++at) {
      std::string changed = sealed;
      changed[at] = static_cast<char>(changed[at] ^ 1);
      EXPECT_EQ(Open(&ciphers, kind, keys, 7, changed), "refused") << kind.name << " byte " << at;
    }
    for (size_t size = 0; size < sealed.size(); ++size) {
      EXPECT_EQ(Open(&ciphers, kind, keys, 7, sealed.substr(0, size)), "refused") << kind.name << " of size " << size;
    }
    EXPECT_EQ(Open(&ciphers, kind, keys, 8, sealed), "refused");  // at another place in the stream
    Kind other = kind;
    other.encrypt_then_mac = !other.encrypt_then_mac;
    EXPECT_EQ(Open(&ciphers, other, keys, 7, sealed), "refused") << kind.name;
  }
}

TEST(CbcRecords, PaddingMustBeWholeAndAlike) {
  RecordCiphers ciphers;
  const RecordKeys keys = Keys();
  const std::string iv = "0123456789abcdef";
  for (const Kind& kind : Kinds()) {
    if (!kind.encrypt_then_mac) continue;  // there the MAC would say so first
    const auto opened = [&](const std::string& plain) {
      const std::string sealed = iv + Encrypt(kind, keys, iv, plain);
      return Open(&ciphers, kind, keys, 7, sealed + MacOf(kind, keys, 7, sealed));
    };
    EXPECT_EQ(opened(std::string(12, 'c') + "\3\3\3\3"), std::string(12, 'c'));
    EXPECT_EQ(opened(std::string(12, 'c') + "\3\2\3\3"), "refused");
    EXPECT_EQ(opened(std::string(15, 'c') + "\x10"), "refused");  // more than there is
    EXPECT_EQ(opened(std::string(16, '\x0f')), "");
    EXPECT_EQ(opened(std::string(15, 'c') + std::string(1, '\xff')), "refused");
  }
}

TEST(CbcRecords, AnyBytesAreReadWithinTheirBounds) {
  RecordCiphers ciphers;
  const RecordKeys keys = Keys();
  std::mt19937 random(3);
  for (int round = 0; round < 3'000; ++round) {
    const std::vector<Kind> kinds = Kinds();
    std::string fragment(random() % 200, '\0');
    for (char& c : fragment) c = static_cast<char>(random());
    EXPECT_EQ(Open(&ciphers, kinds[random() % kinds.size()], keys, 7, fragment), "refused");
  }
}

TEST(CbcRecords, SuitesThatAreNotReadAreNotFound) {
  for (const uint16_t suite : {0x0005, 0x000a, 0x0002, 0x003b, 0xc010, 0xc012, 0xc03c, 0xc011}) EXPECT_EQ(FindSuite(suite), nullptr) << suite;
}

}  // namespace
}  // namespace stillwatch::dataplane
