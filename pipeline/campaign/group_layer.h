// Layers that a group is judged by as a whole: semantic clusters, synchrony, client stack, sign-ups, residual traffic, exact rules, network. Each is one
// function from a group and its cohort to a Finding, and one row of GroupLayers(): what it counts, its family, what it
// remembers and for how long, its sentence for the analyst. Each is net of what the cohort shows and capped in
// tunables.h: none decides alone. Batch thread; nothing here is kept between looks.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/campaign/everyone.h"
#include "pipeline/campaign/group.h"
#include "pipeline/policy/tunables.h"

namespace stillwatch::pipeline {

// One owner of a group, with all that is remembered of its accounts.
struct OwnerView {
  uint32_t place = 0;  // in Everyone::owners
  std::span<const RequestRef> requests;
  std::vector<const RememberedRequest*> hits;  // of the group
};

struct GroupView {
  const Everyone* everyone = nullptr;
  std::vector<OwnerView> members;
  std::vector<OwnerView> borrowers;  // pass by text alone
  std::vector<uint32_t> inside;      // places of both; everybody else is outside
  // The matched cohort: groups of as many owners outside as there are members, each matched to one of them by dialect
  // and volume (exchanges, within a factor of four), in an order that has nothing to do with arrival, none in two draws.
  // Empty: the population has too few. Language is not known here and not matched.
  std::vector<std::vector<uint32_t>> draws;  // places

  uint64_t outside() const { return everyone->owners.size() - inside.size(); }
};

// `everyone` is of the population of the group.
GroupView MakeGroupView(const Everyone& everyone, const Group& group);

enum class EvidenceFamily : uint8_t { kContent, kTiming, kStack, kMeaning, kCohort, kNetwork };

// The others are told in the verdict and move nothing: neither label, nor the two families that a verdict above observe
// needs. People share an address, a day of sign-up, a language and what they write for ordinary reasons, and on development
// seeds these layers spoke for classes as loudly as for campaigns. (kMeaning is content to whoever reads a verdict.)
constexpr bool Counts(EvidenceFamily family) { return family <= EvidenceFamily::kStack; }

struct GroupLayer {
  uint32_t number;           // of docs/detection.md
  std::string_view kind;     // as verdicts name it
  EvidenceFamily family;
  std::string_view counts;   // what it counts
  std::string_view memory;   // what it remembers, and where
  std::string_view expiry;   // for how long
  Finding (*measure)(const GroupView& view, const Tunables& tunables);
  std::string (*sentence)(const Finding& finding);
};

// All of them, in the order of Group::findings.
std::span<const GroupLayer> GroupLayers();

// The strongest finding of a family, in 1/256 nat: layers of one family fire together and are never added. 0 where the
// family does not count.
int32_t FamilyNats(const Group& group, EvidenceFamily family);

}  // namespace stillwatch::pipeline
