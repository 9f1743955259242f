// Benign: one public benchmark in the hands of many owners: the same items, form and examples, greedy, over
// several models.
#include "tools/stillgen/kinds/script.h"
#include "tools/stillgen/phrase.h"

namespace stillwatch::stillgen {
namespace {

struct Suite {
  std::string form, shots;
  std::vector<std::string> items;
};

class SuiteScript : public Script {
 public:
  SuiteScript(std::shared_ptr<const Suite> suite, Rng rng) : suite_(std::move(suite)), rng_(rng), next_(rng_.Chance(0.7) ? 0 : rng_.Below(suite_->items.size())),
        max_tokens_(64 << rng_.Below(4)) {
    static constexpr std::string_view kModels[] = {"meridian-4", "meridian-4-mini", "meridian-3.5"};
    models_.assign(kModels, kModels + rng_.Range(1, 3));
  }
  void Begin(Prompt* prompt) override {
    prompt->model = models_[next_ % models_.size()];
    prompt->parameters.temperature_milli = 0;
    prompt->parameters.max_tokens = max_tokens_;
    prompt->messages.resize(1);
    prompt->messages[0].text = suite_->shots + Fill(suite_->form, {{"question", suite_->items[next_ / models_.size() % suite_->items.size()]}});
    ++next_;
  }

 private:
  std::shared_ptr<const Suite> suite_;
  Rng rng_;
  size_t next_;
  int max_tokens_;
  std::vector<std::string_view> models_;
};

}  // namespace

void BuildBenchSuites(World* world, const Share& share) {
  for (int g = 0; g < share.groups; ++g) {
    Rng rng = world->rng.Fork("bench", static_cast<uint64_t>(g));
    auto suite = std::make_shared<Suite>();
    suite->form = world->grammar.Say("harness.form", rng);
    const Subject subject = rng.Chance(0.7) ? Subject::kMaths : Subject::kCode;
    for (int64_t i = rng.Range(0, 4); i > 0; --i) {
      suite->shots += Fill(suite->form, {{"question", world->corpus.Any(subject, rng)}}) + " " + std::string(world->prose.Sentence(rng)) + "\n\n";
    }
    for (int64_t i = rng.Range(60, 300); i > 0; --i) suite->items.push_back(world->corpus.Any(subject, rng));
    for (int i = 0; i < share.accounts; ++i) {
      Rng own = rng.Fork("owner", static_cast<uint64_t>(i));
      Account* account = world->NewAccount("bench", World::Site::kServer, own);
      // In one go, at a time of its own.
      const int64_t count = static_cast<int64_t>(own.LogUniform(40, 400) * world->options.scale) + 1;
      const int64_t start = static_cast<int64_t>(0.8 * own.Unit() * static_cast<double>(world->options.duration_ns));
      const int64_t span = static_cast<int64_t>(own.LogUniform(0.02, 0.2) * static_cast<double>(world->options.duration_ns));
      auto times = StartTimes(own, count, start, std::min(start + span, world->options.duration_ns), false);
      world->actors.push_back(MakeScriptActor(account, std::make_shared<SuiteScript>(suite, own.Fork("script")), std::move(times), own.Fork("caller")));
    }
  }
}

}  // namespace stillwatch::stillgen
