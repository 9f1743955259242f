// Secrets on their way to one worker: a bounded single-producer single-consumer ring in locked memory. A place is
// wiped when its secret has been taken out. Neither side waits.
#pragma once

#include <atomic>

#include "dataplane/tls/key_log.h"
#include "dataplane/tls/locked_memory.h"

namespace stillwatch::dataplane {

class SecretRing {
 public:
  explicit SecretRing(size_t secrets_max);

  // Producer. False when full: the caller counts it.
  bool Push(const SessionSecret& secret);
  // Consumer. False when empty.
  bool Pop(SessionSecret* secret);
  bool empty() const { return head_.load(std::memory_order_relaxed) == tail_.load(std::memory_order_acquire); }
  bool locked() const { return memory_.locked(); }

 private:
  SessionSecret* At(uint64_t position) const {
    return reinterpret_cast<SessionSecret*>(memory_.data()) + position % capacity_;
  }

  const uint64_t capacity_;
  LockedMemory memory_;
  alignas(64) std::atomic<uint64_t> tail_{0};
  alignas(64) std::atomic<uint64_t> head_{0};
};

}  // namespace stillwatch::dataplane
