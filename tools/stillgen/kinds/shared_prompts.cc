// Benign: prompts that pass from hand to hand. Buyers of a prompt pack, a prompt that goes round for some
// days, and staff of one firm with a prompt library. The payloads are each person's own, and come again.
#include "tools/stillgen/kinds/script.h"
#include "tools/stillgen/person.h"
#include "tools/stillgen/phrase.h"

namespace stillwatch::stillgen {
namespace {

// Some requests from the shared prompts, about the few things that this person works on; the others are
// the person's own.
class BorrowerScript : public Script {
 public:
  BorrowerScript(const World& world, Rng rng, std::vector<std::string> prompts, double share, bool long_payload)
      : world_(&world), rng_(rng.Fork("turns")), person_(world, rng.Fork("person")), prompts_(std::move(prompts)), share_(share), long_(long_payload) {
    for (int64_t i = rng_.Range(1, 3); i > 0; --i) mine_.push_back("the " + world.prose.Product(rng_) + " " + world.prose.Word(rng_));
  }
  void Begin(Prompt* prompt) override {
    prompt->messages.resize(1);
    if (!rng_.Chance(share_)) {
      prompt->messages[0].text = person_.FirstQuestion();
      return;
    }
    std::string mine = rng_.Pick(mine_);
    if (long_) mine += ". " + world_->prose.Text(rng_, static_cast<size_t>(rng_.LogUniform(150, 1200)));
    prompt->messages[0].text = Fill(rng_.Pick(prompts_), {{"mine", mine}});
  }
  bool Continue(const Answer& answer, Prompt* prompt, int64_t* pause_ns) override {
    if (prompt->messages.size() > 9 || !rng_.Chance(0.35)) return false;
    *pause_ns = AddFollowUp(answer, 50, &person_, rng_, prompt);
    return true;
  }

 private:
  const World* world_;
  Rng rng_;
  Person person_;
  std::vector<std::string> prompts_, mine_;
  double share_;
  bool long_;
};

std::vector<std::string> Prompts(const World& world, std::string_view section, int64_t count, Rng& rng) {
  std::vector<std::string> prompts;
  for (int64_t i = 0; i < count; ++i) {
    prompts.push_back(Fill(world.grammar.Say(section, rng), {{"k", std::to_string(rng.Range(1, 40))}}));
  }
  return prompts;
}

}  // namespace

void BuildPromptPacks(World* world, const Share& share) {
  for (int g = 0; g < share.groups; ++g) {
    Rng rng = world->rng.Fork("pack", static_cast<uint64_t>(g));
    const auto pack = Prompts(*world, "pack.prompt", rng.Range(3, 8), rng);
    for (int i = 0; i < share.accounts; ++i) {
      Rng own = rng.Fork("buyer", static_cast<uint64_t>(i));
      Account* account = world->NewAccount("pack", World::Site::kPerson, own);
      auto script = std::make_shared<BorrowerScript>(*world, own.Fork("script"), pack, 0.3 + 0.6 * own.Unit(), false);
      AddPersonCaller(world, account, script, 0.3, 8, own.Fork("caller"), {OwnTuning(*world, own)});
    }
  }
}

void BuildViral(World* world, const Share& share) {
  for (int g = 0; g < share.groups; ++g) {
    Rng rng = world->rng.Fork("viral", static_cast<uint64_t>(g));
    const auto prompt = Prompts(*world, "viral.prompt", 1, rng);
    const double peak = (0.1 + 0.6 * rng.Unit()) * static_cast<double>(world->options.duration_ns);
    const double width = rng.LogUniform(0.02, 0.15) * static_cast<double>(world->options.duration_ns);
    for (int i = 0; i < share.accounts; ++i) {
      Rng own = rng.Fork("reader", static_cast<uint64_t>(i));
      Account* account = world->NewAccount("viral", World::Site::kPerson, own);
      account->age_days = static_cast<int>(own.LogUniform(40, 1200));
      // Once or twice the prompt, near the peak: a steep rise and a slow fall.
      const double at = peak + (own.Chance(0.25) ? -own.Exponential(width / 3) : own.Exponential(width));
      std::vector<int64_t> times = {static_cast<int64_t>(std::clamp(at, 0.0, static_cast<double>(world->options.duration_ns - 1)))};
      if (own.Chance(0.3)) times.push_back(std::min(times[0] + own.Range(2, 40) * 60 * kNsPerSecond, world->options.duration_ns - 1));
      world->actors.push_back(MakeScriptActor(account, std::make_shared<BorrowerScript>(*world, own.Fork("script"), prompt, 1.0, false),
                                              std::move(times), own.Fork("caller"), {OwnTuning(*world, own)}));
      const int64_t sessions = own.Poisson(own.LogUniform(0.2, 4) * world->options.scale * world->hours() / 24);
      world->actors.push_back(MakePersonActor(*world, account, own.Fork("actor"), StartTimes(own, sessions, 0, world->options.duration_ns, true)));
    }
  }
}

void BuildPromptLibraries(World* world, const Share& share) {
  for (int g = 0; g < share.groups; ++g) {
    Rng rng = world->rng.Fork("library", static_cast<uint64_t>(g));
    const auto library = Prompts(*world, "library.prompt", rng.Range(4, 12), rng);
    const Tuning tuning = OwnTuning(*world, rng);
    Account* first = nullptr;
    for (int i = 0; i < share.accounts; ++i) {
      Rng own = rng.Fork("staff", static_cast<uint64_t>(i));
      Account* account = world->NewAccount("library", World::Site::kPerson, own);
      if (first == nullptr) first = account;
      World::SameOwner(*first, account);
      account->addresses = first->addresses;
      auto script = std::make_shared<BorrowerScript>(*world, own.Fork("script"), library, 0.4 + 0.5 * own.Unit(), true);
      AddPersonCaller(world, account, script, 0.5, 12, own.Fork("caller"), {tuning});
    }
  }
}

}  // namespace stillwatch::stillgen
