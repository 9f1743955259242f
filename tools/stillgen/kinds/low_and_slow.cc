// T6: about one harvesting exchange an account a day, under cover of ordinary chat on the same accounts.
// The work is that of T1,
// T2 or T4.
#include "tools/stillgen/kinds/harvest.h"

namespace stillwatch::stillgen {

void BuildLowAndSlow(World* world, const Share& share) {
  for (int g = 0; g < share.groups; ++g) {
    Rng rng = world->rng.Fork("t6", static_cast<uint64_t>(g));
    auto script = AnyHarvestScript(*world, rng.Fork("work"));
    const HarvestPace pace = DrawPace(*world, 0.3, 2.5, 1.0 + 2.0 * rng.Unit(), rng);
    AddHarvesters(world, world->NewCampaign("t6"), script, pace, share.accounts, rng.Fork("accounts"));
  }
}

}  // namespace stillwatch::stillgen
