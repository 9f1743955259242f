// T11: conversations that migrate over a pool. The harvest is multi-turn: reasoning asked for turn by turn,
// or tool loops; each turn may leave from another account, so that ids and prefixes that one account was
// given come back from another, and a question refused here is asked there seconds later.
// T12: a relay whose ordinary callers carry most of the traffic and a tenth is one distiller's.
#include <algorithm>
#include <cmath>

#include "tools/stillgen/kinds/agentic.h"
#include "tools/stillgen/kinds/relay.h"

namespace stillwatch::stillgen {
namespace {

// Any harvest's first request, then further demands on the same answer.
class DrawnOutScript : public Script {
 public:
  DrawnOutScript(const World& world, std::shared_ptr<Script> first, Rng rng)
      : world_(&world), first_(std::move(first)), rng_(rng), more_(0.5 + 0.35 * rng_.Unit()) {}
  void Begin(Prompt* prompt) override { first_->Begin(prompt); }
  bool Continue(const Answer& answer, Prompt* prompt, int64_t* pause_ns) override {
    if (prompt->messages.size() > 14 || !rng_.Chance(more_)) return false;
    AddAnswer(answer, prompt);
    prompt->messages.emplace_back();
    prompt->messages.back().text = world_->grammar.Say("elicit.demand", rng_);
    *pause_ns = static_cast<int64_t>(rng_.LogUniform(0.5, 60) * static_cast<double>(kNsPerSecond));
    return true;
  }

 private:
  const World* world_;
  std::shared_ptr<Script> first_;
  Rng rng_;
  double more_;
};

// A relay speaks one dialect to the provider.
Api DrawApi(Rng& rng) {
  static constexpr Api kApis[] = {Api::kChat, Api::kResponses, Api::kResponses, Api::kMessages, Api::kMessages, Api::kGemini};
  return kApis[rng.Below(std::size(kApis))];
}

std::vector<Account*> AddPool(World* world, Campaign* campaign, const CampaignOutside& outside, int accounts, Rng rng) {
  std::vector<Account*> pool;
  for (int i = 0; i < accounts; ++i) {
    Rng own = rng.Fork("account", static_cast<uint64_t>(i));
    pool.push_back(world->NewAccount(campaign->type, World::Site::kPerson, own));
    outside.Dress(pool.back(), own);
    world->Join(campaign, pool.back());
  }
  return pool;
}

struct Slice {
  std::shared_ptr<Script> script;
  double requests;   // in all
  double turns;      // a conversation
};

// Enough lanes that no one asks much faster than once in ten minutes.
void AddHarvestLanes(World* world, const std::shared_ptr<RelayPool>& pool, const Slice& slice, const CampaignOutside& outside,
                     bool server_keeps, Rng rng) {
  const int64_t conversations = std::max<int64_t>(1, std::llround(slice.requests / slice.turns));
  const int64_t lanes = std::clamp<int64_t>(static_cast<int64_t>(slice.requests / std::max(1.0, world->hours() * 6)), 1, conversations);
  for (int64_t lane = 0; lane < lanes; ++lane) {
    Rng own = rng.Fork("lane", static_cast<uint64_t>(lane));
    auto times = outside.Times(conversations / lanes + (lane < conversations % lanes), own);
    auto tunings = outside.TuningsFor(own);
    world->actors.push_back(MakeRelayLane(pool, slice.script, std::move(times), own.Fork("caller"), std::move(tunings), true, server_keeps));
  }
}

void AddOrdinaryLanes(World* world, const std::shared_ptr<RelayPool>& pool, double requests, bool server_keeps, Rng rng) {
  for (uint64_t user = 0; requests > 0; ++user) {
    Rng own = rng.Fork("user", user);
    const double wanted = own.LogUniform(0.5, 12) * std::max(0.3, world->hours() / 24) * world->options.scale;
    const int64_t conversations = std::max<int64_t>(1, own.Poisson(wanted / 2.5));
    requests -= 2.5 * static_cast<double>(conversations);
    auto times = StartTimes(own, conversations, 0, world->options.duration_ns, true);
    world->actors.push_back(MakeRelayLane(pool, MakePersonScript(*world, own.Fork("person")), std::move(times), own.Fork("caller"), {},
                                          false, server_keeps && own.Chance(0.3)));
  }
}

}  // namespace

void BuildMigration(World* world, const Share& share) {
  for (int g = 0; g < share.groups; ++g) {
    Rng rng = world->rng.Fork("t11", static_cast<uint64_t>(g));
    const bool agentic = rng.Chance(0.4);
    const CampaignOutside outside(*world, rng.Fork("outside"), DrawApi(rng));
    Campaign* campaign = world->NewCampaign("t11");
    const auto accounts = AddPool(world, campaign, outside, share.accounts, rng.Fork("accounts"));
    auto pool = std::make_shared<RelayPool>(accounts, 0.8 * rng.Unit(), rng.Fork("pool"));
    std::shared_ptr<Script> script = std::make_shared<AgenticScript>(*world, rng.Fork("agentic"));
    if (!agentic) script = std::make_shared<DrawnOutScript>(*world, AnyHarvestScript(*world, rng.Fork("work")), rng.Fork("turns"));
    const HarvestPace pace = DrawPace(*world, 8, 60, 0.5 * rng.Unit(), rng);
    const double middle = std::sqrt(pace.low * pace.high);
    const double requests = DrawRequests(*world, {middle, middle, 0}, rng) * share.accounts;
    AddHarvestLanes(world, pool, {script, requests, agentic ? 5.0 : 2.8}, outside, true, rng.Fork("lanes"));
    const double cover = world->options.cover >= 0 ? world->options.cover : pace.cover;
    AddOrdinaryLanes(world, pool, cover * requests, false, rng.Fork("cover"));
  }
}

void BuildRelay(World* world, const Share& share) {
  for (int g = 0; g < share.groups; ++g) {
    Rng rng = world->rng.Fork("t12", static_cast<uint64_t>(g));
    const CampaignOutside outside(*world, rng.Fork("outside"), DrawApi(rng));
    Campaign* campaign = world->NewCampaign("t12");
    const auto accounts = AddPool(world, campaign, outside, share.accounts, rng.Fork("accounts"));
    auto pool = std::make_shared<RelayPool>(accounts, 0.5 + 0.5 * rng.Unit(), rng.Fork("pool"));
    const HarvestPace pace = DrawPace(*world, 15, 100, 9, rng);
    const double middle = std::sqrt(pace.low * pace.high);
    const double all = DrawRequests(*world, {middle, middle, 0}, rng) * share.accounts;
    const double cover = world->options.cover >= 0 ? world->options.cover : pace.cover;
    const double harvest = all / (1 + cover);
    AddHarvestLanes(world, pool, {AnyHarvestScript(*world, rng.Fork("work")), harvest, 1}, outside, false, rng.Fork("slice"));
    AddOrdinaryLanes(world, pool, all - harvest, true, rng.Fork("users"));
  }
}

}  // namespace stillwatch::stillgen
