#include "dataplane/tls/secret_ring.h"

#include <algorithm>

namespace stillwatch::dataplane {

SecretRing::SecretRing(size_t secrets_max)
    : capacity_(std::max<size_t>(secrets_max, 1)), memory_(capacity_ * sizeof(SessionSecret)) {}

bool SecretRing::Push(const SessionSecret& secret) {
  const uint64_t tail = tail_.load(std::memory_order_relaxed);
  if (tail - head_.load(std::memory_order_acquire) == capacity_) return false;
  *At(tail) = secret;
  tail_.store(tail + 1, std::memory_order_release);
  return true;
}

bool SecretRing::Pop(SessionSecret* secret) {
  if (empty()) return false;
  const uint64_t head = head_.load(std::memory_order_relaxed);
  *secret = *At(head);
  Wipe(At(head), sizeof(SessionSecret));
  head_.store(head + 1, std::memory_order_release);
  return true;
}

}  // namespace stillwatch::dataplane
