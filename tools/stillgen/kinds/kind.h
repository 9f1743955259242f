// A kind of traffic: one file, one function that adds accounts and actors to a World. What is benign
// and what is a campaign is in the table of kinds (scenario.cc); nothing else knows the list.
#pragma once

#include "tools/stillgen/world.h"

namespace stillwatch::stillgen {

struct Share {
  int accounts = 0;  // per group where groups mean something (campaigns, classes), else in all
  int groups = 1;
};

using BuildKind = void (*)(World* world, const Share& share);

void BuildChatUsers(World* world, const Share& share);
void BuildAppBackends(World* world, const Share& share);
void BuildAgents(World* world, const Share& share);
void BuildClassrooms(World* world, const Share& share);
void BuildHarness(World* world, const Share& share);
void BuildBatchJobs(World* world, const Share& share);
void BuildTemplateSweep(World* world, const Share& share);    // T1
void BuildElicitation(World* world, const Share& share);      // T4
void BuildLowAndSlow(World* world, const Share& share);       // T6

}  // namespace stillwatch::stillgen
