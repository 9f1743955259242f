#include "dataplane/tls/record_cipher.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <cstring>

#include "base/check.h"
#include "base/endian.h"
#include "base/mutant.h"

namespace stillwatch::dataplane {

namespace {

constexpr size_t kNonceBytes = 12, kExplicitNonceBytes = 8, kCbcBlock = 16, kMacMax = 48;

constexpr Suite Gcm128{Cipher::kAes128Gcm, 16, 4, 16, false, false};
constexpr Suite Gcm256{Cipher::kAes256Gcm, 32, 4, 16, true, false};
constexpr Suite ChaCha{Cipher::kChaCha20, 32, 12, 16, false, false};
constexpr Suite Ccm128{Cipher::kAes128Ccm, 16, 4, 16, false, false};
constexpr Suite Ccm256{Cipher::kAes256Ccm, 32, 4, 16, false, false};
constexpr Suite Ccm128Short{Cipher::kAes128Ccm, 16, 4, 8, false, false};
constexpr Suite Ccm256Short{Cipher::kAes256Ccm, 32, 4, 8, false, false};
constexpr Suite Aria128{Cipher::kAria128Gcm, 16, 4, 16, false, false};
constexpr Suite Aria256{Cipher::kAria256Gcm, 32, 4, 16, true, false};
constexpr Suite Tls13Gcm128{Cipher::kAes128Gcm, 16, 12, 16, false, true};
constexpr Suite Tls13Gcm256{Cipher::kAes256Gcm, 32, 12, 16, true, true};
constexpr Suite Tls13ChaCha{Cipher::kChaCha20, 32, 12, 16, false, true};
constexpr Suite Tls13Ccm{Cipher::kAes128Ccm, 16, 12, 16, false, true};
constexpr Suite Tls13CcmShort{Cipher::kAes128Ccm, 16, 12, 8, false, true};

constexpr Suite Aes128Sha1{Cipher::kAes128Cbc, 16, 0, 20, false, false, Mac::kSha1};
constexpr Suite Aes256Sha1{Cipher::kAes256Cbc, 32, 0, 20, false, false, Mac::kSha1};
constexpr Suite Aes128Sha256{Cipher::kAes128Cbc, 16, 0, 32, false, false, Mac::kSha256};
constexpr Suite Aes256Sha256{Cipher::kAes256Cbc, 32, 0, 32, false, false, Mac::kSha256};
constexpr Suite Aes256Sha384{Cipher::kAes256Cbc, 32, 0, 48, true, false, Mac::kSha384};
constexpr Suite Camellia128Sha1{Cipher::kCamellia128Cbc, 16, 0, 20, false, false, Mac::kSha1};
constexpr Suite Camellia256Sha1{Cipher::kCamellia256Cbc, 32, 0, 20, false, false, Mac::kSha1};
constexpr Suite Camellia128Sha256{Cipher::kCamellia128Cbc, 16, 0, 32, false, false, Mac::kSha256};
constexpr Suite Camellia256Sha256{Cipher::kCamellia256Cbc, 32, 0, 32, false, false, Mac::kSha256};
constexpr Suite Camellia256Sha384{Cipher::kCamellia256Cbc, 32, 0, 48, true, false, Mac::kSha384};

const EVP_CIPHER* CipherOf(Cipher cipher) {
  switch (cipher) {
    case Cipher::kAes128Gcm: return EVP_aes_128_gcm();
    case Cipher::kAes256Gcm: return EVP_aes_256_gcm();
    case Cipher::kChaCha20: return EVP_chacha20_poly1305();
    case Cipher::kAes128Ccm: return EVP_aes_128_ccm();
    case Cipher::kAes256Ccm: return EVP_aes_256_ccm();
    case Cipher::kAria128Gcm: return EVP_aria_128_gcm();
    case Cipher::kAria256Gcm: return EVP_aria_256_gcm();
    case Cipher::kAes128Cbc: return EVP_aes_128_cbc();
    case Cipher::kAes256Cbc: return EVP_aes_256_cbc();
    case Cipher::kCamellia128Cbc: return EVP_camellia_128_cbc();
    case Cipher::kCamellia256Cbc: return EVP_camellia_256_cbc();
    case Cipher::kCount: break;
  }
  return nullptr;
}

const char* DigestOf(Mac mac) {
  switch (mac) {
    case Mac::kSha1: return "SHA1";
    case Mac::kSha256: return "SHA256";
    case Mac::kSha384: return "SHA384";
    case Mac::kNone:
    case Mac::kCount: break;
  }
  return "";
}

// Sequence, type, version and length of what is authenticated, before it.
void Pseudo(uint64_t sequence, const uint8_t* header, size_t length, uint8_t out[13]) {
  StoreBe64(out, sequence);
  std::memcpy(out + 8, header, 3);
  StoreBe16(out + 11, static_cast<uint16_t>(length));
}

bool IsCcm(Cipher cipher) { return cipher == Cipher::kAes128Ccm || cipher == Cipher::kAes256Ccm; }

}  // namespace

const Suite* FindSuite(uint16_t id) {
  switch (id) {
    case 0x1301: return &Tls13Gcm128;
    case 0x1302: return &Tls13Gcm256;
    case 0x1303: return &Tls13ChaCha;
    case 0x1304: return &Tls13Ccm;
    case 0x1305: return &Tls13CcmShort;
    // RSA, DHE-RSA, DH-RSA, DHE-DSS, DH-DSS, DH-anon, PSK, DHE-PSK, RSA-PSK, then ECDHE and ECDH with ECDSA and RSA.
    case 0x009c: case 0x009e: case 0x00a0: case 0x00a2: case 0x00a4: case 0x00a6: case 0x00a8: case 0x00aa: case 0x00ac:
    case 0xc02b: case 0xc02d: case 0xc02f: case 0xc031: case 0xd001: return &Gcm128;
    case 0x009d: case 0x009f: case 0x00a1: case 0x00a3: case 0x00a5: case 0x00a7: case 0x00a9: case 0x00ab: case 0x00ad:
    case 0xc02c: case 0xc02e: case 0xc030: case 0xc032: case 0xd002: return &Gcm256;
    case 0xcca8: case 0xcca9: case 0xccaa: case 0xccab: case 0xccac: case 0xccad: case 0xccae: return &ChaCha;
    case 0xc09c: case 0xc09e: case 0xc0a4: case 0xc0a6: case 0xc0ac: case 0xd005: return &Ccm128;
    case 0xc09d: case 0xc09f: case 0xc0a5: case 0xc0a7: case 0xc0ad: return &Ccm256;
    case 0xc0a0: case 0xc0a2: case 0xc0a8: case 0xc0aa: case 0xc0ae: case 0xd003: return &Ccm128Short;
    case 0xc0a1: case 0xc0a3: case 0xc0a9: case 0xc0ab: case 0xc0af: return &Ccm256Short;
    case 0xc050: case 0xc052: case 0xc054: case 0xc056: case 0xc058: case 0xc05a: case 0xc05c: case 0xc05e: case 0xc060:
    case 0xc062: case 0xc06a: case 0xc06c: case 0xc06e: return &Aria128;
    case 0xc051: case 0xc053: case 0xc055: case 0xc057: case 0xc059: case 0xc05b: case 0xc05d: case 0xc05f: case 0xc061:
    case 0xc063: case 0xc06b: case 0xc06d: case 0xc06f: return &Aria256;
    // CBC: RSA, DH-DSS, DH-RSA, DHE-DSS, DHE-RSA, DH-anon, the three of PSK, then ECDH and ECDHE.
    case 0x002f: case 0x0030: case 0x0031: case 0x0032: case 0x0033: case 0x0034: case 0x008c: case 0x0090: case 0x0094:
    case 0xc004: case 0xc009: case 0xc00e: case 0xc013: case 0xc018: case 0xc035: return &Aes128Sha1;
    case 0x0035: case 0x0036: case 0x0037: case 0x0038: case 0x0039: case 0x003a: case 0x008d: case 0x0091: case 0x0095:
    case 0xc005: case 0xc00a: case 0xc00f: case 0xc014: case 0xc019: case 0xc036: return &Aes256Sha1;
    case 0x003c: case 0x003e: case 0x003f: case 0x0040: case 0x0067: case 0x006c: case 0x00ae: case 0x00b2: case 0x00b6:
    case 0xc023: case 0xc025: case 0xc027: case 0xc029: case 0xc037: return &Aes128Sha256;
    case 0x003d: case 0x0068: case 0x0069: case 0x006a: case 0x006b: case 0x006d: return &Aes256Sha256;
    case 0x00af: case 0x00b3: case 0x00b7: case 0xc024: case 0xc026: case 0xc028: case 0xc02a: case 0xc038: return &Aes256Sha384;
    case 0x0041: case 0x0042: case 0x0043: case 0x0044: case 0x0045: case 0x0046: return &Camellia128Sha1;
    case 0x0084: case 0x0085: case 0x0086: case 0x0087: case 0x0088: case 0x0089: return &Camellia256Sha1;
    case 0x00ba: case 0x00bb: case 0x00bc: case 0x00bd: case 0x00be: case 0x00bf: case 0xc072: case 0xc074: case 0xc076:
    case 0xc078: return &Camellia128Sha256;
    case 0x00c0: case 0x00c1: case 0x00c2: case 0x00c3: case 0x00c4: case 0x00c5: return &Camellia256Sha256;
    case 0xc073: case 0xc075: case 0xc077: case 0xc079: return &Camellia256Sha384;
    default: return nullptr;
  }
}

RecordCiphers::~RecordCiphers() {
  for (auto& by_tag : contexts_) {
    for (evp_cipher_ctx_st* context : by_tag) EVP_CIPHER_CTX_free(context);  // wipes
  }
  for (evp_mac_ctx_st* context : macs_) EVP_MAC_CTX_free(context);
}

evp_cipher_ctx_st* RecordCiphers::Context(const Suite& suite) {
  evp_cipher_ctx_st*& context = contexts_[static_cast<size_t>(suite.cipher)][suite.mac == Mac::kNone && suite.tag_bytes == 8];
  if (context == nullptr) {
    // Once for each algorithm.
    context = EVP_CIPHER_CTX_new();
    CHECK(context != nullptr);
    if (EVP_DecryptInit_ex(context, CipherOf(suite.cipher), nullptr, nullptr, nullptr) != 1 ||
        (suite.mac == Mac::kNone && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, kNonceBytes, nullptr) != 1)) {
      EVP_CIPHER_CTX_free(context);  // this OpenSSL does without it
      context = nullptr;
    }
  }
  return context;
}

// HMAC over the header as it counts for `data`, and `data`.
bool RecordCiphers::MacIs(const Suite& suite, const RecordKeys& keys, uint64_t sequence, const uint8_t* header, Bytes data,
                          const uint8_t* mac) {
  evp_mac_ctx_st*& context = macs_[static_cast<size_t>(suite.mac)];
  char digest[8];
  std::strcpy(digest, DigestOf(suite.mac));
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
  if (context == nullptr) {
    EVP_MAC* const hmac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);  // once for each digest
    context = hmac == nullptr ? nullptr : EVP_MAC_CTX_new(hmac);
    EVP_MAC_free(hmac);
    if (context == nullptr) return false;
  }
  uint8_t pseudo[13], found[kMacMax];
  Pseudo(sequence, header, data.size(), pseudo);
  size_t size = 0;
  if (EVP_MAC_init(context, keys.secret, suite.tag_bytes, parameters) != 1 ||
      EVP_MAC_update(context, pseudo, sizeof pseudo) != 1 || EVP_MAC_update(context, data.data(), data.size()) != 1 ||
      EVP_MAC_final(context, found, &size, sizeof found) != 1) {
    return false;
  }
  return (size == suite.tag_bytes && std::memcmp(found, mac, size) == 0) || MutantIs("tls.cbc_mac_unchecked");
}

// A watcher need not hide which check fails: nobody learns it from us.
int RecordCiphers::OpenCbc(const Suite& suite, bool encrypt_then_mac, const RecordKeys& keys, uint64_t sequence,
                           const uint8_t* header, Bytes fragment, uint8_t* out) {
  const size_t mac_bytes = suite.tag_bytes;
  if (encrypt_then_mac) {
    if (fragment.size() < mac_bytes) return -1;
    const Bytes sealed = fragment.first(fragment.size() - mac_bytes);
    if (!MacIs(suite, keys, sequence, header, sealed, fragment.data() + sealed.size())) return -1;
    fragment = sealed;
  }
  if (fragment.size() < 2 * kCbcBlock || fragment.size() % kCbcBlock != 0 || fragment.size() > kRecordMax) return -1;
  evp_cipher_ctx_st* const context = Context(suite);
  int done = 0;
  if (context == nullptr || EVP_DecryptInit_ex(context, nullptr, nullptr, keys.key, fragment.data()) != 1 ||
      EVP_CIPHER_CTX_set_padding(context, 0) != 1 ||
      EVP_DecryptUpdate(context, out, &done, fragment.data() + kCbcBlock, static_cast<int>(fragment.size() - kCbcBlock)) != 1) {
    return -1;
  }
  size_t size = fragment.size() - kCbcBlock;
  if (static_cast<size_t>(done) != size) return -1;
  const size_t padding = out[size - 1] + size_t{1};
  if (padding + (encrypt_then_mac ? 0 : mac_bytes) > size) return -1;
  for (size_t i = size - padding; i < size; ++i) {
    if (out[i] != padding - 1) return -1;
  }
  size -= padding;
  if (encrypt_then_mac) return static_cast<int>(size);
  size -= mac_bytes;
  return MacIs(suite, keys, sequence, header, Bytes(out, size), out + size) ? static_cast<int>(size) : -1;
}

int RecordCiphers::Open(const Suite& suite, bool encrypt_then_mac, const RecordKeys& keys, uint64_t sequence, const uint8_t* header,
                        Bytes fragment, uint8_t* out) {
  if (suite.mac != Mac::kNone) return OpenCbc(suite, encrypt_then_mac, keys, sequence, header, fragment, out);
  const bool explicit_nonce = !suite.tls13 && suite.cipher != Cipher::kChaCha20;
  const size_t overhead = suite.tag_bytes + (explicit_nonce ? kExplicitNonceBytes : 0);
  if (fragment.size() < overhead) return -1;
  const int plain = static_cast<int>(fragment.size() - overhead);
  uint8_t nonce[kNonceBytes];
  std::memcpy(nonce, keys.iv, sizeof nonce);
  if (explicit_nonce) {
    std::memcpy(nonce + 4, fragment.data(), kExplicitNonceBytes);
    fragment = fragment.subspan(kExplicitNonceBytes);
  } else {
    StoreBe64(nonce + 4, LoadBe64(nonce + 4) ^ sequence);
  }
  uint8_t aad[13];
  int aad_bytes = 5;
  if (suite.tls13) {
    std::memcpy(aad, header, 5);
  } else {
    Pseudo(sequence, header, static_cast<size_t>(plain), aad);
    aad_bytes = sizeof aad;
  }
  evp_cipher_ctx_st* const context = Context(suite);
  if (context == nullptr) return -1;
  uint8_t tag[16];
  std::memcpy(tag, fragment.data() + plain, suite.tag_bytes);
  int done = 0;
  if (IsCcm(suite.cipher)) {
    // CCM wants tag and length before the key.
    if (EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, suite.tag_bytes, tag) != 1 ||
        EVP_DecryptInit_ex(context, nullptr, nullptr, keys.key, nonce) != 1 ||
        EVP_DecryptUpdate(context, nullptr, &done, nullptr, plain) != 1 ||
        EVP_DecryptUpdate(context, nullptr, &done, aad, aad_bytes) != 1) {
      return -1;
    }
    return EVP_DecryptUpdate(context, out, &done, fragment.data(), plain) == 1 ? plain : -1;
  }
  int last = 0;
  if (EVP_DecryptInit_ex(context, nullptr, nullptr, keys.key, nonce) != 1 ||
      EVP_DecryptUpdate(context, nullptr, &done, aad, aad_bytes) != 1 ||
      EVP_DecryptUpdate(context, out, &done, fragment.data(), plain) != 1 ||
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, suite.tag_bytes, tag) != 1) {
    return -1;
  }
  const bool genuine = EVP_DecryptFinal_ex(context, out + done, &last) == 1 || MutantIs("tls.tag_unchecked");
  return genuine ? plain : -1;
}

}  // namespace stillwatch::dataplane
