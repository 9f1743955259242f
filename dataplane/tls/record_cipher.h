// Opens protected records: TLS 1.3 (RFC 8446, 5.2) and the AEAD suites of TLS 1.2 (RFC 5288, 6655, 7905, 6209).
// One context for each algorithm serves all connections of a worker: keys stay in the caller's locked memory, and
// the context of the key used last is overwritten by the next and wiped at the end.
#pragma once

#include <cstdint>

#include "base/bytes.h"

struct evp_cipher_ctx_st;

namespace stillwatch::dataplane {

enum class Aead : uint8_t { kAes128Gcm, kAes256Gcm, kChaCha20, kAes128Ccm, kAes256Ccm, kAria128Gcm, kAria256Gcm, kCount };

// What a cipher suite asks for.
struct Suite {
  Aead aead;
  uint8_t key_bytes;
  uint8_t fixed_iv_bytes;   // TLS 1.2: of the key block
  uint8_t tag_bytes;
  bool sha384;
  bool tls13;
};
// nullptr: not decrypted (CBC, RC4, NULL, Camellia ...).
const Suite* FindSuite(uint16_t id);

inline constexpr size_t kRecordMax = (1u << 14) + 2'048;   // what a header may announce (RFC 5246, 6.2.3)

// The keys of one direction.
struct RecordKeys {
  uint8_t key[32];
  uint8_t iv[12];
  uint8_t secret[48];   // TLS 1.3: the traffic secret that the next is made of
};

class RecordCiphers {
 public:
  RecordCiphers() = default;
  ~RecordCiphers();
  RecordCiphers(const RecordCiphers&) = delete;
  RecordCiphers& operator=(const RecordCiphers&) = delete;

  // Opens `fragment` (without its header of five bytes) into `out`, which has room for it; returns the plain bytes
  // or -1: too short, or the tag is wrong.
  int Open(const Suite& suite, const RecordKeys& keys, uint64_t sequence, const uint8_t* header, Bytes fragment,
           uint8_t* out);

 private:
  evp_cipher_ctx_st* Context(const Suite& suite);

  evp_cipher_ctx_st* contexts_[static_cast<size_t>(Aead::kCount)][2] = {};  // [1]: tag of 8 bytes
};

}  // namespace stillwatch::dataplane
