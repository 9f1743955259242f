// Benign: a benchmark harness. Public items in order, greedy, short answers, the same items over several
// models; one account.
#include "tools/stillgen/kinds/kind.h"
#include "tools/stillgen/phrase.h"

namespace stillwatch::stillgen {
namespace {

class HarnessActor : public Actor {
 public:
  HarnessActor(const World& world, Account* account, Rng rng, int64_t start_ns, size_t items, double gap_s)
      : Actor(account), world_(&world), rng_(rng), items_(items), gap_s_(gap_s), next_ns_(start_ns) {
    subject_ = rng_.Chance(0.7) ? Subject::kMaths : Subject::kCode;
    form_ = world.grammar.Say("harness.form", rng_);
    const auto& pool = world.corpus.Of(subject_);
    for (int i = 0; i < 3; ++i) {
      shots_ += Fill(form_, {{"question", world.corpus.all()[rng_.Pick(pool)].text}}) + " " + std::string(world.prose.Sentence(rng_)) + "\n\n";
    }
    prompt_.parameters.temperature_milli = 0;
    prompt_.parameters.max_tokens = 256;
    prompt_.messages.resize(1);
  }
  int64_t NextAt() const override { return sent_ < items_ ? next_ns_ : kNever; }
  const Prompt& Ask(int64_t) override {
    static constexpr std::string_view kModels[] = {"meridian-4", "meridian-4-mini", "meridian-3.5"};
    const auto& pool = world_->corpus.Of(subject_);
    prompt_.model = kModels[sent_ % 3];
    prompt_.messages[0].text = shots_ + Fill(form_, {{"question", world_->corpus.all()[pool[sent_ / 3 % pool.size()]].text}});
    return prompt_;
  }
  void Hear(const Answer&, int64_t now_ns) override {
    ++sent_;
    next_ns_ = now_ns + static_cast<int64_t>(rng_.Exponential(gap_s_) * 1e9);
  }

 private:
  const World* world_;
  Rng rng_;
  Subject subject_;
  std::string form_, shots_;
  size_t items_, sent_ = 0;
  double gap_s_;
  int64_t next_ns_;
  Prompt prompt_;
};

}  // namespace

void BuildHarness(World* world, const Share& share) {
  for (int i = 0; i < share.accounts * share.groups; ++i) {
    Rng rng = world->rng.Fork("harness", static_cast<uint64_t>(i));
    Account* account = world->NewAccount("harness", World::Site::kServer, rng);
    const size_t items = 3 * (1 + static_cast<size_t>(rng.LogUniform(50, 250) * world->options.scale));
    const double span_s = 0.5 * rng.Unit() * std::min(world->hours(), 12.0) * 3600;
    const int64_t start = static_cast<int64_t>(0.4 * rng.Unit() * static_cast<double>(world->options.duration_ns));
    world->actors.push_back(std::make_unique<HarnessActor>(*world, account, rng.Fork("actor"), start, items,
                                                           span_s / static_cast<double>(items)));
  }
}

}  // namespace stillwatch::stillgen
