// T1: a few fixed templates with slots, swept over a question set and dealt out over the accounts.
#include "tools/stillgen/kinds/template_sweep.h"

#include "tools/stillgen/kinds/harvest.h"
#include "tools/stillgen/phrase.h"

namespace stillwatch::stillgen {
TemplateScript::TemplateScript(const World& world, Rng rng)
    : world_(&world), rng_(rng.Fork("deal")), deck_(world, rng.Fork("deck")), model_(world.PickModel(rng)) {
  const int64_t count = rng.Range(3, 6);
  for (int64_t i = 0; i < count; ++i) {
    std::string form = world.grammar.Say("sweep.role", rng) + " ";
    form += world.grammar.Say("sweep.task", rng) + " ";
    form += world.grammar.Say("sweep.form", rng);
    form = rng.Chance(0.6) ? form + "\n\n{question}" : "{question}\n\n" + form;
    forms_.push_back(std::move(form));
  }
  temperatures_[0] = static_cast<int>(rng.Range(5, 10)) * 100;
  temperatures_[1] = rng.Chance(0.5) ? temperatures_[0] : static_cast<int>(rng.Range(0, 10)) * 100;
  max_tokens_ = 1024 << rng.Below(3);
}

void TemplateScript::Begin(Prompt* prompt) {
  const std::string subject = world_->prose.Subject(rng_);
  const std::string level = world_->grammar.Word("sweep.level", rng_);
  prompt->model = model_;
  prompt->parameters.temperature_milli = temperatures_[rng_.Below(2)];
  prompt->parameters.max_tokens = max_tokens_;
  Message message;
  message.text = Fill(rng_.Pick(forms_), {{"subject", subject}, {"level", level}, {"question", deck_.Next()}});
  prompt->messages.push_back(std::move(message));
}

void BuildTemplateSweep(World* world, const Share& share) {
  for (int g = 0; g < share.groups; ++g) {
    Rng rng = world->rng.Fork("t1", static_cast<uint64_t>(g));
    auto script = std::make_shared<TemplateScript>(*world, rng.Fork("script"));
    const HarvestPace pace = DrawPace(*world, 6, 60, rng.Unit(), rng);
    AddHarvesters(world, world->NewCampaign("t1"), script, pace, share.accounts, rng.Fork("accounts"));
  }
}

}  // namespace stillwatch::stillgen
