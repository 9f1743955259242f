// Benign: continuous integration. One core an account all its life, from one of a few published actions that
// many owners use; diffs of the owner's own code; little output.
#include "tools/stillgen/kinds/script.h"

namespace stillwatch::stillgen {
namespace {

class CiScript : public Script {
 public:
  CiScript(const World& world, Rng rng, std::string action) : world_(&world), rng_(rng), action_(std::move(action)), build_(rng_.Range(10, 9000)) {
    for (int i = 0; i < 5; ++i) files_.push_back("src/" + world.prose.Word(rng_) + "_" + world.prose.Word(rng_) + ".cc");
    tuning_ = {world.PickModel(rng_), 0, -1, 400};
  }
  void Begin(Prompt* prompt) override {
    std::string diff;
    for (int64_t hunk = rng_.Range(1, 4); hunk > 0; --hunk) {
      diff += "--- a/" + rng_.Pick(files_) + "\n@@ -" + std::to_string(rng_.Range(1, 900)) + " @@\n";
      for (int64_t line = rng_.Range(2, 12); line > 0; --line) {
        diff += (rng_.Chance(0.5) ? "+  " : "-  ") + world_->prose.Word(rng_) + "." + world_->prose.Word(rng_) + "(" + world_->prose.Word(rng_) + ");\n";
      }
    }
    tuning_.Apply(prompt);
    prompt->messages.resize(1);
    prompt->messages[0].text = Fill(action_, {{"id", std::to_string(build_)}, {"diff", diff}});
    build_ += rng_.Range(1, 3);
  }

 private:
  const World* world_;
  Rng rng_;
  std::string action_;
  int64_t build_;
  std::vector<std::string> files_;
  Tuning tuning_;
};

}  // namespace

void BuildCiBots(World* world, const Share& share) {
  Rng rng = world->rng.Fork("actions");
  std::vector<std::string> actions;
  for (int i = 0; i < 3; ++i) actions.push_back(world->grammar.Say("ci.task", rng));
  for (int i = 0; i < share.accounts * share.groups; ++i) {
    Rng own = world->rng.Fork("ci", static_cast<uint64_t>(i));
    Account* account = world->NewAccount("ci", World::Site::kServer, own);
    auto script = std::make_shared<CiScript>(*world, own.Fork("script"), actions[own.Below(actions.size())]);
    AddPersonCaller(world, account, script, 2, 60, own.Fork("caller"));
  }
}

}  // namespace stillwatch::stillgen
