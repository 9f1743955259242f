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

  // The account of the question last asked.
  Account* account() const { return actor_->account(); }
  const Prompt& prompt() const { return *prompt_; }
  int64_t NextAt() const { return retry_at_ns_ >= 0 ? retry_at_ns_ : actor_->NextAt(); }

  bool harvest() const { return actor_->harvest(); }

  HttpRequest Ask(int64_t now_ns) {
    Note(now_ns);
    return EncodeRequest(account()->client, *prompt_, retries_);
  }

  // Takes the next question and counts it, without its bytes.
  void Note(int64_t now_ns) {
    if (retry_at_ns_ < 0) {
      prompt_ = &actor_->Ask(now_ns);
      retries_ = 0;
    }
    retry_at_ns_ = -1;
    const bool harvest = actor_->harvest() || MutantIs("stillgen.all_is_harvest");
    Account& a = *account();
    ++a.requests;
    a.harvest += harvest;
    CountRun(harvest, &a.harvest_runs);
    if (a.first_ns < 0) a.first_ns = now_ns;
    a.last_ns = std::max(a.last_ns, now_ns);
  }

  void Hear(const Answer& answer, int64_t now_ns) {
    if (answer.status == 429) {
      ++account()->rate_limited;
      if (retries_ < 2) {
        ++retries_;
        const Actor::Retry retry = actor_->AfterRateLimit(answer);
        actor_->MoveTo(retry.account);
        retry_at_ns_ = now_ns + retry.wait_ns;
        return;
      }
    }
    actor_->Hear(answer, now_ns);
  }

 private:
  // Runs alternate, beginning with one that is not harvest (and may be empty).
  static void CountRun(bool harvest, std::vector<uint32_t>* runs) {
    if (runs->empty()) runs->push_back(0);
    const bool last_is_harvest = runs->size() % 2 == 0;
    if (harvest != last_is_harvest) runs->push_back(0);
    ++runs->back();
  }

  Actor* actor_;
  const Prompt* prompt_ = nullptr;
  int retries_ = 0;
  int64_t retry_at_ns_ = -1;
};

}  // namespace stillwatch::stillgen
