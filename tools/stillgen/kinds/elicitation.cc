// T4: reasoning traces and rubric grading. No fixed template: a campaign owns some wordings of each clause
// (as a rewriting model would give it) and every request combines them anew, with words exchanged inside.
#include "tools/stillgen/kinds/elicitation.h"

#include "tools/stillgen/phrase.h"

namespace stillwatch::stillgen {
namespace {

constexpr std::string_view kOpenings[] = {
    "[Consider|Look at|Study] the [problem|question|task] [below|that follows].",
    "Below is [a finished|an already given] [exchange|answer] [to|on] a [question|problem].",
    "[Pretend|Suppose] you have [just|already] [answered|solved] [this|the following].",
    "[Here comes|I have|We collected] [a question|an item] [that deserves|which needs] [care|a careful reply].",
    "[Someone|A student|A colleague] asked [this|the following] and [wants|needs] [the whole story|more than the result].",
    "[Treat|Take] this as [an exam item|a worked case|a training example] and [answer|respond] [accordingly|in kind].",
};
constexpr std::string_view kDemands[] = {
    "[Imagine|Reconstruct] the [internal|inner|private] [reasoning|deliberation|monologue] behind a [complete|finished] "
    "[reply|response] and [write|put|set] it [out|down] [step by step|line by line|in order].",
    "[Think aloud|Narrate your thinking] [from the first impression|from the start] to the [conclusion|end], [hesitations|doubts] "
    "[and corrections|and dead ends] included.",
    "[Show|Reveal|Expose] every [intermediate|hidden|implicit] [step|inference|decision] you [make|take], [with|and] the "
    "[reason|motive] for [each|it].",
    "Before the answer, [write|give] a [long|thorough|detailed] [thought process|trace|scratchpad] [that could be followed|that leads] "
    "without [prior knowledge|any help].",
    "[List|Enumerate] the [hypotheses|options|paths] you [weighed|considered], [which|the ones] you [dropped|discarded] and "
    "[on what grounds|why].",
    "[Verify|Check|Audit] [each|every] [line|step] of the [trace|reasoning] and [mark|flag] [where|anything that] [could|might] be wrong.",
    "[Articulate|Describe] how you [recognised|identified] the [kind|type] of [problem|question] and [chose|selected] the [method|approach].",
};
constexpr std::string_view kContracts[] = {
    "[Return|Output|Give] JSON with [the keys|exactly] \"reasoning\", \"checks\" and \"answer\".",
    "[Wrap|Put] the [thinking|trace] in <thinking> tags and the [result|answer] in <final> tags.",
    "[Use|Write] the [sections|headings] ## Trace, ## Critique, ## Final.",
    "[Score|Mark] [from|between] 1 [to|and] 10 [for each|per] criterion, then an [overall|weighted] [score|mark] [as|in] the last line.",
    "[Reply|Answer] as a [list|sequence] of {k} numbered [thoughts|moves], then one [line|sentence] [starting|beginning] with \"So:\".",
};
constexpr std::string_view kCriteria[] = {
    "[factual accuracy|correctness of facts]", "[soundness|validity] of [each step|the argument]", "[completeness|coverage]",
    "[clarity|readability] for [beginners|a layman]", "[economy|brevity]", "[use of evidence|support by sources]",
    "[handling|treatment] of [edge cases|exceptions]", "[honesty|candour] about [doubt|uncertainty]", "[tone|register]",
    "[originality|variety] of [approach|method]", "[calibration|confidence] of [claims|estimates]", "[faithfulness|adherence] to the [task|brief]",
};

template <size_t n>
std::vector<std::string> Own(const std::string_view (&all)[n], size_t count, Rng& rng) {
  std::vector<std::string> own(std::begin(all), std::end(all));
  rng.Shuffle(own);
  own.resize(std::min(count, n));
  return own;
}

}  // namespace

ElicitationDealer::ElicitationDealer(const World& world, Rng rng)
    : world_(&world), rng_(rng.Fork("deal")), deck_(world, rng.Fork("deck")),
      model_(rng.Chance(0.5) ? "meridian-reason-2" : "meridian-4"), openings_(Own(kOpenings, 4, rng)),
      demands_(Own(kDemands, 5, rng)), contracts_(Own(kContracts, 2, rng)), criteria_(Own(kCriteria, 6, rng)),
      temperature_milli_(static_cast<int>(rng.Range(6, 10)) * 100), max_tokens_(4096), effort_(rng.Chance(0.5)) {}

std::string ElicitationDealer::Trace() {
  std::string text = Expand(openings_[rng_.Below(openings_.size())], rng_) + "\n\n" + deck_.Next() + "\n\n";
  const size_t first = rng_.Below(demands_.size());
  text += Expand(demands_[first], rng_);
  if (rng_.Chance(0.6)) text += " " + Expand(demands_[(first + 1 + rng_.Below(demands_.size() - 1)) % demands_.size()], rng_);
  return text + " " + Fill(Expand(rng_.Pick(contracts_), rng_), {{"k", std::to_string(rng_.Range(5, 12))}});
}

std::string ElicitationDealer::Grading() {
  std::string text = Expand("[Grade|Evaluate|Assess] the [answer|reply|response] [below|given here] [against|by|using] "
                            "[this|the following] rubric:", rng_);
  rng_.Shuffle(criteria_);
  const size_t count = 3 + rng_.Below(3);
  for (size_t i = 0; i < count; ++i) text += "\n- " + Expand(criteria_[i], rng_);
  text += "\n\nQuestion: " + deck_.Next() + "\n\nAnswer: " + world_->prose.Text(rng_, static_cast<size_t>(rng_.Range(150, 700)));
  text += "\n\n" + Expand("[For each criterion|Per criterion], [explain|justify] the [mark|score] [in full|at length] before "
                          "you [give|state] it.", rng_);
  return text + " " + Fill(Expand(rng_.Pick(contracts_), rng_), {{"k", std::to_string(rng_.Range(5, 12))}});
}

void ElicitationDealer::Deal(Prompt* prompt) {
  prompt->model = model_;
  prompt->parameters.max_tokens = max_tokens_;
  prompt->parameters.temperature_milli = rng_.Chance(0.7) ? temperature_milli_ : static_cast<int>(rng_.Range(2, 10)) * 100;
  if (effort_) prompt->parameters.reasoning_effort = "high";
  Message message;
  message.text = rng_.Chance(0.65) ? Trace() : Grading();
  prompt->messages.push_back(std::move(message));
}

void BuildElicitation(World* world, const Share& share) {
  for (int g = 0; g < share.groups; ++g) {
    Rng rng = world->rng.Fork("t4", static_cast<uint64_t>(g));
    auto dealer = std::make_shared<ElicitationDealer>(*world, rng.Fork("dealer"));
    const HarvestPace pace{10, 40, rng.Unit()};
    AddHarvesters(world, world->NewCampaign("t4"), dealer, pace, share.accounts, rng.Fork("accounts"));
  }
}

}  // namespace stillwatch::stillgen
