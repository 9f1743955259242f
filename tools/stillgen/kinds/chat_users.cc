// Benign: people who chat. Diurnal, several turns, own interests and habits.
#include "tools/stillgen/kinds/kind.h"
#include "tools/stillgen/person.h"

namespace stillwatch::stillgen {

void BuildChatUsers(World* world, const Share& share) {
  for (int i = 0; i < share.accounts * share.groups; ++i) {
    Rng rng = world->rng.Fork("chat", static_cast<uint64_t>(i));
    Account* account = world->NewAccount("chat", World::Site::kPerson, rng);
    const double per_day = rng.LogUniform(0.3, 8) * world->options.scale;
    const int64_t sessions = std::max<int64_t>(1, rng.Poisson(per_day * world->hours() / 24));
    auto times = StartTimes(rng, sessions, 0, world->options.duration_ns, true);
    world->actors.push_back(MakePersonActor(*world, account, rng.Fork("actor"), std::move(times)));
  }
}

}  // namespace stillwatch::stillgen
