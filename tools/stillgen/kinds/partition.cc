// T3: complementary partition. Hardly any wording of its own; a grid of topics, levels, genres and angles is
// dealt out so that no two accounts get the same cell.
#include <numeric>

#include "tools/stillgen/kinds/harvest.h"

namespace stillwatch::stillgen {
namespace {

class PartitionScript : public Script {
 public:
  PartitionScript(const World& world, Rng rng)
      : rng_(rng.Fork("deal")), model_(world.PickModel(rng)), form_(world.grammar.Word("part.form", rng)),
        count_(std::to_string(rng.Range(3, 20))), max_tokens_(2048 << rng.Below(2)) {
    const Grammar& grammar = world.grammar;
    axes_[0] = &grammar.Of("subject_field");
    axes_[1] = &grammar.Of("subject_level");
    axes_[2] = &grammar.Of("sweep.level");
    axes_[3] = &grammar.Of("part.genre");
    axes_[4] = &grammar.Of("part.angle");
    for (const auto* axis : axes_) cells_ *= axis->size();
    next_ = rng.Below(cells_);
    do {
      stride_ = cells_ / 3 + rng.Below(cells_ / 3);
    } while (std::gcd(stride_, cells_) != 1);
  }

  void Begin(Prompt* prompt) override {
    next_ = (next_ + stride_) % cells_;  // visits every cell once before any comes again
    size_t left = next_;
    std::string words[5];
    for (size_t i = 0; i < 5; ++i) {
      words[i] = (*axes_[i])[left % axes_[i]->size()];
      left /= axes_[i]->size();
    }
    const std::string topic = words[1] + " " + words[0];
    prompt->model = model_;
    prompt->parameters.max_tokens = max_tokens_;
    prompt->messages.resize(1);
    prompt->messages[0].text = Fill(Expand(form_, rng_), {{"topic", topic}, {"level", words[2]}, {"genre", words[3]},
                                                          {"angle", words[4]}, {"k", count_}});
  }

 private:
  Rng rng_;
  std::string model_, form_, count_;
  const std::vector<std::string>* axes_[5];
  size_t cells_ = 1, next_ = 0, stride_ = 1;
  int max_tokens_;
};

}  // namespace

void BuildPartition(World* world, const Share& share) {
  for (int g = 0; g < share.groups; ++g) {
    Rng rng = world->rng.Fork("t3", static_cast<uint64_t>(g));
    auto script = std::make_shared<PartitionScript>(*world, rng.Fork("script"));
    const HarvestPace pace = DrawPace(*world, 6, 60, rng.Unit(), rng);
    AddHarvesters(world, world->NewCampaign("t3"), script, pace, share.accounts, rng.Fork("accounts"));
  }
}

}  // namespace stillwatch::stillgen
