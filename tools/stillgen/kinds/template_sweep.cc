// T1: a few fixed templates with slots, swept over a question set and dealt out over the accounts.
#include "tools/stillgen/kinds/template_sweep.h"

#include "tools/stillgen/kinds/harvest.h"
#include "tools/stillgen/phrase.h"

namespace stillwatch::stillgen {
namespace {

// Each campaign expands these once; what stays in braces is filled for each request.
constexpr std::string_view kRoles[] = {
    "You are [an expert|a seasoned|a meticulous|a patient] [tutor|examiner|analyst|engineer|teacher|researcher] "
    "[in|who teaches|who works on] {subject}[.| and you write for {level} readers.]",
    "Act as [a panel of|two] [specialists|reviewers|instructors] in {subject} [who must agree|who compare notes] "
    "before [they answer|giving the result].",
    "[Consider|Take|Here is] [the following|this] [problem|item|task] [from|on] {subject}, [set|written|meant] for {level} "
    "[students|readers|candidates].",
    "[Imagine|Suppose] you [prepare|write|edit] [a workbook|a solution manual|worked examples|a study guide] on {subject} for {level} "
    "[learners|classes|applicants].",
};
constexpr std::string_view kTasks[] = {
    "[Solve|Work through|Answer] it [in full|from first principles|with every intermediate result], [stating|naming|noting] "
    "each [rule|assumption|quantity] [as|where] you use it.",
    "[Lay out|Spell out|Set down] the complete [chain of thought|line of reasoning|derivation], [including|with] "
    "[wrong turns|the alternatives you rejected|checks you made], before the [conclusion|final answer].",
    "[Produce|Write] [three|four|two] [distinct|independent] solutions, [compare|contrast] them, and "
    "[pick|defend|recommend] the [clearest|most general|shortest].",
    "[First|Begin by] [restating|rephrasing] the question, [then|next] [plan|outline] the steps, [carry|work] them out, and "
    "[verify|test] the result against [a special case|an estimate|the units].",
    "[Rewrite|Restate] it at [three|four] levels of difficulty, [solve|answer] each [variant|version], and "
    "[explain|describe] what [changed|makes it harder].",
};
constexpr std::string_view kForms[] = {
    "[Format|Structure] the [reply|output] as [numbered steps|sections titled Plan, Work, Check, Answer|a JSON object with keys "
    "steps, checks and answer|markdown with one heading a step].",
    "[Finish|End|Close] with a [single|separate] line [that begins|starting] with [Answer:|FINAL:|Result =|>>>].",
    "[Use|Write] [no fewer than|about|at least] [200|300|400|500] words and [do not skip|show|keep] [algebra|details|code].",
};

}  // namespace

TemplateDealer::TemplateDealer(const World& world, Rng rng)
    : rng_(rng.Fork("deal")), deck_(world, rng.Fork("deck")), model_(world.PickModel(rng)) {
  const int64_t count = rng.Range(3, 6);
  for (int64_t i = 0; i < count; ++i) {
    std::string form = Expand(kRoles[rng.Below(std::size(kRoles))], rng) + " ";
    form += Expand(kTasks[rng.Below(std::size(kTasks))], rng) + " ";
    form += Expand(kForms[rng.Below(std::size(kForms))], rng);
    form = rng.Chance(0.6) ? form + "\n\n{question}" : "{question}\n\n" + form;
    forms_.push_back(std::move(form));
  }
  temperatures_[0] = static_cast<int>(rng.Range(5, 10)) * 100;
  temperatures_[1] = rng.Chance(0.5) ? temperatures_[0] : static_cast<int>(rng.Range(0, 10)) * 100;
  max_tokens_ = 1024 << rng.Below(3);
}

void TemplateDealer::Deal(Prompt* prompt) {
  const std::string subject = Prose::Subject(rng_);
  const std::string level = Expand("[high school|first-year|second-year|graduate|vocational|evening class|competition|adult]", rng_);
  prompt->model = model_;
  prompt->parameters.temperature_milli = temperatures_[rng_.Below(2)];
  prompt->parameters.max_tokens = max_tokens_;
  Message message;
  message.text = Fill(rng_.Pick(forms_), {{"subject", subject}, {"level", level}, {"question", deck_.Next()}});
  prompt->messages.push_back(std::move(message));
}

void BuildTemplateSweep(World* world, const Share& share) {
  for (int g = 0; g < share.groups; ++g) {
    Rng rng = world->rng.Fork("t1", static_cast<uint64_t>(g));
    auto dealer = std::make_shared<TemplateDealer>(*world, rng.Fork("dealer"));
    const HarvestPace pace{10, 40, rng.Unit()};
    AddHarvesters(world, world->NewCampaign("t1"), dealer, pace, share.accounts, rng.Fork("accounts"));
  }
}

}  // namespace stillwatch::stillgen
