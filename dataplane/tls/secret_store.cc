#include "dataplane/tls/secret_store.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/mutant.h"

namespace stillwatch::dataplane {

SecretStore::SecretStore(uint32_t sessions_max, int64_t ttl_ns, Salt salt)
    : sessions_max_(std::max(sessions_max, 1u)),
      ttl_ns_(ttl_ns),
      salt_(salt),
      mask_(std::bit_ceil(size_t{sessions_max_}) - 1),
      buckets_(mask_ + 1, kNone),
      memory_(sizeof(Session) * sessions_max_) {}

uint32_t SecretStore::Find(const uint8_t* random) const {
  uint32_t at = buckets_[HashOf(random) & mask_];
  while (at != kNone && std::memcmp(At(at).random, random, SessionSecret::kRandomBytes) != 0) at = At(at).next;
  return at;
}

void SecretStore::Remove(uint32_t index) {
  uint32_t* link = &BucketOf(At(index).random);
  while (*link != index) link = &At(*link).next;
  *link = At(index).next;
  if (MutantIs("tls.secret_kept")) {
    At(index).used = 0;
  } else {
    Wipe(&At(index), sizeof(Session));
  }
  --size_;
}

bool SecretStore::Put(const SessionSecret& secret, int64_t now_ns) {
  uint32_t at = Find(secret.random);
  bool room = true;
  if (at == kNone) {
    at = next_;
    next_ = (next_ + 1) % sessions_max_;
    if (span_ == sessions_max_) {
      room = At(at).used == 0;
      if (!room) Remove(at);
      oldest_ = next_;
    } else {
      ++span_;
    }
    Session& fresh = At(at);
    fresh.since_ns = now_ns;
    fresh.used = 1;
    std::memcpy(fresh.random, secret.random, sizeof fresh.random);
    uint32_t& bucket = BucketOf(secret.random);
    fresh.next = bucket;
    bucket = at;
    ++size_;
  }
  Session& session = At(at);
  session.sizes[static_cast<size_t>(secret.label)] = secret.size;
  std::memcpy(session.bytes[static_cast<size_t>(secret.label)], secret.bytes, secret.size);
  return room;
}

bool SecretStore::Has(const uint8_t* random, SecretLabel label) const {
  const uint32_t at = Find(random);
  return at != kNone && At(at).sizes[static_cast<size_t>(label)] != 0;
}

uint8_t SecretStore::Take(const uint8_t* random, SecretLabel label, uint8_t* to) {
  const uint32_t at = Find(random);
  if (at == kNone) return 0;
  Session& session = At(at);
  uint8_t& size = session.sizes[static_cast<size_t>(label)];
  if (size == 0) return 0;
  uint8_t* const bytes = session.bytes[static_cast<size_t>(label)];
  std::memcpy(to, bytes, size);
  Wipe(bytes, SessionSecret::kBytesMax);
  const uint8_t taken = std::exchange(size, uint8_t{0});
  if (std::all_of(session.sizes, session.sizes + kLabels, [](uint8_t left) { return left == 0; })) Remove(at);
  return taken;
}

size_t SecretStore::Expire(int64_t now_ns) {
  if (ttl_ns_ == 0) return 0;
  size_t expired = 0;
  while (span_ != 0) {
    Session& session = At(oldest_);
    if (session.used != 0) {
      if (session.since_ns + ttl_ns_ > now_ns) break;
      Remove(oldest_);
      ++expired;
    }
    oldest_ = (oldest_ + 1) % sessions_max_;
    --span_;
  }
  return expired;
}

}  // namespace stillwatch::dataplane
