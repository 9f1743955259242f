// T5: questions wrapped into jailbreaks that the campaign keeps to itself: a few frames and rules, worded
// once, now and then in another order.
#include "tools/stillgen/kinds/harvest.h"

namespace stillwatch::stillgen {
namespace {

class JailbrokenScript : public Script {
 public:
  JailbrokenScript(const World& world, Rng rng) : rng_(rng.Fork("deal")), deck_(world, rng.Fork("deck")), model_(world.PickModel(rng)) {
    const std::string name = world.prose.Product(rng), k = std::to_string(rng.Range(4, 900));
    const auto say = [&](std::string_view section) { return world.grammar.Say(section, rng, {{"name", name}, {"k", k}}); };
    for (int64_t i = rng.Range(2, 4); i > 0; --i) frames_.push_back(say("jail.frame"));
    for (int64_t i = rng.Range(1, 3); i > 0; --i) rules_.push_back(say("jail.rule"));
    in_system_ = rng.Chance(0.25);
  }

  void Begin(Prompt* prompt) override {
    std::string wrap = rng_.Pick(frames_) + "\n" + rng_.Pick(rules_);
    if (rng_.Chance(0.4)) wrap += " " + rng_.Pick(rules_);
    prompt->model = model_;
    prompt->messages.resize(1);
    if (in_system_) {
      prompt->system = std::move(wrap);
      prompt->messages[0].text = deck_.Next();
    } else {
      prompt->messages[0].text = wrap + "\n\n" + deck_.Next();
    }
  }

 private:
  Rng rng_;
  QuestionDeck deck_;
  std::string model_;
  std::vector<std::string> frames_, rules_;
  bool in_system_;
};

}  // namespace

void BuildJailbroken(World* world, const Share& share) {
  for (int g = 0; g < share.groups; ++g) {
    Rng rng = world->rng.Fork("t5", static_cast<uint64_t>(g));
    auto script = std::make_shared<JailbrokenScript>(*world, rng.Fork("script"));
    const HarvestPace pace = DrawPace(*world, 4, 50, rng.Unit(), rng);
    AddHarvesters(world, world->NewCampaign("t5"), script, pace, share.accounts, rng.Fork("accounts"));
  }
}

}  // namespace stillwatch::stillgen
