#include "tools/stillgen/kinds/script.h"

namespace stillwatch::stillgen {
namespace {

class ScriptActor : public Actor {
 public:
  ScriptActor(Account* account, std::shared_ptr<Script> script, std::vector<int64_t> times, Rng rng, std::vector<Tuning> tunings,
              bool harvest)
      : Actor(account), script_(std::move(script)), times_(std::move(times)), rng_(rng), tunings_(std::move(tunings)),
        harvest_(harvest), next_ns_(times_.empty() ? kNever : times_[0]) {}

  int64_t NextAt() const override { return next_ns_; }
  bool harvest() const override { return harvest_; }

  const Prompt& Ask(int64_t) override {
    if (prompt_.messages.empty()) {
      prompt_ = {};
      prompt_.parameters.stream = account()->stream;
      script_->Begin(&prompt_);
      if (!tunings_.empty()) rng_.Pick(tunings_).Apply(&prompt_);
    }
    return prompt_;
  }

  void Hear(const Answer& answer, int64_t now_ns) override {
    int64_t pause_ns = kNsPerSecond;
    if (answer.status == 200 && script_->Continue(answer, &prompt_, &pause_ns)) {
      next_ns_ = now_ns + pause_ns;
      return;
    }
    prompt_.messages.clear();
    ++done_;
    next_ns_ = done_ < times_.size() ? std::max(times_[done_], now_ns + kNsPerSecond) : kNever;
    if (next_ns_ == kNever) std::vector<int64_t>().swap(times_);
  }

 private:
  std::shared_ptr<Script> script_;
  std::vector<int64_t> times_;
  Rng rng_;
  std::vector<Tuning> tunings_;
  bool harvest_;
  size_t done_ = 0;
  int64_t next_ns_;
  Prompt prompt_;
};

}  // namespace

void Tuning::Apply(Prompt* prompt) const {
  if (!model.empty()) prompt->model = model;
  prompt->parameters.temperature_milli = temperature_milli;
  prompt->parameters.top_p_milli = top_p_milli;
  prompt->parameters.max_tokens = max_tokens;
}

Tuning OwnTuning(const World& world, Rng& rng) {
  Tuning tuning;
  tuning.model = world.PickModel(rng);
  if (rng.Chance(0.6)) tuning.temperature_milli = static_cast<int>(rng.Range(0, 12)) * 100;
  if (rng.Chance(0.15)) tuning.top_p_milli = static_cast<int>(rng.Range(16, 20)) * 50;
  if (rng.Chance(0.5)) tuning.max_tokens = 256 << rng.Below(5);
  return tuning;
}

std::unique_ptr<Actor> MakeScriptActor(Account* account, std::shared_ptr<Script> script, std::vector<int64_t> times, Rng rng,
                                       std::vector<Tuning> tunings, bool harvest) {
  return std::make_unique<ScriptActor>(account, std::move(script), std::move(times), rng, std::move(tunings), harvest);
}

void AddAnswer(const Answer& answer, Prompt* prompt) {
  Message said;
  said.role = Message::Role::kAssistant;
  said.text = answer.text.empty() && answer.calls.empty() ? "..." : answer.text;
  said.calls = answer.calls;
  prompt->messages.push_back(std::move(said));
}

int64_t AddFollowUp(const Answer& answer, double median_s, Person* person, Rng& rng, Prompt* prompt) {
  AddAnswer(answer, prompt);
  prompt->messages.emplace_back();
  prompt->messages.back().text = person->FollowUp();
  return static_cast<int64_t>(rng.LogNormal(median_s, 0.8) * static_cast<double>(kNsPerSecond));
}

bool AddToolRound(const World& world, Rng& rng, const Answer& answer, Prompt* prompt) {
  if (answer.calls.empty()) return false;
  AddAnswer(answer, prompt);
  for (const ToolCall& call : answer.calls) {
    Message result;
    result.role = Message::Role::kTool;
    result.call_id = call.id;
    result.call_name = call.name;
    result.text = world.prose.Text(rng, static_cast<size_t>(rng.LogUniform(60, 3000)));
    prompt->messages.push_back(std::move(result));
  }
  return true;
}

void AddPersonCaller(World* world, Account* account, std::shared_ptr<Script> script, double low_a_day, double high_a_day, Rng rng,
                     std::vector<Tuning> tunings) {
  const double per_day = rng.LogUniform(low_a_day, high_a_day) * world->options.scale;
  const int64_t count = std::max<int64_t>(1, rng.Poisson(per_day * world->hours() / 24));
  auto times = StartTimes(rng, count, 0, world->options.duration_ns, true);
  world->actors.push_back(MakeScriptActor(account, std::move(script), std::move(times), rng.Fork("caller"), std::move(tunings)));
}

}  // namespace stillwatch::stillgen
