// Layer 10: exact rules. A probe asks for the log probabilities of one token under biases on chosen token ids: that reads a
// model's odds, not its answers. Who reads the odds of a few labels biases the same few ids for ever; who reads a model's
// whole output layer walks through them. So an account is flagged when it was seen with many distinct sets of biased ids,
// and flagged accounts that send one prompt are linked. What a probe asks is its prompt with its ids, so the ids count as
// part of its text: one prompt with many sets is a template, a set is a payload, and dealt sets are dealt work.
//
// Memory: 8 bytes a profile (a bitmap of 64, which can only count too few), two of a request's fragments. Expires with the
// requests: 60 days after the account's last activity. Batch thread only.
#pragma once

#include <cstdint>
#include <vector>

#include "dataplane/llm/exchange.h"
#include "pipeline/evidence/core_look.h"
#include "pipeline/evidence/edge.h"
#include "pipeline/evidence/instruction.h"
#include "pipeline/policy/tunables.h"

namespace stillwatch::pipeline {

bool IsProbe(const dataplane::ExchangeHeader& header);

// Adds the set of biased ids to the fragments of the prompt, at its end: two, so that a set is a payload.
void AddProbeFragments(const dataplane::ExchangeHeader& header, std::vector<Fragment>* fragments);

// The rule alone. It names no campaign: one researcher may walk through a vocabulary too.
bool IsProber(const Profile& profile, const Tunables& tunables);

// Between flagged accounts of different owners next to each other in a fixed order, of each core that probes of enough of
// them hold. One core is enough: such a campaign may have one prompt. Sorted by (a, b).
std::vector<EdgeRecord> FindProbeEdges(const CoreLook& look, const Tunables& tunables);

}  // namespace stillwatch::pipeline
