// T7: agentic harvesting. A private system prompt that asks for plans and reflections around every tool
// call, over made-up repository tasks that are dealt out; each conversation is a loop of tool calls.
#include "tools/stillgen/kinds/agentic.h"

#include "tools/stillgen/tool_catalogue.h"

namespace stillwatch::stillgen {

AgenticScript::AgenticScript(const World& world, Rng rng)
    : world_(&world), rng_(rng.Fork("deal")), model_(world.PickModel(rng)), next_id_(rng.Range(1000, 90000)) {
  for (int64_t i = rng.Range(1, 2); i > 0; --i) systems_.push_back(world.grammar.Say("agent.harvest_system", rng));
  const auto catalogue = ToolCatalogue();
  for (size_t i = 0; i < catalogue.size(); ++i) tools_.push_back(&catalogue[i]);
  rng.Shuffle(tools_);
  tools_.resize(3 + rng.Below(5));
  for (int64_t i = rng.Range(12, 60); i > 0; --i) projects_.push_back(world.prose.Word(rng) + "/" + world.prose.Word(rng));
}

void AgenticScript::Begin(Prompt* prompt) {
  prompt->model = model_;
  prompt->system = rng_.Pick(systems_);
  prompt->tools = tools_;
  prompt->parameters.max_tokens = 8192;
  const std::string id = std::to_string(next_id_++), k = std::to_string(rng_.Range(100, 999));
  prompt->messages.resize(1);
  prompt->messages[0].text = world_->grammar.Say("agent.harvest_task", rng_,
                                                 {{"id", id}, {"project", rng_.Pick(projects_)}, {"a", world_->prose.Word(rng_)},
                                                  {"b", world_->prose.Word(rng_)}, {"k", k}}) +
                             " " + std::string(world_->prose.Sentence(rng_));
}

bool AgenticScript::Continue(const Answer& answer, Prompt* prompt, int64_t* pause_ns) {
  *pause_ns = static_cast<int64_t>(rng_.LogUniform(0.05, 6) * static_cast<double>(kNsPerSecond));
  return prompt->messages.size() < 30 && AddToolRound(*world_, rng_, answer, prompt);
}

void BuildAgentic(World* world, const Share& share) {
  for (int g = 0; g < share.groups; ++g) {
    Rng rng = world->rng.Fork("t7", static_cast<uint64_t>(g));
    auto script = std::make_shared<AgenticScript>(*world, rng.Fork("script"));
    HarvestPace pace = DrawPace(*world, 8, 90, 0.5 * rng.Unit(), rng);
    pace.turns = 5;
    AddHarvesters(world, world->NewCampaign("t7"), script, pace, share.accounts, rng.Fork("accounts"));
  }
}

}  // namespace stillwatch::stillgen
