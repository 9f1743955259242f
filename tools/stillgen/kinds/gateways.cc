// Benign: traffic of many people through few keys. A reseller (one key, an end-user id for each customer),
// and a customer who balances own keys: conversations move between keys of one owner, and a refused question
// goes out on the next key.
#include "tools/stillgen/kinds/relay.h"

namespace stillwatch::stillgen {
namespace {

void AddUsers(World* world, const std::shared_ptr<RelayPool>& pool, int64_t users, Rng rng) {
  for (int64_t i = 0; i < users; ++i) {
    Rng own = rng.Fork("user", static_cast<uint64_t>(i));
    const int64_t conversations = std::max<int64_t>(1, own.Poisson(own.LogUniform(0.2, 6) * world->options.scale * world->hours() / 24));
    auto times = StartTimes(own, conversations, 0, world->options.duration_ns, true);
    world->actors.push_back(MakeRelayLane(pool, MakePersonScript(*world, own.Fork("person")), std::move(times), own.Fork("caller"), {}, false,
                                          own.Chance(0.1), "eu-" + std::to_string(own.Below(1'000'000'000))));
  }
}

}  // namespace

void BuildResellers(World* world, const Share& share) {
  for (int i = 0; i < share.accounts * share.groups; ++i) {
    Rng rng = world->rng.Fork("reseller", static_cast<uint64_t>(i));
    Account* account = world->NewAccount("reseller", World::Site::kServer, rng);
    auto pool = std::make_shared<RelayPool>(std::vector<Account*>{account}, 1.0, rng.Fork("pool"));
    AddUsers(world, pool, static_cast<int64_t>(rng.LogUniform(20, 300)), rng.Fork("users"));
  }
}

void BuildKeyBalancers(World* world, const Share& share) {
  for (int g = 0; g < share.groups; ++g) {
    Rng rng = world->rng.Fork("balance", static_cast<uint64_t>(g));
    std::vector<Account*> keys;
    for (int i = 0; i < share.accounts; ++i) {
      Rng own = rng.Fork("key", static_cast<uint64_t>(i));
      keys.push_back(world->NewAccount("balance", World::Site::kServer, own));
      SetStack(keys.back(), *keys[0]->client.stack, keys[0]->client.api, own);
      World::SameOwner(*keys[0], keys.back());
      keys.back()->addresses = keys[0]->addresses;
    }
    if (keys.empty()) continue;
    auto pool = std::make_shared<RelayPool>(keys, 0.5 * rng.Unit(), rng.Fork("pool"));
    AddUsers(world, pool, static_cast<int64_t>(rng.LogUniform(3, 12) * share.accounts), rng.Fork("users"));
  }
}

}  // namespace stillwatch::stillgen
