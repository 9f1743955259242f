#include "tools/stillgen/kinds/harvest.h"

#include "tools/stillgen/person.h"

namespace stillwatch::stillgen {

QuestionDeck::QuestionDeck(const World& world, Rng rng) : world_(&world) {
  static constexpr Subject kWanted[] = {Subject::kMaths, Subject::kCode, Subject::kTask, Subject::kMaths,
                                        Subject::kRolePlay, Subject::kSupport};
  for (int i = 0; i < 3; ++i) {
    const auto& more = world.corpus.Of(kWanted[rng.Below(std::size(kWanted))]);
    order_.insert(order_.end(), more.begin(), more.end());
  }
  rng.Shuffle(order_);
}

const std::string& QuestionDeck::Next() { return world_->corpus.all()[order_[next_++ % order_.size()]].text; }

CampaignOutside::CampaignOutside(const World& world, Rng rng, std::optional<Api> api) : world_(&world), api_(api) {
  for (int i = 0; i < 2; ++i) {
    const auto table = ClientStacks();
    do {
      stacks_[i] = &table[rng.Below(table.size())];
      apis_[i] = api.value_or(static_cast<Api>(rng.Below(4)));
    } while ((stacks_[i]->apis >> static_cast<int>(apis_[i]) & 1u) == 0);
  }
  const unsigned hide = world.options.disguise;
  own_stacks_ = rng.Chance(0.3) || (hide & kHideStack) != 0;
  aged_ = rng.Chance(0.3) || (hide & kHideAge) != 0;
  oldest_days_ = rng.LogUniform(6, 120);
  static constexpr Sharing kSharings[] = {Sharing::kAsDealt, Sharing::kOne, Sharing::kOne, Sharing::kFew, Sharing::kAccount, Sharing::kRequest};
  sharing_ = kSharings[rng.Below(std::size(kSharings))];
  if ((hide & kHideParameters) != 0) sharing_ = Sharing::kAccount;
  const int64_t tunings = sharing_ == Sharing::kOne ? 1 : sharing_ == Sharing::kFew ? rng.Range(2, 4) : 24;
  for (int64_t i = 0; i < tunings; ++i) tunings_.push_back(OwnTuning(world, rng));
  if (sharing_ == Sharing::kRequest || sharing_ == Sharing::kFew) {
    for (Tuning& tuning : tunings_) tuning.model = tunings_[0].model;  // one teacher
  }
  static constexpr Hours kHours[] = {Hours::kEven, Hours::kEven, Hours::kShift, Hours::kPeople};
  hours_ = (hide & kHideTiming) != 0 ? Hours::kPeople : kHours[rng.Below(std::size(kHours))];
  shift_start_ns_ = static_cast<int64_t>(rng.Unit() * static_cast<double>(kNsPerDay));
  shift_length_ns_ = rng.Range(5, 14) * kNsPerHour;
  if (rng.Chance(0.4) && (hide & kHideAddress) == 0) {
    const int64_t count = static_cast<int64_t>(rng.LogUniform(4, 300));
    for (int64_t i = 0; i < count; ++i) exits_.push_back(NewAddress(rng));
  }
}

void CampaignOutside::Dress(Account* account, Rng& rng) const {
  const int which = rng.Chance(0.75) ? 0 : 1;
  if (!own_stacks_) {
    SetStack(account, *stacks_[which], apis_[which], rng);
  } else if (api_.has_value() && account->client.api != *api_) {  // of its own choice, among those that fit
    const auto table = ClientStacks();
    const ClientStack* stack;
    do {
      stack = &table[rng.Below(table.size())];
    } while ((stack->apis >> static_cast<int>(*api_) & 1u) == 0);
    SetStack(account, *stack, *api_, rng);
  }
  if (!aged_) account->age_days = static_cast<int>(rng.LogUniform(1, oldest_days_));
  if (exits_.empty()) return;
  account->addresses.clear();
  for (int i = 0; i < 4; ++i) account->addresses.push_back(exits_[rng.Below(exits_.size())]);
}

std::vector<Tuning> CampaignOutside::TuningsFor(Rng& rng) const {
  switch (sharing_) {
    case Sharing::kAsDealt: return {};
    case Sharing::kOne: case Sharing::kRequest: return tunings_;
    case Sharing::kFew: return {tunings_[rng.Below(tunings_.size())]};
    case Sharing::kAccount: return {OwnTuning(*world_, rng)};
  }
  return {};
}

std::vector<int64_t> CampaignOutside::Times(int64_t count, Rng& rng) const {
  if (hours_ == Hours::kPeople) return StartTimes(rng, count, 0, world_->options.duration_ns, true);
  auto times = StartTimes(rng, count, 0, world_->options.duration_ns, false);
  if (hours_ == Hours::kEven || world_->options.duration_ns < kNsPerDay) return times;
  for (int64_t& at : times) {  // squeezed into the day's shift
    const int64_t day = at / kNsPerDay * kNsPerDay;
    at = day + shift_start_ns_ + static_cast<int64_t>(rng.Unit() * static_cast<double>(shift_length_ns_));
    at = std::min(at, world_->options.duration_ns - 1);
  }
  std::sort(times.begin(), times.end());
  return times;
}

double DrawRequests(const World& world, const HarvestPace& pace, Rng& rng) {
  return std::max(1.0, rng.LogUniform(pace.low, pace.high) * std::max(1.0, world.hours() / 24) * world.options.scale);
}

HarvestPace DrawPace(const World& world, double low, double high, double cover, Rng& rng) {
  if (world.options.harvest_a_day > 0) {
    low = world.options.harvest_a_day / 1.6;
    high = world.options.harvest_a_day * 1.6;
    return {low, high, cover};
  }
  const double middle = rng.LogUniform(low * 1.3, high / 1.3), spread = rng.LogUniform(1.2, 3);
  return {std::max(low, middle / spread), std::min(high, middle * spread), cover};
}

void AddCover(World* world, Account* account, double requests, Rng rng) {
  const int64_t sessions = rng.Poisson(requests / 2.5);  // a session is about 2.5 requests long
  if (sessions == 0) return;
  auto starts = StartTimes(rng, sessions, 0, world->options.duration_ns, true);
  world->actors.push_back(MakePersonActor(*world, account, rng.Fork("person"), std::move(starts)));
}

void AddHarvesters(World* world, Campaign* campaign, std::shared_ptr<Script> script, const HarvestPace& pace,
                   int accounts, Rng rng) {
  const CampaignOutside outside(*world, rng.Fork("outside"), pace.api);
  for (int i = 0; i < accounts; ++i) {
    Rng own = rng.Fork("account", static_cast<uint64_t>(i));
    Account* account = world->NewAccount(campaign->type, World::Site::kPerson, own);
    outside.Dress(account, own);
    world->Join(campaign, account);
    const double requests = DrawRequests(*world, pace, own);
    const int64_t count = std::max<int64_t>(1, std::llround(requests / pace.turns));
    auto times = outside.Times(count, own);
    auto tunings = outside.TuningsFor(own);
    if (pace.as_dealt) tunings.clear();
    world->actors.push_back(MakeScriptActor(account, script, std::move(times), own.Fork("caller"), std::move(tunings), true));
    AddCover(world, account, (world->options.cover >= 0 ? world->options.cover : pace.cover) * requests, own.Fork("cover"));
  }
}

}  // namespace stillwatch::stillgen
