// Benign, and the hardest: an app or extension into which people put their own keys. One template, one
// stack, one set of parameters, thousands of owners, payloads that never meet. What differs from a campaign:
// one core, a person's payloads stay with that person's subjects, the accounts are as old as anyone's.
#include "tools/stillgen/kinds/script.h"
#include "tools/stillgen/person.h"
#include "tools/stillgen/phrase.h"

namespace stillwatch::stillgen {
namespace {

class AppScript : public Script {
 public:
  AppScript(const World& world, Rng rng, std::string form) : world_(&world), rng_(rng), form_(std::move(form)) {
    for (int64_t i = rng_.Range(2, 5); i > 0; --i) subjects_.push_back(world.prose.Subject(rng_));
    for (int64_t i = rng_.Range(2, 6); i > 0; --i) names_.push_back(world.prose.Name(rng_));
    for (int64_t i = rng_.Range(10, 40); i > 0; --i) sentences_.push_back(std::string(world.prose.Sentence(rng_)));
  }
  void Begin(Prompt* prompt) override {
    std::string mine = rng_.Pick(names_) + ", " + rng_.Pick(subjects_) + ". ";
    for (int64_t i = rng_.Range(1, 8); i > 0; --i) {
      mine += (rng_.Chance(0.6) ? rng_.Pick(sentences_) : std::string(world_->prose.Sentence(rng_))) + " ";
    }
    if (rng_.Chance(0.3)) mine += world_->corpus.Any(static_cast<Subject>(rng_.Below(kSubjects)), rng_);
    prompt->messages.resize(1);
    prompt->messages[0].text = Fill(form_, {{"mine", mine}});
  }

 private:
  const World* world_;
  Rng rng_;
  std::string form_;
  std::vector<std::string> subjects_, names_, sentences_;
};

}  // namespace

void BuildByokApps(World* world, const Share& share) {
  for (int g = 0; g < share.groups; ++g) {
    Rng rng = world->rng.Fork("byok", static_cast<uint64_t>(g));
    const std::string app = world->prose.Product(rng);
    const std::string form = Fill(world->grammar.Say("byok.template", rng), {{"app", app}, {"k", std::to_string(rng.Range(2, 9))}});
    const Tuning tuning = OwnTuning(*world, rng);
    const auto table = ClientStacks();
    const ClientStack* stack;
    Api api;
    do {
      stack = &table[rng.Below(table.size())];
      api = static_cast<Api>(rng.Below(4));
    } while ((stack->apis >> static_cast<int>(api) & 1u) == 0);
    for (int i = 0; i < share.accounts; ++i) {
      Rng own = rng.Fork("user", static_cast<uint64_t>(i));
      Account* account = world->NewAccount("byok", World::Site::kPerson, own);
      SetStack(account, *stack, api, own);
      account->age_days = static_cast<int>(own.LogUniform(20, 1200));
      AddPersonCaller(world, account, std::make_shared<AppScript>(*world, own.Fork("script"), form), 0.2, 15, own.Fork("caller"), {tuning});
      const int64_t sessions = own.Chance(0.4) ? own.Poisson(own.LogUniform(0.2, 3) * world->options.scale * world->hours() / 24) : 0;
      if (sessions > 0) {
        world->actors.push_back(MakePersonActor(*world, account, own.Fork("chat"), StartTimes(own, sessions, 0, world->options.duration_ns, true)));
      }
    }
  }
}

}  // namespace stillwatch::stillgen
