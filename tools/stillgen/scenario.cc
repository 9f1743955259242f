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
    {"polyglot", false, BuildPolyglots, "people who write in other languages than English"},
    {"course", false, BuildCourses, "courses from home, no shared network (GROUPSxSTUDENTS)"},
    {"exam", false, BuildExamSeason, "exam season: strangers on the same past papers (GROUPSxSTUDENTS)"},
    {"ci", false, BuildCiBots, "CI bots on a few published actions"},
    {"mill", false, BuildContentMills, "content mills, one owner each (MILLSxKEYS)"},
    {"etl", false, BuildDocumentShops, "ETL and translation shops, one owner each (SHOPSxKEYS)"},
    {"bench", false, BuildBenchSuites, "public benchmarks over many owners (SUITESxOWNERS)"},
    {"pack", false, BuildPromptPacks, "buyers of prompt packs (PACKSxBUYERS)"},
    {"viral", false, BuildViral, "prompts that go round for days (PROMPTSxPEOPLE)"},
    {"library", false, BuildPromptLibraries, "staff with a prompt library, one owner each (FIRMSxSTAFF)"},
    {"byok", false, BuildByokApps, "apps with the user's own key (APPSxUSERS)"},
    {"reseller", false, BuildResellers, "resellers, one key and many end-user ids each"},
    {"balance", false, BuildKeyBalancers, "customers who balance own keys (CUSTOMERSxKEYS)"},
    {"study", false, BuildPersonaStudies, "persona studies (LABSxKEYS)"},
    {"hobby", false, BuildJailbreakHobbyists, "jailbreak hobbyists with famous jailbreaks"},
    {"distiller", false, BuildAuthorisedDistillers, "authorised distillers, on the allow-list (OWNERSxKEYS)"},
    {"logprob", false, BuildLogprobUsers, "classifiers that read the log probabilities of a few labels"},
    {"batch", false, BuildBatchJobs, "one account, one template, many documents"},
    {"t1", true, BuildTemplateSweep, "campaign: template sweep with slots (CAMPAIGNSxACCOUNTS)"},
    {"t2", true, BuildParaphrase, "campaign: paraphrased families, every request worded anew"},
    {"t3", true, BuildPartition, "campaign: a grid of topics dealt out, hardly any wording in common"},
    {"t4", true, BuildElicitation, "campaign: reasoning and rubric elicitation, varied wording"},
    {"t5", true, BuildJailbroken, "campaign: questions in private jailbreak wraps"},
    {"t6", true, BuildLowAndSlow, "campaign: about one exchange an account a day, under cover"},
    {"t7", true, BuildAgentic, "campaign: agents with tools, private system prompt"},
    {"t8", true, BuildLanguages, "campaign: the same work in several languages"},
    {"t9", true, BuildUnderCover, "campaign: twenty ordinary requests for each harvesting one"},
    {"t10", true, BuildProbing, "campaign: log probabilities over the vocabulary"},
    {"t11", true, BuildMigration, "campaign: conversations that migrate over a pool"},
    {"t12", true, BuildRelay, "campaign: a relay with a tenth of distillation"},
};

#define FEW "chat=300,backend=8,agent=120,classroom=2x35,harness=2,batch=4"
// Everyone: people, machines and every look-alike.
#define EVERYONE                                                                                                           \
  "chat=900,polyglot=150,backend=10,agent=250,ci=40,harness=3,batch=6,classroom=3x30,course=3x40,exam=2x60,bench=2x12,"    \
  "mill=2x6,etl=2x6,pack=3x30,viral=2x60,library=3x12,byok=3x90,reseller=3,balance=3x8,study=2x4,hobby=30,logprob=12,"     \
  "distiller=1x6"
#define AGAINST_EVERYONE(type, hours) {"eval-" type, EVERYONE "," type "=1x20..600", hours, "everyone and one campaign"}

constexpr Scenario kScenarios[] = {
    {"benign", FEW, 6, "six benign kinds alone"},
    {"t1", FEW ",t1=1x60", 6, "six benign kinds and one T1"},
    {"t4", FEW ",t4=1x60", 6, "six benign kinds and one T4"},
    {"t6", "chat=500,backend=5,agent=150,classroom=2x35,harness=2,batch=4,t6=1x240", 336, "six benign kinds and one T6, 14 days"},
    {"demo", "chat=420,backend=6,agent=160,classroom=2x35,harness=2,batch=4,t1=1x80,t4=1x80", 6,
     "six benign kinds, one T1 and one T4"},
    {"mixed", "chat=500,backend=8,agent=200,classroom=3x35,harness=2,batch=5,t1=2x60,t4=1x60,t6=1x120", 72,
     "six benign kinds and four campaigns"},
    {"everyone", EVERYONE, 72, "all benign kinds, no campaign"},
    AGAINST_EVERYONE("t1", 72),
    AGAINST_EVERYONE("t2", 72),
    AGAINST_EVERYONE("t3", 72),
    AGAINST_EVERYONE("t4", 72),
    AGAINST_EVERYONE("t5", 72),
    AGAINST_EVERYONE("t6", 336),
    AGAINST_EVERYONE("t7", 72),
    AGAINST_EVERYONE("t8", 72),
    AGAINST_EVERYONE("t9", 168),
    AGAINST_EVERYONE("t10", 72),
    AGAINST_EVERYONE("t11", 72),
    AGAINST_EVERYONE("t12", 72),
    {"eval-all",
     EVERYONE ",t1=1x40..200,t2=1x40..200,t3=1x40..200,t4=1x40..200,t5=1x40..200,t6=1x40..200,t7=1x40..200,t8=1x40..200,"
              "t9=1x20..80,t10=1x20..80,t11=1x40..200,t12=1x40..200", 72, "everyone and one campaign of each type"},
};

bool ReadInt(std::string_view text, int* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size() && *out >= 0;
}

bool ReadRange(std::string_view text, Share* share) {
  const size_t dots = text.find("..");
  if (dots == std::string_view::npos) return ReadInt(text, &share->accounts);
  return ReadInt(text.substr(0, dots), &share->accounts) && ReadInt(text.substr(dots + 2), &share->accounts_to) &&
         share->accounts > 0 && share->accounts <= share->accounts_to;
}

int AccountsOf(const Mix& mix, bool campaign) {
  int accounts = 0;
  for (const MixPart& part : mix) accounts += part.kind->campaign == campaign ? part.share.accounts * part.share.groups : 0;
  return accounts;
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
      good = ReadInt(part.substr(equals + 1, by - equals - 1), &entry.share.groups) && ReadRange(part.substr(by + 1), &entry.share);
    } else if (good) {
      good = ReadRange(part.substr(equals + 1), &entry.share);
    }
    if (!good) {
      std::string known;
      for (const KindEntry& kind : kKinds) known += (known.empty() ? "" : ", ") + std::string(kind.name);
      return Error{"--mix: '" + std::string(part) + "' is not KIND=ACCOUNTS or KIND=GROUPSxACCOUNTS (a range: LOW..HIGH); kinds: " + known};
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

void DrawRanges(Mix* mix, uint64_t seed) {
  for (MixPart& part : *mix) {
    if (part.share.accounts_to > part.share.accounts) {
      Rng rng = Rng(seed).Fork("accounts").Fork(part.kind->name);
      part.share.accounts = static_cast<int>(std::lround(rng.LogUniform(part.share.accounts, part.share.accounts_to)));
    }
    part.share.accounts_to = 0;
  }
}

void SetPools(Mix* mix, int accounts) {
  for (MixPart& part : *mix) {
    if (part.kind->campaign) part.share.accounts = accounts;
  }
}

void SetPrevalence(Mix* mix, double prevalence) {
  const int benign = AccountsOf(*mix, false), campaign = AccountsOf(*mix, true);
  if (benign == 0 || campaign == 0) return;
  const double factor = campaign * (1 - prevalence) / prevalence / benign;
  for (MixPart& part : *mix) {
    if (part.kind->campaign) continue;
    int* scaled = part.share.groups > 1 ? &part.share.groups : &part.share.accounts;
    *scaled = std::max(1, static_cast<int>(std::lround(*scaled * factor)));
  }
}

void BuildWorld(const Mix& mix, World* world) {
  for (const MixPart& part : mix) part.kind->build(world, part.share);
}

}  // namespace stillwatch::stillgen
