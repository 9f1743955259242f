#include "dataplane/tls/key_schedule.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "dataplane/tls/locked_memory.h"

namespace stillwatch::dataplane {

namespace {

constexpr size_t kHashMax = 48;

size_t HashBytes(const Suite& suite) { return suite.sha384 ? 48 : 32; }

void Hmac(const Suite& suite, const uint8_t* key, size_t key_bytes, Bytes data, uint8_t* out) {
  unsigned size = 0;
  HMAC(suite.sha384 ? EVP_sha384() : EVP_sha256(), key, static_cast<int>(key_bytes), data.data(), data.size(), out, &size);
}

// At most one block of the hash is ever asked for.
void ExpandLabel(const Suite& suite, const uint8_t* secret, std::string_view label, uint8_t* out, size_t bytes) {
  uint8_t info[32];
  size_t at = 0;
  info[at++] = 0;
  info[at++] = static_cast<uint8_t>(bytes);
  info[at++] = static_cast<uint8_t>(6 + label.size());
  std::memcpy(info + at, "tls13 ", 6);
  at += 6;
  std::memcpy(info + at, label.data(), label.size());
  at += label.size();
  info[at++] = 0;   // no context
  info[at++] = 1;   // the first block
  uint8_t block[kHashMax];
  Hmac(suite, secret, HashBytes(suite), Bytes(info, at), block);
  std::memcpy(out, block, bytes);
  Wipe(block, sizeof block);
}

}  // namespace

void DeriveTls13Keys(const Suite& suite, RecordKeys* keys) {
  ExpandLabel(suite, keys->secret, "key", keys->key, suite.key_bytes);
  ExpandLabel(suite, keys->secret, "iv", keys->iv, sizeof keys->iv);
}

void UpdateTls13Keys(const Suite& suite, RecordKeys* keys) {
  uint8_t next[kHashMax];
  ExpandLabel(suite, keys->secret, "traffic upd", next, HashBytes(suite));
  std::memcpy(keys->secret, next, HashBytes(suite));
  Wipe(next, sizeof next);
  DeriveTls13Keys(suite, keys);
}

void DeriveTls12Keys(const Suite& suite, const uint8_t* master, const uint8_t* client_random,
                     const uint8_t* server_random, bool of_client, RecordKeys* keys) {
  constexpr size_t kMasterBytes = 48;
  constexpr std::string_view kLabel = "key expansion";
  uint8_t seed[kLabel.size() + 64];
  std::memcpy(seed, kLabel.data(), kLabel.size());
  std::memcpy(seed + kLabel.size(), server_random, 32);
  std::memcpy(seed + kLabel.size() + 32, client_random, 32);
  // P_hash: A(i) = HMAC(A(i-1)); output HMAC(A(i) + seed).
  const size_t hash = HashBytes(suite);
  const size_t mac_bytes = suite.mac == Mac::kNone ? 0 : suite.tag_bytes;
  const size_t wanted = 2 * mac_bytes + 2u * suite.key_bytes + 2u * suite.fixed_iv_bytes;
  uint8_t block[4 * kHashMax];  // of 160 bytes at most, in whole hashes
  uint8_t chained[kHashMax + sizeof seed];
  std::memcpy(chained + hash, seed, sizeof seed);
  Hmac(suite, master, kMasterBytes, Bytes(seed, sizeof seed), chained);
  for (size_t at = 0; at < wanted; at += hash) {
    Hmac(suite, master, kMasterBytes, Bytes(chained, hash + sizeof seed), block + at);
    uint8_t next[kHashMax];
    Hmac(suite, master, kMasterBytes, Bytes(chained, hash), next);
    std::memcpy(chained, next, hash);
  }
  const size_t side = of_client ? 0 : 1;
  std::memset(keys, 0, sizeof *keys);
  std::memcpy(keys->secret, block + side * mac_bytes, mac_bytes);
  const uint8_t* const cipher_keys = block + 2 * mac_bytes;
  std::memcpy(keys->key, cipher_keys + side * suite.key_bytes, suite.key_bytes);
  std::memcpy(keys->iv, cipher_keys + 2u * suite.key_bytes + side * suite.fixed_iv_bytes, suite.fixed_iv_bytes);
  Wipe(block, sizeof block);
  Wipe(chained, sizeof chained);
}

}  // namespace stillwatch::dataplane
