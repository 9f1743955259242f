// T4: reasoning traces and rubric grading. No fixed template: a campaign owns some wordings of each clause
// (as a rewriting model would give it) and every request combines them anew, with words exchanged inside.
#include "tools/stillgen/kinds/elicitation.h"

#include "tools/stillgen/phrase.h"

namespace stillwatch::stillgen {
ElicitationScript::ElicitationScript(const World& world, Rng rng)
    : world_(&world), rng_(rng.Fork("deal")), deck_(world, rng.Fork("deck")),
      model_(rng.Chance(0.5) ? "meridian-reason-2" : "meridian-4"), openings_(world.grammar.Some("elicit.opening", 4, rng)),
      demands_(world.grammar.Some("elicit.demand", 5, rng)), contracts_(world.grammar.Some("elicit.contract", 2, rng)), criteria_(world.grammar.Some("elicit.criterion", 6, rng)),
      temperature_milli_(static_cast<int>(rng.Range(6, 10)) * 100), max_tokens_(4096), effort_(rng.Chance(0.5)) {}

std::string ElicitationScript::Trace() {
  std::string text = Expand(openings_[rng_.Below(openings_.size())], rng_) + "\n\n" + deck_.Next() + "\n\n";
  const size_t first = rng_.Below(demands_.size());
  text += Expand(demands_[first], rng_);
  if (rng_.Chance(0.6)) text += " " + Expand(demands_[(first + 1 + rng_.Below(demands_.size() - 1)) % demands_.size()], rng_);
  return text + " " + Fill(Expand(rng_.Pick(contracts_), rng_), {{"k", std::to_string(rng_.Range(5, 12))}});
}

std::string ElicitationScript::Grading() {
  std::string text = world_->grammar.Say("elicit.grade", rng_);
  rng_.Shuffle(criteria_);
  const size_t count = 3 + rng_.Below(3);
  for (size_t i = 0; i < count; ++i) text += "\n- " + Expand(criteria_[i], rng_);
  text += "\n\nQuestion: " + deck_.Next() + "\n\nAnswer: " + world_->prose.Text(rng_, static_cast<size_t>(rng_.Range(150, 700)));
  text += "\n\n" + world_->grammar.Say("elicit.because", rng_);
  return text + " " + Fill(Expand(rng_.Pick(contracts_), rng_), {{"k", std::to_string(rng_.Range(5, 12))}});
}

void ElicitationScript::Begin(Prompt* prompt) {
  prompt->model = model_;
  prompt->parameters.max_tokens = max_tokens_;
  prompt->parameters.temperature_milli = rng_.Chance(0.7) ? temperature_milli_ : static_cast<int>(rng_.Range(2, 10)) * 100;
  if (effort_) prompt->parameters.reasoning_effort = "high";
  Message message;
  message.text = rng_.Chance(0.65) ? Trace() : Grading();
  prompt->messages.push_back(std::move(message));
}

void BuildElicitation(World* world, const Share& share) {
  for (int g = 0; g < share.groups; ++g) {
    Rng rng = world->rng.Fork("t4", static_cast<uint64_t>(g));
    auto script = std::make_shared<ElicitationScript>(*world, rng.Fork("script"));
    const HarvestPace pace = DrawPace(*world, 6, 60, rng.Unit(), rng);
    AddHarvesters(world, world->NewCampaign("t4"), script, pace, share.accounts, rng.Fork("accounts"));
  }
}

}  // namespace stillwatch::stillgen
