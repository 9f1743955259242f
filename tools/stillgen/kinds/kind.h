// A kind of traffic: one file, one function that adds accounts and actors to a World. What is benign
// and what is a campaign is in the table of kinds (scenario.cc); nothing else knows the list.
#pragma once

#include "tools/stillgen/world.h"

namespace stillwatch::stillgen {

struct Share {
  int accounts = 0;  // per group where groups mean something (campaigns, classes), else in all
  int groups = 1;
  int accounts_to = 0;  // above `accounts`: the seed draws from this range; see DrawRanges
};

using BuildKind = void (*)(World* world, const Share& share);

void BuildChatUsers(World* world, const Share& share);
void BuildAppBackends(World* world, const Share& share);
void BuildAgents(World* world, const Share& share);
void BuildClassrooms(World* world, const Share& share);
void BuildHarness(World* world, const Share& share);
void BuildBatchJobs(World* world, const Share& share);
void BuildPolyglots(World* world, const Share& share);
void BuildCourses(World* world, const Share& share);
void BuildExamSeason(World* world, const Share& share);
void BuildCiBots(World* world, const Share& share);
void BuildContentMills(World* world, const Share& share);
void BuildDocumentShops(World* world, const Share& share);
void BuildBenchSuites(World* world, const Share& share);
void BuildPromptPacks(World* world, const Share& share);
void BuildViral(World* world, const Share& share);
void BuildPromptLibraries(World* world, const Share& share);
void BuildByokApps(World* world, const Share& share);
void BuildResellers(World* world, const Share& share);
void BuildKeyBalancers(World* world, const Share& share);
void BuildPersonaStudies(World* world, const Share& share);
void BuildJailbreakHobbyists(World* world, const Share& share);
void BuildAuthorisedDistillers(World* world, const Share& share);
void BuildLogprobUsers(World* world, const Share& share);
void BuildTemplateSweep(World* world, const Share& share);    // T1
void BuildParaphrase(World* world, const Share& share);       // T2
void BuildPartition(World* world, const Share& share);        // T3
void BuildElicitation(World* world, const Share& share);      // T4
void BuildJailbroken(World* world, const Share& share);       // T5
void BuildLowAndSlow(World* world, const Share& share);       // T6
void BuildAgentic(World* world, const Share& share);          // T7
void BuildLanguages(World* world, const Share& share);        // T8
void BuildUnderCover(World* world, const Share& share);       // T9
void BuildProbing(World* world, const Share& share);          // T10
void BuildMigration(World* world, const Share& share);        // T11
void BuildRelay(World* world, const Share& share);            // T12

}  // namespace stillwatch::stillgen
