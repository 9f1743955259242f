// T6: about one harvesting exchange an account a day, under cover of ordinary chat on the same accounts.
// The work is that of T1 or T4.
#include "tools/stillgen/kinds/elicitation.h"
#include "tools/stillgen/kinds/template_sweep.h"

namespace stillwatch::stillgen {

void BuildLowAndSlow(World* world, const Share& share) {
  for (int g = 0; g < share.groups; ++g) {
    Rng rng = world->rng.Fork("t6", static_cast<uint64_t>(g));
    std::shared_ptr<Dealer> dealer;
    if (rng.Chance(0.6)) {
      dealer = std::make_shared<TemplateDealer>(*world, rng.Fork("dealer"));
    } else {
      dealer = std::make_shared<ElicitationDealer>(*world, rng.Fork("dealer"));
    }
    const double days = world->hours() / 24;
    const HarvestPace pace{0.6 * days, 1.6 * days, 1.0 + 2.0 * rng.Unit()};
    AddHarvesters(world, world->NewCampaign("t6"), dealer, pace, share.accounts, rng.Fork("accounts"));
  }
}

}  // namespace stillwatch::stillgen
