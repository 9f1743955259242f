#include "dataplane/tls/record_cipher.h"

#include <openssl/evp.h>

#include <cstring>

#include "base/check.h"
#include "base/endian.h"
#include "base/mutant.h"

namespace stillwatch::dataplane {

namespace {

constexpr size_t kNonceBytes = 12, kExplicitNonceBytes = 8;

constexpr Suite Gcm128{Aead::kAes128Gcm, 16, 4, 16, false, false};
constexpr Suite Gcm256{Aead::kAes256Gcm, 32, 4, 16, true, false};
constexpr Suite ChaCha{Aead::kChaCha20, 32, 12, 16, false, false};
constexpr Suite Ccm128{Aead::kAes128Ccm, 16, 4, 16, false, false};
constexpr Suite Ccm256{Aead::kAes256Ccm, 32, 4, 16, false, false};
constexpr Suite Ccm128Short{Aead::kAes128Ccm, 16, 4, 8, false, false};
constexpr Suite Ccm256Short{Aead::kAes256Ccm, 32, 4, 8, false, false};
constexpr Suite Aria128{Aead::kAria128Gcm, 16, 4, 16, false, false};
constexpr Suite Aria256{Aead::kAria256Gcm, 32, 4, 16, true, false};
constexpr Suite Tls13Gcm128{Aead::kAes128Gcm, 16, 12, 16, false, true};
constexpr Suite Tls13Gcm256{Aead::kAes256Gcm, 32, 12, 16, true, true};
constexpr Suite Tls13ChaCha{Aead::kChaCha20, 32, 12, 16, false, true};
constexpr Suite Tls13Ccm{Aead::kAes128Ccm, 16, 12, 16, false, true};
constexpr Suite Tls13CcmShort{Aead::kAes128Ccm, 16, 12, 8, false, true};

const EVP_CIPHER* CipherOf(Aead aead) {
  switch (aead) {
    case Aead::kAes128Gcm: return EVP_aes_128_gcm();
    case Aead::kAes256Gcm: return EVP_aes_256_gcm();
    case Aead::kChaCha20: return EVP_chacha20_poly1305();
    case Aead::kAes128Ccm: return EVP_aes_128_ccm();
    case Aead::kAes256Ccm: return EVP_aes_256_ccm();
    case Aead::kAria128Gcm: return EVP_aria_128_gcm();
    case Aead::kAria256Gcm: return EVP_aria_256_gcm();
    case Aead::kCount: break;
  }
  return nullptr;
}

bool IsCcm(Aead aead) { return aead == Aead::kAes128Ccm || aead == Aead::kAes256Ccm; }

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
    default: return nullptr;
  }
}

RecordCiphers::~RecordCiphers() {
  for (auto& by_tag : contexts_) {
    for (evp_cipher_ctx_st* context : by_tag) EVP_CIPHER_CTX_free(context);  // wipes
  }
}

evp_cipher_ctx_st* RecordCiphers::Context(const Suite& suite) {
  evp_cipher_ctx_st*& context = contexts_[static_cast<size_t>(suite.aead)][suite.tag_bytes == 8];
  if (context == nullptr) {
    // Once for each algorithm.
    context = EVP_CIPHER_CTX_new();
    CHECK(context != nullptr);
    if (EVP_DecryptInit_ex(context, CipherOf(suite.aead), nullptr, nullptr, nullptr) != 1 ||
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, kNonceBytes, nullptr) != 1) {
      EVP_CIPHER_CTX_free(context);  // this OpenSSL does without it
      context = nullptr;
    }
  }
  return context;
}

int RecordCiphers::Open(const Suite& suite, const RecordKeys& keys, uint64_t sequence, const uint8_t* header,
                        Bytes fragment, uint8_t* out) {
  const bool explicit_nonce = !suite.tls13 && suite.aead != Aead::kChaCha20;
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
    StoreBe64(aad, sequence);
    std::memcpy(aad + 8, header, 3);
    StoreBe16(aad + 11, static_cast<uint16_t>(plain));
    aad_bytes = sizeof aad;
  }
  evp_cipher_ctx_st* const context = Context(suite);
  if (context == nullptr) return -1;
  uint8_t tag[16];
  std::memcpy(tag, fragment.data() + plain, suite.tag_bytes);
  int done = 0;
  if (IsCcm(suite.aead)) {
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
