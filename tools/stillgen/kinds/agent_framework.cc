// Benign: one public agent framework in the hands of many unrelated accounts. All send its system prompt
// and tools; each works on its own task in a loop of tool calls whose prefix grows.
#include "tools/stillgen/kinds/kind.h"
#include "tools/stillgen/phrase.h"
#include "tools/stillgen/tool_catalogue.h"

namespace stillwatch::stillgen {
namespace {

struct Framework {
  std::string system;
  std::vector<const ToolSpec*> tools;
};

Framework MakeFramework(const World& world, Rng rng) {
  Framework framework;
  framework.system =
      world.grammar.Say("agent.system", rng);
  for (int i = 0; i < 24; ++i) framework.system += "- " + std::string(world.prose.Sentence(rng)) + "\n";
  framework.system += "\n# Notes on style\n" + world.prose.Text(rng, 2500);
  const auto catalogue = ToolCatalogue();
  for (size_t i = 0; i < 7; ++i) framework.tools.push_back(&catalogue[i]);
  return framework;
}

class AgentActor : public Actor {
 public:
  AgentActor(const World& world, Account* account, Rng rng, const Framework& framework, std::vector<int64_t> times)
      : Actor(account), world_(&world), rng_(rng), project_(world.prose.Word(rng_) + "-" + world.prose.Word(rng_)),
        times_(std::move(times)) {
    prompt_.system = framework.system + "\n\nWorkspace: /home/" + world.prose.Word(rng_) + "/" + project_ + "\n";
    prompt_.tools = framework.tools;
    prompt_.model = world.PickModel(rng_);
    prompt_.parameters.max_tokens = 8192;
    prompt_.parameters.stream = account->stream;
    if (rng_.Chance(0.5)) prompt_.parameters.temperature_milli = rng_.Chance(0.5) ? 0 : 1000;
    if (!times_.empty()) next_ns_ = times_[0];
  }
  int64_t NextAt() const override { return next_ns_; }

  const Prompt& Ask(int64_t) override {
    if (prompt_.messages.empty()) {
      Message message;
      message.text = Task();
      prompt_.messages.push_back(std::move(message));
    }
    return prompt_;
  }

  void Hear(const Answer& answer, int64_t now_ns) override {
    if (answer.status == 200 && !answer.calls.empty() && prompt_.messages.size() < 30) {
      Message said;
      said.role = Message::Role::kAssistant;
      said.text = answer.text;
      said.calls = answer.calls;
      prompt_.messages.push_back(std::move(said));
      for (const ToolCall& call : answer.calls) {
        Message result;
        result.role = Message::Role::kTool;
        result.call_id = call.id;
        result.call_name = call.name;
        result.text = world_->prose.Text(rng_, static_cast<size_t>(rng_.LogUniform(60, 3000)));
        prompt_.messages.push_back(std::move(result));
      }
      next_ns_ = now_ns + static_cast<int64_t>(rng_.LogUniform(0.05, 6) * 1e9);
      return;
    }
    prompt_.messages.clear();
    ++done_;
    next_ns_ = done_ < times_.size() ? std::max(times_[done_], now_ns + kNsPerSecond) : kNever;
  }

 private:
  std::string Task() {
    return world_->grammar.Say("agent.task", rng_, {{"a", world_->prose.Word(rng_)}, {"b", world_->prose.Word(rng_)},
                                                    {"project", project_}, {"detail", world_->prose.Sentence(rng_)}});
  }

  const World* world_;
  Rng rng_;
  std::string project_;
  std::vector<int64_t> times_;
  size_t done_ = 0;
  int64_t next_ns_ = kNever;
  Prompt prompt_;
};

}  // namespace

void BuildAgents(World* world, const Share& share) {
  const Framework framework = MakeFramework(*world, world->rng.Fork("framework"));
  for (int i = 0; i < share.accounts * share.groups; ++i) {
    Rng rng = world->rng.Fork("agent", static_cast<uint64_t>(i));
    Account* account = world->NewAccount("agent", World::Site::kPerson, rng);
    const double per_day = rng.LogUniform(0.3, 6) * world->options.scale;
    const int64_t tasks = std::max<int64_t>(1, rng.Poisson(per_day * world->hours() / 24));
    auto times = StartTimes(rng, tasks, 0, world->options.duration_ns, true);
    world->actors.push_back(std::make_unique<AgentActor>(*world, account, rng.Fork("actor"), framework, std::move(times)));
  }
}

}  // namespace stillwatch::stillgen
