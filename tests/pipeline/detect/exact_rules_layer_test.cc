// Layer 10 against a slow oracle: who is flagged, who is linked, what a probe asks.
#include <algorithm>
#include <cstring>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "pipeline/campaign/group_layers.h"
#include "pipeline/evidence/exact_rules_layer.h"

namespace stillwatch::pipeline {
namespace {

using dataplane::ExchangeHeader;

ExchangeHeader Probe(uint64_t ids) {
  ExchangeHeader header;
  header.flags = dataplane::kLogprobs | dataplane::kHasMaxTokens;
  header.max_tokens = 1;
  header.logit_bias_hash = ids;
  return header;
}

TEST(ExactRules, AProbeIsOneTokensOddsUnderBiases) {
  EXPECT_TRUE(IsProbe(Probe(7)));
  EXPECT_FALSE(IsProbe(Probe(0))) << "no biases: somebody reads odds";
  ExchangeHeader header = Probe(7);
  header.max_tokens = 2;
  EXPECT_FALSE(IsProbe(header)) << "more than one token is an answer";
  header = Probe(7);
  header.flags &= ~uint32_t{dataplane::kHasMaxTokens};
  EXPECT_FALSE(IsProbe(header));
  header = Probe(7);
  header.flags &= ~uint32_t{dataplane::kLogprobs};
  EXPECT_FALSE(IsProbe(header)) << "biases without odds force an answer: a classifier";
}

TEST(ExactRules, SetsAreNeverCountedTooMany) {
  std::mt19937_64 random(3);
  const Tunables tunables;
  for (int round = 0; round < 500; ++round) {
    Profile profile{};
    std::set<uint64_t> seen;
    for (size_t asked = random() % 200; asked > 0; --asked) {
      const uint64_t set = random() % (1 + round % 40);
      profile.probed.Note(set), seen.insert(set);
    }
    ASSERT_LE(profile.probed.Distinct(), seen.size());
    if (seen.size() < tunables.probe_sets_min) ASSERT_FALSE(IsProber(profile, tunables));
    // Of 64 places, 40 sets hit at least 20 but for a chance far below one in a million.
    if (seen.size() >= 39) ASSERT_TRUE(IsProber(profile, tunables));
  }
}

TEST(ExactRules, TheyExpireWithTheAccount) {
  Profile profile{};
  profile.hours.Note(1'000'000);
  profile.probed.Note(1);
  ExpireBefore(&profile, 900'000);
  EXPECT_EQ(profile.probed.Distinct(), 1u);
  ExpireBefore(&profile, 1'100'000);
  EXPECT_EQ(profile.probed.Distinct(), 0u);
}

TEST(ExactRules, ASetIsAPayloadAndFitsALongPrompt) {
  std::vector<Fragment> prompt(kFragmentsConsidered), other = prompt, again = prompt;
  AddProbeFragments(Probe(1), &prompt);
  AddProbeFragments(Probe(2), &other);
  AddProbeFragments(Probe(1), &again);
  ASSERT_EQ(prompt.size(), kFragmentsConsidered);
  const Tunables tunables;
  for (uint32_t i = kFragmentsConsidered - tunables.payload_fragments_min; i < kFragmentsConsidered; ++i) {
    EXPECT_NE(prompt[i].hash, other[i].hash);
    EXPECT_EQ(prompt[i].hash, again[i].hash);
  }
}

struct World {
  std::vector<Profile> profiles;

  Profile* Add(uint64_t owner, uint32_t sets) {
    Profile& profile = profiles.emplace_back();
    const uint64_t id = Mix64(profiles.size());
    std::memcpy(profile.id.bytes, &id, sizeof id);
    profile.owner = owner;
    for (uint32_t i = 0, set = 0; i < sets; ++set) {  // exactly so many places of the bitmap
      const uint32_t before = profile.probed.Distinct();
      profile.probed.Note(set);
      i += profile.probed.Distinct() != before;
    }
    return &profile;
  }
  // Words `prompt`, `prompt` + 1 and `prompt` + 2, and a payload of its own.
  void Ask(Profile* profile, uint32_t prompt, uint8_t flags) {
    static uint32_t next = 1'000'000;
    RememberedRequest request{};
    for (uint32_t word : {prompt, prompt + 1, prompt + 2, next, next + 1}) request.fragments[request.fragments_count++] = word;
    request.text_hash = next;
    request.time_s = next;
    request.flags = flags;
    next += 2;
    Remember(profile, request);
  }
};

TEST(ExactRules, LinksWhoAnOracleLinks) {
  const Tunables tunables;
  std::mt19937 random(11);
  uint64_t linked = 0;
  for (int round = 0; round < 200; ++round) {
    World world;
    world.profiles.reserve(13);
    std::vector<std::set<uint32_t>> probes_with(13);
    for (size_t a = 0; a < 13; ++a) {  // few enough that everybody is everybody's neighbour
      Profile* profile = world.Add(random() % 11, random() % (2 * tunables.probe_sets_min));
      for (uint32_t asks = 1 + random() % 4; asks > 0; --asks) {
        const uint32_t prompt = 10 * (1 + random() % 3);
        const bool probe = random() % 4 != 0;
        world.Ask(profile, prompt, probe ? kProbe : 0);
        if (probe) probes_with[a].insert(prompt);
      }
    }
    const CoreLook look = LookAtCores(world.profiles, {.core_owner_share_max = 1});
    std::set<uint32_t> templates;  // prompts that are cores at all: layer 1's business
    for (uint32_t prompt : {10u, 20u, 30u}) {
      const uint32_t core = look.cores.CoreOfFragment(prompt);
      if (core != UINT32_MAX && look.cores.cores[core].fragments >= 2) templates.insert(prompt);
    }
    std::set<std::pair<AccountId, AccountId>> expected, found;
    for (uint32_t prompt : templates) {
      std::vector<const Profile*> holders;
      for (size_t a = 0; a < 13; ++a) {
        if (world.profiles[a].probed.Distinct() >= tunables.probe_sets_min && probes_with[a].contains(prompt)) holders.push_back(&world.profiles[a]);
      }
      if (holders.size() < tunables.core_owners_min) continue;
      for (const Profile* x : holders) {
        for (const Profile* y : holders) {
          if (x->id < y->id && x->owner != y->owner) expected.insert({x->id, y->id});
        }
      }
    }
    for (const EdgeRecord& edge : FindProbeEdges(look, tunables)) {
      EXPECT_EQ(edge.layer, Layer::kExactRules);
      EXPECT_GT(edge.weight, 0);
      EXPECT_LE(edge.weight, tunables.content_nats_max);
      EXPECT_TRUE(found.insert({edge.a, edge.b}).second) << "each pair once";
    }
    ASSERT_EQ(found, expected) << round;
    linked += found.size();
  }
  EXPECT_GT(linked, 1'000u);
}

TEST(ExactRules, ReadersOfFewLabelsAreNeverLinked) {
  const Tunables tunables;
  World world;
  world.profiles.reserve(40);
  for (uint64_t owner = 0; owner < 40; ++owner) {
    Profile* profile = world.Add(owner, tunables.probe_sets_min - 1);
    for (int i = 0; i < 20; ++i) world.Ask(profile, 10, kProbe);
  }
  EXPECT_TRUE(FindProbeEdges(LookAtCores(world.profiles, {.core_owner_share_max = 1}), tunables).empty());
}

// Members probe, a few others do too.
Finding Measured(uint32_t probers, uint32_t members, uint32_t others) {
  World world;
  world.profiles.reserve(members + 400);
  std::vector<RequestRef> refs;
  refs.reserve(members + 400);
  for (uint32_t i = 0; i < members + 400; ++i) {
    const bool probes = i < members ? i < probers : i - members < others;
    Profile* profile = world.Add(i, probes ? 20 : 1);
    world.Ask(profile, 10, kProbe);
    refs.push_back({i, i, &profile->requests[0]});
  }
  const Everyone everyone = MakeEveryone(world.profiles, refs, {});
  GroupView view;
  view.everyone = &everyone;
  for (uint32_t i = 0; i < members; ++i) {
    view.members.push_back({i, everyone.owners[i].requests, {}});
    view.inside.push_back(i);
  }
  return MeasureExactRules(view, Tunables{});
}

TEST(ExactRules, AGroupIsHeldAgainstEverybodyOutside) {
  const Tunables tunables;
  EXPECT_EQ(Measured(30, 30, 0).nats, tunables.content_nats_max);
  EXPECT_EQ(Measured(14, 30, 0).nats, 0) << "less than half of the group: the rule speaks for them and not for it";
  EXPECT_LT(Measured(30, 30, 390).nats, Nats(10)) << "where everybody probes it says nothing";
  EXPECT_NE(ExactRulesSentence(Measured(30, 30, 2)).find("30 of 30"), std::string::npos);
}

}  // namespace
}  // namespace stillwatch::pipeline
