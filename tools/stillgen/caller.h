// An actor as the drivers (capture, play) see it: asks, counts for the truth, and repeats a question
// after a 429 as client libraries do. One for each actor; single thread.
#pragma once

#include <algorithm>

#include "base/mutant.h"
#include "tools/stillgen/world.h"

namespace stillwatch::stillgen {

class Caller {
 public:
  explicit Caller(Actor* actor) : actor_(actor) {}

  Account* account() const { return actor_->account(); }
  const Prompt& prompt() const { return *prompt_; }
  int64_t NextAt() const { return retry_at_ns_ >= 0 ? retry_at_ns_ : actor_->NextAt(); }

  HttpRequest Ask(int64_t now_ns) {
    if (retry_at_ns_ < 0) {
      prompt_ = &actor_->Ask(now_ns);
      retries_ = 0;
    }
    retry_at_ns_ = -1;
    Account& a = *account();
    ++a.requests;
    a.harvest += actor_->harvest() || MutantIs("stillgen.all_is_harvest");
    if (a.first_ns < 0) a.first_ns = now_ns;
    a.last_ns = std::max(a.last_ns, now_ns);
    return EncodeRequest(a.client, *prompt_, retries_);
  }

  void Hear(const Answer& answer, int64_t now_ns) {
    if (answer.status == 429) {
      ++account()->rate_limited;
      if (retries_ < 2) {
        ++retries_;
        retry_at_ns_ = now_ns + answer.retry_after_s * kNsPerSecond;
        return;
      }
    }
    actor_->Hear(answer, now_ns);
  }

 private:
  Actor* actor_;
  const Prompt* prompt_ = nullptr;
  int retries_ = 0;
  int64_t retry_at_ns_ = -1;
};

}  // namespace stillwatch::stillgen
