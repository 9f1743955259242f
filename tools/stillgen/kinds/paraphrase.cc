// T2: paraphrased families. A family is an order of intentions; a rewriting model says each anew in every
// request, so that hardly a run of words returns.
#include "tools/stillgen/kinds/paraphrase.h"

namespace stillwatch::stillgen {

ParaphraseScript::ParaphraseScript(const World& world, Rng rng)
    : world_(&world), rng_(rng.Fork("deal")), deck_(world, rng.Fork("deck")), model_(world.PickModel(rng)),
      noise_(0.3 * rng.Unit()), max_tokens_(1024 << rng.Below(3)) {
  const int64_t families = rng.Range(3, 8);
  for (int64_t i = 0; i < families; ++i) {
    std::vector<std::string_view> middle = {"para.why", "para.depth", "para.check", "para.close"};
    rng.Shuffle(middle);
    middle.resize(2 + rng.Below(3));
    Family family;
    if (rng.Chance(0.7)) family.push_back("para.lead");
    if (rng.Chance(0.6)) family.push_back("");
    family.insert(family.end(), middle.begin(), middle.end());
    if (std::find(family.begin(), family.end(), "") == family.end()) family.push_back("");
    families_.push_back(std::move(family));
  }
}

void ParaphraseScript::Begin(Prompt* prompt) {
  std::string text;
  for (std::string_view section : families_[rng_.Below(families_.size())]) {
    if (section.empty()) {
      text += (text.empty() ? "" : "\n\n") + deck_.Next() + "\n\n";
      continue;
    }
    std::string clause = world_->grammar.Say(section, rng_);
    if (rng_.Chance(0.6)) clause[0] = static_cast<char>(std::toupper(static_cast<uint8_t>(clause[0])));
    text += clause + (rng_.Chance(0.8) ? ". " : rng_.Chance(0.5) ? "! " : "\n");
    if (rng_.Chance(noise_)) text += std::string(world_->prose.Sentence(rng_)) + " ";
  }
  prompt->model = model_;
  prompt->parameters.max_tokens = max_tokens_;
  prompt->messages.resize(1);
  prompt->messages[0].text = std::move(text);
}

void BuildParaphrase(World* world, const Share& share) {
  for (int g = 0; g < share.groups; ++g) {
    Rng rng = world->rng.Fork("t2", static_cast<uint64_t>(g));
    auto script = std::make_shared<ParaphraseScript>(*world, rng.Fork("script"));
    const HarvestPace pace = DrawPace(*world, 6, 60, rng.Unit(), rng);
    AddHarvesters(world, world->NewCampaign("t2"), script, pace, share.accounts, rng.Fork("accounts"));
  }
}

}  // namespace stillwatch::stillgen
