// Benign: one owner with several keys and one pile of work. A content mill writes articles to its briefs; an
// ETL or translation shop deals documents out over its keys.
#include "tools/stillgen/kinds/script.h"

namespace stillwatch::stillgen {
namespace {

class MillScript : public Script {
 public:
  MillScript(const World& world, Rng rng) : world_(&world), rng_(rng) {
    for (int64_t i = rng_.Range(2, 4); i > 0; --i) briefs_.push_back(world.grammar.Say("mill.brief", rng_));
    tuning_ = OwnTuning(world, rng_);
  }
  void Begin(Prompt* prompt) override {
    tuning_.Apply(prompt);
    prompt->messages.resize(1);
    prompt->messages[0].text = world_->prose.Dress(rng_.Pick(briefs_), rng_);
  }

 private:
  const World* world_;
  Rng rng_;
  std::vector<std::string> briefs_;
  Tuning tuning_;
};

class DocumentScript : public Script {
 public:
  DocumentScript(const World& world, Rng rng)
      : world_(&world), rng_(rng), form_(world.grammar.Say("batch.job", rng_)), bytes_(rng_.LogUniform(200, 2500)), number_(rng_.Range(1000, 90000)) {
    tuning_ = {world.PickModel(rng_), rng_.Chance(0.7) ? 0 : 200, -1, 128 << rng_.Below(4)};
  }
  void Begin(Prompt* prompt) override {
    tuning_.Apply(prompt);
    const std::string document = "#" + std::to_string(number_++) + " " + world_->prose.Name(rng_) + "\n" +
                                 world_->prose.Text(rng_, static_cast<size_t>(std::min(rng_.LogNormal(bytes_, 0.4), 8000.0)));
    prompt->messages.resize(1);
    prompt->messages[0].text = Fill(form_, {{"document", document}});
  }

 private:
  const World* world_;
  Rng rng_;
  std::string form_;
  double bytes_;
  int64_t number_;
  Tuning tuning_;
};

template <typename Work>
void AddShops(World* world, std::string_view kind, const Share& share) {
  for (int g = 0; g < share.groups; ++g) {
    Rng rng = world->rng.Fork(kind, static_cast<uint64_t>(g));
    auto script = std::make_shared<Work>(*world, rng.Fork("script"));
    const double low = rng.LogUniform(5, 60);
    Account* first = nullptr;
    for (int i = 0; i < share.accounts; ++i) {
      Rng own = rng.Fork("key", static_cast<uint64_t>(i));
      Account* account = world->NewAccount(kind, World::Site::kServer, own);
      if (first == nullptr) first = account;
      SetStack(account, *first->client.stack, first->client.api, own);
      World::SameOwner(*first, account);
      AddPersonCaller(world, account, script, low, low * 4, own.Fork("caller"));
    }
  }
}

}  // namespace

void BuildContentMills(World* world, const Share& share) { AddShops<MillScript>(world, "mill", share); }
void BuildDocumentShops(World* world, const Share& share) { AddShops<DocumentScript>(world, "etl", share); }

}  // namespace stillwatch::stillgen
