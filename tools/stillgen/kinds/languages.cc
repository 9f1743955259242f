// T8: one campaign in several languages. The same items and the same requests, translated: what stays is
// numerals, keys of the output, and the order of things. And its benign neighbour: people who write in
// other languages than English.
#include "tools/stillgen/kinds/harvest.h"
#include "tools/stillgen/person.h"

namespace stillwatch::stillgen {
namespace {

class LanguageScript : public Script {
 public:
  LanguageScript(const World& world, Rng rng) : world_(&world), rng_(rng.Fork("deal")), model_(world.PickModel(rng)),
        english_share_(0.5 * rng.Unit()), deck_(world, rng.Fork("deck")) {
    languages_ = Corpus::Languages();
    rng.Shuffle(languages_);
    languages_.resize(static_cast<size_t>(rng.Range(3, static_cast<int64_t>(languages_.size()))));
    ask_ = rng.Below(world.grammar.Of("lang.german.ask").size());
  }

  void Begin(Prompt* prompt) override {
    // One item after another, each in every language.
    const std::string& language = languages_[next_ % languages_.size()];
    const size_t item = next_++ / languages_.size();
    const auto& items = world_->corpus.In(language);
    const std::string& text = rng_.Chance(english_share_) ? deck_.Next() : world_->corpus.all()[static_cast<size_t>(items[item % items.size()])].text;
    prompt->model = model_;
    prompt->parameters.max_tokens = 2048;
    prompt->messages.resize(1);
    prompt->messages[0].text = Fill(Expand(world_->grammar.Of("lang." + language + ".ask")[ask_], rng_), {{"question", text}});
  }

 private:
  const World* world_;
  Rng rng_;
  std::string model_;
  double english_share_;
  QuestionDeck deck_;
  std::vector<std::string> languages_;
  size_t ask_, next_ = 0;
};

}  // namespace

void BuildLanguages(World* world, const Share& share) {
  for (int g = 0; g < share.groups; ++g) {
    Rng rng = world->rng.Fork("t8", static_cast<uint64_t>(g));
    auto script = std::make_shared<LanguageScript>(*world, rng.Fork("script"));
    const HarvestPace pace = DrawPace(*world, 6, 60, rng.Unit(), rng);
    AddHarvesters(world, world->NewCampaign("t8"), script, pace, share.accounts, rng.Fork("accounts"));
  }
}

void BuildPolyglots(World* world, const Share& share) {
  for (int i = 0; i < share.accounts * share.groups; ++i) {
    Rng rng = world->rng.Fork("polyglot", static_cast<uint64_t>(i));
    Account* account = world->NewAccount("polyglot", World::Site::kPerson, rng);
    const double per_day = rng.LogUniform(0.3, 8) * world->options.scale;
    const int64_t sessions = std::max<int64_t>(1, rng.Poisson(per_day * world->hours() / 24));
    auto times = StartTimes(rng, sessions, 0, world->options.duration_ns, true);
    const std::string& language = Corpus::Languages()[rng.Below(Corpus::Languages().size())];
    world->actors.push_back(MakePersonActor(*world, account, rng.Fork("actor"), std::move(times), language));
  }
}

}  // namespace stillwatch::stillgen
