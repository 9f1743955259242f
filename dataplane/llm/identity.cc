// SHA256_* are OpenSSL's plain functions: the EVP interface that replaces them allocates for each message.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "dataplane/llm/identity.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/mutant.h"
#include "dataplane/http/text.h"

namespace stillwatch::dataplane {
namespace {

int Base64UrlValue(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '-' || c == '+') return 62;
  if (c == '_' || c == '/') return 63;
  return -1;
}

// Decodes into `out` (room for text.size()); SIZE_MAX when it is not base64url.
size_t DecodeBase64Url(std::string_view text, uint8_t* out) {
  uint32_t bits = 0, have = 0;
  size_t size = 0;
  while (text.ends_with('=')) text.remove_suffix(1);
  for (const char c : text) {
    const int value = Base64UrlValue(c);
    if (value < 0) return SIZE_MAX;
    bits = bits << 6 | static_cast<uint32_t>(value);
    have += 6;
    if (have >= 8) {
      have -= 8;
      out[size++] = static_cast<uint8_t>(bits >> have);
    }
  }
  return size;
}

}  // namespace

struct Identity::Hmac {
  SHA256_CTX inner, outer;
};

Identity::Identity(std::string_view account_key)
    : hmac_(std::make_unique<Hmac>()), cache_(kCacheEntries), json_(kJwtBytesMax) {
  CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(&cache_seed_), sizeof cache_seed_) == 1);
  // HMAC (RFC 2104): the key, padded to one block, goes into both hashes first.
  uint8_t block[64] = {}, pad[64];
  if (account_key.size() > sizeof block) {
    SHA256(reinterpret_cast<const uint8_t*>(account_key.data()), account_key.size(), block);
  } else {
    std::memcpy(block, account_key.data(), account_key.size());
  }
  for (size_t i = 0; i < sizeof block; ++i) pad[i] = block[i] ^ 0x36;
  SHA256_Init(&hmac_->inner);
  SHA256_Update(&hmac_->inner, pad, sizeof pad);
  for (size_t i = 0; i < sizeof block; ++i) pad[i] = block[i] ^ 0x5c;
  SHA256_Init(&hmac_->outer);
  SHA256_Update(&hmac_->outer, pad, sizeof pad);
  OPENSSL_cleanse(block, sizeof block);
  OPENSSL_cleanse(pad, sizeof pad);
}

Identity::~Identity() { OPENSSL_cleanse(hmac_.get(), sizeof *hmac_); }

KeyId Identity::OfKey(std::string_view credential) { return Cached(TrimBlanks(credential), false); }
KeyId Identity::OfAuthorization(std::string_view value) { return Cached(TrimBlanks(value), true); }

KeyId Identity::Cached(std::string_view credential, bool authorization) {
  const uint64_t low = KeyedHash64(credential, Salt{cache_seed_ + authorization});
  const uint64_t high = KeyedHash64(credential, Salt{~cache_seed_ + authorization});
  Entry& entry = cache_[low % kCacheEntries];
  if (entry.used && entry.low == low && entry.high == high) return entry.key_id;
  entry = {low, high, Digest(authorization ? CredentialOf(credential) : credential), true};
  return entry.key_id;
}

KeyId Identity::Digest(std::string_view credential) const {
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256_CTX state = hmac_->inner;
  SHA256_Update(&state, credential.data(), credential.size());
  SHA256_Final(digest, &state);
  state = hmac_->outer;
  SHA256_Update(&state, digest, sizeof digest);
  SHA256_Final(digest, &state);
  KeyId key_id;
  std::copy(digest, digest + key_id.size(), key_id.begin());
  return key_id;
}

std::string_view Identity::CredentialOf(std::string_view authorization) {
  constexpr std::string_view kSigV4 = "aws4-hmac-sha256";
  if (EqualsNoCase(authorization.substr(0, kSigV4.size()), kSigV4)) {
    constexpr std::string_view kCredential = "Credential=";
    const size_t at = authorization.find(kCredential);
    if (at == std::string_view::npos) return authorization;
    const std::string_view scope = authorization.substr(at + kCredential.size());
    return scope.substr(0, scope.find_first_of("/, "));
  }
  const size_t blank = authorization.find(' ');
  const std::string_view token =
      blank == std::string_view::npos ? authorization : TrimBlanks(authorization.substr(blank));
  const std::string_view subject = token.starts_with("eyJ") && !MutantIs("llm.jwt_is_opaque") ? JwtSubject(token) : std::string_view();
  return subject.empty() ? token : subject;
}

// "" when the token is no JWT with a subject.
std::string_view Identity::JwtSubject(std::string_view token) {
  const size_t first = token.find('.');
  if (first == std::string_view::npos) return {};
  const size_t second = token.find('.', first + 1);
  if (second == std::string_view::npos) return {};
  const std::string_view payload = token.substr(first + 1, second - first - 1);
  if (payload.size() > kJwtBytesMax) return {};
  const size_t size = DecodeBase64Url(payload, json_.buffer());
  if (size == SIZE_MAX || !json_.Begin(size, false)) return {};
  std::string_view issuer, subject, party, api_key;
  if (json_.RootType() != JsonType::object) return {};
  json_.RootFields([&](std::string_view key, JsonValue value) {
    if (key == "iss") json_.String(value, &issuer);
    if (key == "sub") json_.String(value, &subject);
    if (key == "azp") json_.String(value, &party);
    if (key == "api_key") json_.String(value, &api_key);  // Zhipu
  });
  if (subject.empty()) subject = party.empty() ? api_key : party;
  const size_t total = issuer.size() + 1 + subject.size();
  size_t written = 0;
  if (!json_.failed() && !subject.empty() && total <= sizeof subject_) {
    char* const end = std::copy(issuer.begin(), issuer.end(), subject_);
    *end = '\0';
    std::copy(subject.begin(), subject.end(), end + 1);
    written = total;
  }
  json_.Wipe();
  return {subject_, written};
}

}  // namespace stillwatch::dataplane
