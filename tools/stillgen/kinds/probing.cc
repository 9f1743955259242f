// T10: log probabilities over the whole vocabulary. A few prompts, one token of answer, and biases that
// walk through the token ids, dealt out. And its benign neighbour: people who read the odds of a few labels.
#include "tools/stillgen/kinds/harvest.h"

namespace stillwatch::stillgen {
namespace {

constexpr int kVocabulary = 100'000;

class ProbeScript : public Script {
 public:
  ProbeScript(const World& world, Rng rng) : rng_(rng.Fork("deal")), model_(world.PickModel(rng)) {
    for (int64_t i = rng.Range(1, 4); i > 0; --i) prompts_.push_back(world.prose.Dress(world.grammar.Say("probe.prompt", rng), rng));
    tokens_ = static_cast<int>(rng.LogUniform(1, 60));
    top_ = static_cast<int>(rng.Range(1, 4)) * 5;
    bias_ = rng.Chance(0.6) ? 100 : -100;
  }

  void Begin(Prompt* prompt) override {
    prompt->model = model_;
    prompt->parameters.temperature_milli = 0;
    prompt->parameters.max_tokens = 1;
    prompt->parameters.top_logprobs = top_;
    prompt->parameters.stream = false;
    for (int i = 0; i < tokens_; ++i) prompt->parameters.logit_bias.push_back({next_++ % kVocabulary, bias_});
    prompt->messages.resize(1);
    prompt->messages[0].text = rng_.Pick(prompts_);
  }

 private:
  Rng rng_;
  std::string model_;
  std::vector<std::string> prompts_;
  int tokens_, top_, bias_, next_ = 0;
};

class OddsScript : public Script {
 public:
  OddsScript(const World& world, Rng rng)
      : world_(&world), rng_(rng.Fork("deal")), form_(world.grammar.Say("logprob.form", rng)), tuning_(OwnTuning(world, rng)) {
    for (int64_t i = rng.Range(0, 4); i > 0; --i) biases_.push_back({static_cast<int>(rng.Below(kVocabulary)), 100});
    top_ = static_cast<int>(rng.Range(1, 5));
  }
  void Begin(Prompt* prompt) override {
    tuning_.Apply(prompt);
    prompt->parameters.max_tokens = 1;
    prompt->parameters.temperature_milli = 0;
    prompt->parameters.top_logprobs = top_;
    prompt->parameters.logit_bias = biases_;
    prompt->messages.resize(1);
    const std::string text = rng_.Chance(0.5) ? std::string(world_->prose.Sentence(rng_)) : world_->corpus.Any(Subject::kSupport, rng_);
    prompt->messages[0].text = Fill(form_, {{"text", text}});
  }

 private:
  const World* world_;
  Rng rng_;
  std::string form_;
  Tuning tuning_;
  std::vector<std::pair<int, int>> biases_;
  int top_;
};

}  // namespace

void BuildProbing(World* world, const Share& share) {
  for (int g = 0; g < share.groups; ++g) {
    Rng rng = world->rng.Fork("t10", static_cast<uint64_t>(g));
    auto script = std::make_shared<ProbeScript>(*world, rng.Fork("script"));
    HarvestPace pace = DrawPace(*world, 20, 200, 0.3 * rng.Unit(), rng);
    pace.api = Api::kChat;
    pace.as_dealt = true;
    AddHarvesters(world, world->NewCampaign("t10"), script, pace, share.accounts, rng.Fork("accounts"));
  }
}

void BuildLogprobUsers(World* world, const Share& share) {
  for (int i = 0; i < share.accounts * share.groups; ++i) {
    Rng rng = world->rng.Fork("logprob", static_cast<uint64_t>(i));
    Account* account = world->NewAccount("logprob", World::Site::kServer, rng);
    AddPersonCaller(world, account, std::make_shared<OddsScript>(*world, rng.Fork("script")), 5, 300, rng.Fork("caller"));
  }
}

}  // namespace stillwatch::stillgen
