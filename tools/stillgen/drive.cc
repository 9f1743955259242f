#include "tools/stillgen/drive.h"

#include <queue>

#include "tools/stillgen/caller.h"

namespace stillwatch::stillgen {
namespace {

struct Due {
  int64_t at_ns;
  size_t which;
  bool operator>(const Due& o) const { return std::tie(at_ns, which) > std::tie(o.at_ns, o.which); }
};

size_t TextBytes(const Prompt& prompt) {
  size_t bytes = prompt.system.size() + 100;
  for (const Message& message : prompt.messages) bytes += message.text.size() + 40;
  for (const ToolSpec* tool : prompt.tools) bytes += tool->description.size() + tool->parameters.size() + 60;
  return bytes;
}

}  // namespace

DriveTotals Drive(World* world, const Responder::Options& options, const std::function<void(const Exchanged&)>& visit) {
  const Responder responder(world->rng.Fork("responder"), &world->prose, options);
  std::vector<Caller> callers;
  for (auto& actor : world->actors) callers.emplace_back(actor.get());
  std::priority_queue<Due, std::vector<Due>, std::greater<>> plan;
  const auto add = [&](size_t which) {
    const int64_t at_ns = callers[which].NextAt();
    if (at_ns < world->options.duration_ns) plan.push({at_ns, which});
  };
  for (size_t i = 0; i < callers.size(); ++i) add(i);
  DriveTotals totals;
  while (!plan.empty()) {
    const auto [now_ns, which] = plan.top();
    plan.pop();
    Caller& caller = callers[which];
    caller.Note(now_ns);
    const Account* account = caller.account();
    const RequestFacts facts = FactsOf(account->client.api, caller.prompt(), TextBytes(caller.prompt()));
    const Responder::Decision decision = responder.Decide(facts, ++totals.exchanges);
    totals.rate_limited += decision.answer.status == 429;
    totals.last_ns = std::max(totals.last_ns, now_ns + decision.whole_ns);
    visit({account, &caller.prompt(), &decision.answer, totals.exchanges, now_ns, now_ns + decision.first_ns,
           now_ns + decision.whole_ns, caller.harvest()});
    caller.Hear(decision.answer, now_ns + decision.whole_ns);
    add(which);
  }
  return totals;
}

}  // namespace stillwatch::stillgen
