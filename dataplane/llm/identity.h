// Who sent a request: the key_id of the identity contract.
//
//   key_id = first 16 bytes of HMAC-SHA256(account key, credential)
//   credential = API key as sent, trimmed; of a JWT: iss NUL sub (azp, or api_key, without sub; its signature is not
//   checked); of AWS SigV4: the access key id.
//
// One object a worker; HMAC states are prepared once and the last results kept in a fixed cache under a
// 128-bit hash of the credential, never the credential itself. No allocation after construction.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "dataplane/llm/json_reader.h"

namespace stillwatch::dataplane {

using KeyId = std::array<uint8_t, 16>;

class Identity {
 public:
  // `account_key` of any length; empty is allowed for replay.
  explicit Identity(std::string_view account_key);
  ~Identity();

  // An API key or other opaque credential.
  KeyId OfKey(std::string_view credential);
  // The value of an Authorization header, whatever its scheme; JWTs are looked into.
  KeyId OfAuthorization(std::string_view value);

 private:
  struct Hmac;  // OpenSSL's states after the two padded keys
  struct Entry {
    uint64_t low = 0, high = 0;
    KeyId key_id{};
    bool used = false;
  };
  static constexpr size_t kCacheEntries = 8192;
  static constexpr size_t kJwtBytesMax = 8192;

  KeyId Cached(std::string_view credential, bool authorization);
  KeyId Digest(std::string_view credential) const;
  std::string_view CredentialOf(std::string_view authorization);
  std::string_view JwtSubject(std::string_view token);

  std::unique_ptr<Hmac> hmac_;
  std::vector<Entry> cache_;
  uint64_t cache_seed_;
  JsonReader json_;
  char subject_[2048];
};

}  // namespace stillwatch::dataplane
