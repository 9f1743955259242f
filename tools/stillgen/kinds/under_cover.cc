// T9: about twenty ordinary requests for each harvesting one, on the same accounts. The work is that of T1,
// T2 or T4.
#include "tools/stillgen/kinds/elicitation.h"
#include "tools/stillgen/kinds/paraphrase.h"
#include "tools/stillgen/kinds/template_sweep.h"

namespace stillwatch::stillgen {

std::shared_ptr<Script> AnyHarvestScript(const World& world, Rng rng) {
  switch (rng.Below(3)) {
    case 0: return std::make_shared<TemplateScript>(world, rng.Fork("script"));
    case 1: return std::make_shared<ParaphraseScript>(world, rng.Fork("script"));
    default: return std::make_shared<ElicitationScript>(world, rng.Fork("script"));
  }
}

void BuildUnderCover(World* world, const Share& share) {
  for (int g = 0; g < share.groups; ++g) {
    Rng rng = world->rng.Fork("t9", static_cast<uint64_t>(g));
    const HarvestPace pace = DrawPace(*world, 1, 8, 20, rng);
    AddHarvesters(world, world->NewCampaign("t9"), AnyHarvestScript(*world, rng.Fork("work")), pace, share.accounts,
                  rng.Fork("accounts"));
  }
}

}  // namespace stillwatch::stillgen
