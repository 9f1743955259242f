// The secrets that one worker holds, by client_random. Bounded: the oldest session makes room. A secret leaves the
// store, and its place is wiped, when it is taken, when it grows too old (traffic time), or when the store ends.
// Locked memory. One thread.
#pragma once

#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "dataplane/tls/key_log.h"
#include "dataplane/tls/locked_memory.h"

namespace stillwatch::dataplane {

class SecretStore {
 public:
  // `ttl_ns` 0: secrets do not grow old.
  SecretStore(uint32_t sessions_max, int64_t ttl_ns, Salt salt);

  // False when an older session was given up for it.
  bool Put(const SessionSecret& secret, int64_t now_ns);
  // Moves the secret out. 0: not there; else its size. `to` has room for SessionSecret::kBytesMax.
  uint8_t Take(const uint8_t* random, SecretLabel label, uint8_t* to);
  bool Has(const uint8_t* random, SecretLabel label) const;
  // Wipes sessions that are older than the bound; returns how many.
  size_t Expire(int64_t now_ns);

  size_t size() const { return size_; }
  bool locked() const { return memory_.locked(); }

  // What one session takes.
  static constexpr size_t kSessionBytes = 320;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr size_t kLabels = static_cast<size_t>(SecretLabel::kCount);
  struct Session {
    int64_t since_ns;
    uint32_t next;               // of the same bucket
    uint8_t used;
    uint8_t sizes[kLabels];      // 0: not there
    uint8_t random[SessionSecret::kRandomBytes];
    uint8_t bytes[kLabels][SessionSecret::kBytesMax];
  };

  static_assert(sizeof(Session) + sizeof(uint32_t) * 2 <= kSessionBytes);

  uint32_t& BucketOf(const uint8_t* random) { return buckets_[HashOf(random) & mask_]; }
  uint64_t HashOf(const uint8_t* random) const {
    return KeyedHash64(Bytes(random, SessionSecret::kRandomBytes), salt_);
  }
  Session& At(uint32_t index) const { return reinterpret_cast<Session*>(memory_.data())[index]; }
  uint32_t Find(const uint8_t* random) const;
  void Remove(uint32_t index);

  const uint32_t sessions_max_;
  const int64_t ttl_ns_;
  const Salt salt_;
  const uint64_t mask_;
  std::vector<uint32_t> buckets_;
  LockedMemory memory_;
  uint32_t next_ = 0;    // places are used in a circle, so that age follows place
  uint32_t oldest_ = 0;
  uint32_t span_ = 0;    // places from oldest_ to next_, free ones among them
  size_t size_ = 0;
};

}  // namespace stillwatch::dataplane
