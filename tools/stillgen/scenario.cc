#include "tools/stillgen/scenario.h"

#include <charconv>
#include <cmath>

namespace stillwatch::stillgen {
namespace {

constexpr KindEntry kKinds[] = {
    {"chat", false, BuildChatUsers, "people who chat"},
    {"backend", false, BuildAppBackends, "app back ends with one large shared system prompt"},
    {"agent", false, BuildAgents, "users of one public agent framework, tool loops"},
    {"classroom", false, BuildClassrooms, "classes on the same assignment (GROUPSxSTUDENTS)"},
    {"harness", false, BuildHarness, "benchmark harness over public items"},
    {"batch", false, BuildBatchJobs, "one account, one template, many documents"},
    {"t1", true, BuildTemplateSweep, "campaign: template sweep with slots (CAMPAIGNSxACCOUNTS)"},
    {"t4", true, BuildElicitation, "campaign: reasoning and rubric elicitation, varied wording"},
    {"t6", true, BuildLowAndSlow, "campaign: about one exchange an account a day, under cover"},
};

constexpr std::string_view kBenign = "chat=300,backend=8,agent=120,classroom=2x35,harness=2,batch=4";

constexpr Scenario kScenarios[] = {
    {"benign", kBenign, 6, "the benign kinds alone"},
    {"t1", "chat=300,backend=8,agent=120,classroom=2x35,harness=2,batch=4,t1=1x60", 6, "benign and one T1"},
    {"t4", "chat=300,backend=8,agent=120,classroom=2x35,harness=2,batch=4,t4=1x60", 6, "benign and one T4"},
    {"t6", "chat=500,backend=5,agent=150,classroom=2x35,harness=2,batch=4,t6=1x240", 336, "benign and one T6, 14 days"},
    {"demo", "chat=420,backend=6,agent=160,classroom=2x35,harness=2,batch=4,t1=1x80,t4=1x80", 6,
     "benign, one T1 and one T4"},
    {"mixed", "chat=500,backend=8,agent=200,classroom=3x35,harness=2,batch=5,t1=2x60,t4=1x60,t6=1x120", 72,
     "benign and all campaigns"},
};

bool ReadInt(std::string_view text, int* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size() && *out >= 0;
}

}  // namespace

std::span<const KindEntry> Kinds() { return kKinds; }
std::span<const Scenario> Scenarios() { return kScenarios; }

Result<Mix> ParseMix(std::string_view text) {
  Mix mix;
  while (!text.empty()) {
    const size_t end = std::min(text.find(','), text.size());
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t equals = part.find('='), by = part.find('x', equals == std::string_view::npos ? 0 : equals);
    MixPart entry{nullptr, {}};
    for (const KindEntry& kind : kKinds) {
      if (equals != std::string_view::npos && part.substr(0, equals) == kind.name) entry.kind = &kind;
    }
    bool good = entry.kind != nullptr;
    if (good && by != std::string_view::npos) {
      good = ReadInt(part.substr(equals + 1, by - equals - 1), &entry.share.groups) &&
             ReadInt(part.substr(by + 1), &entry.share.accounts);
    } else if (good) {
      good = ReadInt(part.substr(equals + 1), &entry.share.accounts);
    }
    if (!good) {
      std::string known;
      for (const KindEntry& kind : kKinds) known += (known.empty() ? "" : ", ") + std::string(kind.name);
      return Error{"--mix: '" + std::string(part) + "' is not KIND=ACCOUNTS or KIND=GROUPSxACCOUNTS; kinds: " + known};
    }
    mix.push_back(entry);
  }
  if (mix.empty()) return Error{"--mix is empty; try chat=100,t1=1x40"};
  return mix;
}

Result<Scenario> FindScenario(std::string_view name) {
  std::string known;
  for (const Scenario& scenario : kScenarios) {
    if (scenario.name == name) return scenario;
    known += (known.empty() ? "" : ", ") + std::string(scenario.name);
  }
  return Error{"--scenario: no '" + std::string(name) + "'; there are " + known};
}

void VaryMix(Mix* mix, uint64_t seed, int accounts) {
  const Rng rng(seed);
  double scalable = 0, fixed = 0;  // small kinds, classes and campaigns keep their size
  const auto scales = [](const MixPart& part) {
    return !part.kind->campaign && part.share.groups == 1 && part.share.accounts >= 20;
  };
  for (MixPart& part : *mix) {
    const bool scaled = scales(part);
    if (!part.kind->campaign && part.share.accounts >= 20) {
      const double factor = rng.Fork(part.kind->name).LogUniform(0.6, 1.6);
      part.share.accounts = static_cast<int>(std::lround(part.share.accounts * factor));
    }
    (scaled ? scalable : fixed) += part.share.accounts * part.share.groups;
  }
  if (accounts <= 0 || scalable == 0) return;
  const double factor = std::max(0.0, accounts - fixed) / scalable;
  for (MixPart& part : *mix) {
    if (scales(part)) part.share.accounts = static_cast<int>(std::lround(part.share.accounts * factor));
  }
}

void BuildWorld(const Mix& mix, World* world) {
  for (const MixPart& part : mix) part.kind->build(world, part.share);
}

}  // namespace stillwatch::stillgen
