// Opens protected records: TLS 1.3 (RFC 8446, 5.2), the AEAD suites of TLS 1.2 (RFC 5288, 6655, 7905, 6209) and its CBC
// suites with AES and Camellia, whose MAC is over the content (RFC 5246, 6.2.3.2) or over what is encrypted (RFC 7366).
// One context for each algorithm serves all connections of a worker: keys stay in the caller's locked memory, and
// the context of the key used last is overwritten by the next and wiped at the end.
#pragma once

#include <cstdint>

#include "base/bytes.h"

struct evp_cipher_ctx_st;
struct evp_mac_ctx_st;

namespace stillwatch::dataplane {

enum class Cipher : uint8_t {
  kAes128Gcm, kAes256Gcm, kChaCha20, kAes128Ccm, kAes256Ccm, kAria128Gcm, kAria256Gcm,
  kAes128Cbc, kAes256Cbc, kCamellia128Cbc, kCamellia256Cbc,
  kCount
};
enum class Mac : uint8_t { kNone, kSha1, kSha256, kSha384, kCount };

// What a cipher suite asks for.
struct Suite {
  Cipher cipher;
  uint8_t key_bytes;
  uint8_t fixed_iv_bytes;   // TLS 1.2: of the key block
  uint8_t tag_bytes;        // or of the MAC
  bool sha384;              // of the key schedule
  bool tls13;
  Mac mac = Mac::kNone;     // of CBC suites
};
// nullptr: not decrypted (RC4, NULL, 3DES, ARIA with CBC ...).
const Suite* FindSuite(uint16_t id);

inline constexpr size_t kRecordMax = (1u << 14) + 2'048;   // what a header may announce (RFC 5246, 6.2.3)

// The keys of one direction.
struct RecordKeys {
  uint8_t key[32];
  uint8_t iv[12];
  uint8_t secret[48];   // TLS 1.3: the traffic secret that the next is made of; a CBC suite's MAC key
};

class RecordCiphers {
 public:
  RecordCiphers() = default;
  ~RecordCiphers();
  RecordCiphers(const RecordCiphers&) = delete;
  RecordCiphers& operator=(const RecordCiphers&) = delete;

  // Opens `fragment` (without its header of five bytes) into `out`, which has room for it; returns the plain bytes
  // or -1: too short, or tag, MAC or padding are wrong. `encrypt_then_mac`: of a CBC suite.
  int Open(const Suite& suite, bool encrypt_then_mac, const RecordKeys& keys, uint64_t sequence, const uint8_t* header,
           Bytes fragment, uint8_t* out);

 private:
  int OpenCbc(const Suite& suite, bool encrypt_then_mac, const RecordKeys& keys, uint64_t sequence, const uint8_t* header,
              Bytes fragment, uint8_t* out);
  bool MacIs(const Suite& suite, const RecordKeys& keys, uint64_t sequence, const uint8_t* header, Bytes data, const uint8_t* mac);
  evp_cipher_ctx_st* Context(const Suite& suite);

  evp_cipher_ctx_st* contexts_[static_cast<size_t>(Cipher::kCount)][2] = {};  // [1]: tag of 8 bytes
  evp_mac_ctx_st* macs_[static_cast<size_t>(Mac::kCount)] = {};
};

}  // namespace stillwatch::dataplane
