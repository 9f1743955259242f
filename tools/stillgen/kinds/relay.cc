#include "tools/stillgen/kinds/relay.h"

#include "tools/stillgen/person.h"

namespace stillwatch::stillgen {
namespace {

class RelayLane : public Actor {
 public:
  RelayLane(std::shared_ptr<RelayPool> pool, std::shared_ptr<Script> script, std::vector<int64_t> times, Rng rng,
            std::vector<Tuning> tunings, bool harvest, bool server_keeps, std::string end_user)
      : Actor(pool->Next(nullptr)), pool_(std::move(pool)), script_(std::move(script)), times_(std::move(times)), rng_(rng),
        tunings_(std::move(tunings)), harvest_(harvest), server_keeps_(server_keeps), end_user_(std::move(end_user)),
        next_ns_(times_.empty() ? kNever : times_[0]) {}

  int64_t NextAt() const override { return next_ns_; }
  bool harvest() const override { return harvest_; }

  const Prompt& Ask(int64_t) override {
    MoveTo(pool_->Next(prompt_.messages.empty() ? nullptr : account()));
    if (prompt_.messages.empty()) {
      prompt_ = {};
      prompt_.end_user = end_user_;
      script_->Begin(&prompt_);
      if (!tunings_.empty()) rng_.Pick(tunings_).Apply(&prompt_);
    }
    prompt_.parameters.stream = account()->stream;
    return prompt_;
  }

  Retry AfterRateLimit(const Answer&) override {
    return {pool_->Other(account()), static_cast<int64_t>(rng_.LogUniform(0.08, 2.5) * static_cast<double>(kNsPerSecond))};
  }

  void Hear(const Answer& answer, int64_t now_ns) override {
    int64_t pause_ns = kNsPerSecond;
    if (answer.status == 200 && script_->Continue(answer, &prompt_, &pause_ns)) {
      next_ns_ = now_ns + pause_ns;
      if (server_keeps_ && account()->client.api == Api::kResponses) {
        Message last = std::move(prompt_.messages.back());
        prompt_.messages.clear();
        prompt_.messages.push_back(std::move(last));
        prompt_.previous_response_id = answer.id;
      }
      return;
    }
    prompt_ = {};
    ++done_;
    next_ns_ = done_ < times_.size() ? std::max(times_[done_], now_ns + kNsPerSecond) : kNever;
  }

 private:
  std::shared_ptr<RelayPool> pool_;
  std::shared_ptr<Script> script_;
  std::vector<int64_t> times_;
  Rng rng_;
  std::vector<Tuning> tunings_;
  bool harvest_, server_keeps_;
  std::string end_user_;
  size_t done_ = 0;
  int64_t next_ns_;
  Prompt prompt_;
};

class PersonScript : public Script {
 public:
  PersonScript(const World& world, Rng rng) : rng_(rng.Fork("turns")), person_(world, rng.Fork("person")), tuning_(OwnTuning(world, rng)) {}
  void Begin(Prompt* prompt) override {
    tuning_.Apply(prompt);
    prompt->messages.resize(1);
    prompt->messages[0].text = person_.FirstQuestion();
  }
  bool Continue(const Answer& answer, Prompt* prompt, int64_t* pause_ns) override {
    if (!rng_.Chance(std::min(person_.talkative(), 0.8))) return false;
    *pause_ns = AddFollowUp(answer, 40, &person_, rng_, prompt);
    return prompt->messages.size() < 24;
  }

 private:
  Rng rng_;
  Person person_;
  Tuning tuning_;
};

}  // namespace

Account* RelayPool::Next(Account* before) {
  if (before != nullptr && rng_.Chance(sticky_)) return before;
  return rng_.Pick(accounts_);
}

Account* RelayPool::Other(Account* than) {
  Account* next = rng_.Pick(accounts_);
  while (next == than && accounts_.size() > 1) next = rng_.Pick(accounts_);
  return next;
}

std::unique_ptr<Actor> MakeRelayLane(std::shared_ptr<RelayPool> pool, std::shared_ptr<Script> script, std::vector<int64_t> times,
                                     Rng rng, std::vector<Tuning> tunings, bool harvest, bool server_keeps, std::string end_user) {
  return std::make_unique<RelayLane>(std::move(pool), std::move(script), std::move(times), rng, std::move(tunings), harvest,
                                     server_keeps, std::move(end_user));
}

std::shared_ptr<Script> MakePersonScript(const World& world, Rng rng) { return std::make_shared<PersonScript>(world, rng); }

}  // namespace stillwatch::stillgen
