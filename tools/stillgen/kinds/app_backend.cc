// Benign: an app's back end. One account, one large system prompt, many end users, several lanes at once.
#include "tools/stillgen/kinds/kind.h"
#include "tools/stillgen/phrase.h"

namespace stillwatch::stillgen {
namespace {

class BackendLane : public Actor {
 public:
  BackendLane(const World& world, Account* account, Rng rng, std::string system, std::string model, Subject subject,
              std::vector<int64_t> times)
      : Actor(account), world_(&world), rng_(rng), subject_(subject), times_(std::move(times)) {
    prompt_.model = std::move(model);
    prompt_.system = std::move(system);
    prompt_.parameters.temperature_milli = 300;
    prompt_.parameters.max_tokens = 512;
    prompt_.parameters.stream = account->stream;
    if (!times_.empty()) next_ns_ = times_[0];
  }
  int64_t NextAt() const override { return next_ns_; }
  const Prompt& Ask(int64_t) override {
    if (prompt_.messages.empty()) prompt_.end_user = "u_" + std::to_string(rng_.Range(1, 4000));
    Message message;
    message.text = world_->corpus.all()[rng_.Pick(world_->corpus.Of(subject_))].text;
    prompt_.messages.push_back(std::move(message));
    return prompt_;
  }
  void Hear(const Answer& answer, int64_t now_ns) override {
    if (answer.status == 200 && prompt_.messages.size() < 8 && rng_.Chance(0.4)) {
      Message message;
      message.role = Message::Role::kAssistant;
      message.text = answer.text.empty() ? "..." : answer.text;
      prompt_.messages.push_back(std::move(message));
      next_ns_ = now_ns + static_cast<int64_t>(rng_.LogNormal(25, 0.6) * 1e9);
      return;
    }
    prompt_.messages.clear();
    ++done_;
    next_ns_ = done_ < times_.size() ? std::max(times_[done_], now_ns) : kNever;
  }

 private:
  const World* world_;
  Rng rng_;
  Subject subject_;
  std::vector<int64_t> times_;
  size_t done_ = 0;
  int64_t next_ns_ = kNever;
  Prompt prompt_;
};

std::string SystemPrompt(const World& world, Rng& rng) {
  std::string text = world.prose.Dress(world.grammar.Say("backend.system", rng), rng) + "\n\n";
  const int64_t articles = rng.Range(4, 14);
  for (int64_t i = 1; i <= articles; ++i) {
    text += "## Article " + std::to_string(i) + ": " + world.prose.Word(rng) + " and " + world.prose.Word(rng) + "\n" +
            world.prose.Text(rng, static_cast<size_t>(rng.Range(200, 900))) + "\n\n";
  }
  return text;
}

}  // namespace

void BuildAppBackends(World* world, const Share& share) {
  for (int i = 0; i < share.accounts * share.groups; ++i) {
    Rng rng = world->rng.Fork("backend", static_cast<uint64_t>(i));
    Account* account = world->NewAccount("backend", World::Site::kServer, rng);
    const std::string system = SystemPrompt(*world, rng), model = world->PickModel(rng);
    const Subject subject = rng.Chance(0.6) ? Subject::kSupport : rng.Chance(0.5) ? Subject::kTask : Subject::kSmallTalk;
    const double per_hour = rng.LogUniform(3, 40) * world->options.scale;
    const int lanes = static_cast<int>(rng.Range(1, 4));
    for (int lane = 0; lane < lanes; ++lane) {
      const int64_t count = std::max<int64_t>(1, rng.Poisson(std::min(per_hour * world->hours() / lanes, 3000.0)));
      auto times = StartTimes(rng, count, 0, world->options.duration_ns, true);
      world->actors.push_back(std::make_unique<BackendLane>(*world, account, rng.Fork("lane", static_cast<uint64_t>(lane)),
                                                            system, model, subject, std::move(times)));
    }
  }
}

}  // namespace stillwatch::stillgen
