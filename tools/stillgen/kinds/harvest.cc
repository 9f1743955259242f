#include "tools/stillgen/kinds/harvest.h"

#include "tools/stillgen/person.h"

namespace stillwatch::stillgen {
namespace {

class HarvestActor : public Actor {
 public:
  HarvestActor(Account* account, std::shared_ptr<Dealer> dealer, std::vector<int64_t> times)
      : Actor(account), dealer_(std::move(dealer)), times_(std::move(times)) {
    if (!times_.empty()) next_ns_ = times_[0];
  }
  int64_t NextAt() const override { return next_ns_; }
  const Prompt& Ask(int64_t) override {
    prompt_ = {};
    prompt_.parameters.stream = account()->stream;
    dealer_->Deal(&prompt_);
    return prompt_;
  }
  void Hear(const Answer&, int64_t now_ns) override {
    ++sent_;
    next_ns_ = sent_ < times_.size() ? std::max(times_[sent_], now_ns + kNsPerSecond) : kNever;
  }
  bool harvest() const override { return true; }

 private:
  std::shared_ptr<Dealer> dealer_;
  std::vector<int64_t> times_;
  size_t sent_ = 0;
  int64_t next_ns_ = kNever;
  Prompt prompt_;
};

}  // namespace

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

CampaignStack::CampaignStack(Rng rng) {
  for (int i = 0; i < 2; ++i) {
    const auto table = ClientStacks();
    do {
      stacks[i] = &table[rng.Below(table.size())];
      apis[i] = static_cast<Api>(rng.Below(4));
    } while ((stacks[i]->apis >> static_cast<int>(apis[i]) & 1u) == 0);
  }
}

void CampaignStack::Dress(Account* account, Rng& rng) const {
  const int which = rng.Chance(0.75) ? 0 : 1;
  SetStack(account, *stacks[which], apis[which], rng);
}

void AddHarvesters(World* world, Campaign* campaign, std::shared_ptr<Dealer> dealer, const HarvestPace& pace,
                   int accounts, Rng rng) {
  const CampaignStack stack(rng.Fork("stack"));
  for (int i = 0; i < accounts; ++i) {
    Rng own = rng.Fork("account", static_cast<uint64_t>(i));
    Account* account = world->NewAccount(campaign->type, World::Site::kPerson, own);
    stack.Dress(account, own);
    world->Join(campaign, account);
    const int64_t count = std::max<int64_t>(1, std::llround(own.LogUniform(pace.low, pace.high) * world->options.scale));
    auto times = StartTimes(own, count, 0, world->options.duration_ns, false);
    world->actors.push_back(std::make_unique<HarvestActor>(account, dealer, std::move(times)));
    // A cover session is about 2.5 requests long.
    const double cover = world->options.cover >= 0 ? world->options.cover : pace.cover;
    const int64_t sessions = own.Poisson(cover * static_cast<double>(count) / 2.5);
    if (sessions > 0) {
      auto starts = StartTimes(own, sessions, 0, world->options.duration_ns, true);
      world->actors.push_back(MakePersonActor(*world, account, own.Fork("cover"), std::move(starts)));
    }
  }
}

}  // namespace stillwatch::stillgen
