// How a polling thread rests when there is nothing to do: spins a little, then sleeps in short
// naps, so that an idle box does not burn a processor. One per thread.
#pragma once

#include <time.h>

#include <cstdint>

namespace stillwatch::dataplane {

class Rest {
 public:
  // nap_ns 0: never sleeps (dedicated processors).
  explicit Rest(int64_t nap_ns, int spins = 64) : nap_ns_(nap_ns), spins_(spins) {}

  // Once after every round of work. True when it slept.
  bool After(bool worked) {
    if (worked) {
      empty_ = 0;
      return false;
    }
    if (++empty_ < spins_ || nap_ns_ == 0) {
      Relax();
      return false;
    }
    const timespec nap{0, static_cast<long>(nap_ns_)};
    nanosleep(&nap, nullptr);
    return true;
  }

 private:
  static void Relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }

  const int64_t nap_ns_;
  const int spins_;
  int empty_ = 0;
};

}  // namespace stillwatch::dataplane
