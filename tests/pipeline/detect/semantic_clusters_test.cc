// Layer 4, each part alone: what a profile keeps, clustering against a slow one by the same rules, theta, room, erasure, and what
// is said of a group.
#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "base/hash.h"
#include "pipeline/campaign/everyone.h"
#include "pipeline/campaign/group_layers.h"
#include "pipeline/evidence/semantic_clusters.h"
#include "pipeline/pipeline.h"
#include "pipeline/profile/profile.h"
#include "pipeline/sink/memory_sink.h"
#include "tests/pipeline/detect/crowd.h"

namespace stillwatch::pipeline {
namespace {

constexpr uint32_t kDims = gpu::kEmbeddingDims;
constexpr uint32_t kToday = 20'458;  // days since 1970
constexpr uint32_t kTokens = 20;
using Values = std::array<int8_t, kDims>;

// Of an embedding's length, in a direction.
Values Scaled(const std::array<double, kDims>& direction) {
  double squares = 0;
  for (double x : direction) squares += x * x;
  Values values;
  for (uint32_t d = 0; d < kDims; ++d) values[d] = static_cast<int8_t>(std::lround(std::clamp(direction[d] * 362 / std::sqrt(squares), -127.0, 127.0)));
  return values;
}

std::array<double, kDims> AnyDirection(std::mt19937& random) {
  std::normal_distribution<double> normal;
  std::array<double, kDims> direction;
  for (double& x : direction) x = normal(random);
  return direction;
}

// About so near (a cosine) to `theme`.
Values Near(const std::array<double, kDims>& theme, double cosine, std::mt19937& random) {
  double squares = 0;
  for (double x : theme) squares += x * x;
  std::array<double, kDims> direction = AnyDirection(random);
  const double noise = std::sqrt(squares / kDims) * std::sqrt(1 / (cosine * cosine) - 1);
  for (uint32_t d = 0; d < kDims; ++d) direction[d] = theme[d] + direction[d] * noise;
  return Scaled(direction);
}

int Dot(const Values& a, const Values& b) {
  int sum = 0;
  for (uint32_t d = 0; d < kDims; ++d) sum += a[d] * b[d];
  return sum;
}

// --- What a profile keeps ---------------------------------------------------------------------------------

struct SlowCounts {
  struct Entry {
    uint16_t cluster;
    uint32_t uses, day;
  };
  std::deque<Entry> entries;  // the newest last

  void Note(uint16_t cluster, uint32_t day, const std::set<uint16_t>& shared) {
    Entry entry{cluster, 0, day};
    const auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.cluster == cluster; });
    if (found != entries.end()) {
      entry.uses = found->uses;
      entries.erase(found);
    } else if (entries.size() == 12) {
      entries.erase(std::min_element(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) {
        return std::pair(shared.contains(a.cluster), a.uses) < std::pair(shared.contains(b.cluster), b.uses);
      }));
    }
    entry.uses = std::min(entry.uses + 1, 15u);
    entries.push_back(entry);
  }
};

TEST(ClusterCounts, EqualsASlowList) {
  std::mt19937 random(1);
  std::set<uint16_t> shared;
  for (uint16_t c = 0; c < 200; c += 3) shared.insert(c);
  ClusterCounts counts{};
  SlowCounts slow;
  uint32_t day = kToday;
  for (int i = 0; i < 30'000; ++i) {
    day += random() % 40 == 0;
    const auto cluster = static_cast<uint16_t>(random() % 4 != 0 ? random() % 15 : random() % 200);
    counts.Note(cluster, day, [&](uint16_t c) { return shared.contains(c); });
    slow.Note(cluster, day, shared);
    if (random() % 50 == 0) {
      const uint32_t oldest = day - 60;
      counts.ExpireBefore(oldest);
      std::erase_if(slow.entries, [&](const auto& e) { return e.day / 8 <= oldest / 8; });
    }
    if (random() % 500 == 0) {
      std::vector<bool> gone(200, false);
      for (int n = 0; n < 40; ++n) gone[random() % 200] = true;
      counts.Forget(gone);
      std::erase_if(slow.entries, [&](const auto& e) { return gone[e.cluster]; });
    }
    ASSERT_EQ(counts.Size(), slow.entries.size());
    for (uint32_t at = 0; at < counts.Size(); ++at) {
      ASSERT_EQ(counts.clusters[at], slow.entries[at].cluster);
      ASSERT_EQ(counts.Uses(at), slow.entries[at].uses);
    }
  }
}

TEST(ClusterCounts, NothingIsKeptBeyondSixtyDays) {
  for (uint32_t first = kToday; first < kToday + 20; ++first) {
    ClusterCounts counts{};
    counts.Note(7, first, [](uint16_t) { return true; });
    for (uint32_t day = first; day < first + 200; ++day) {
      counts.ExpireBefore(day - 60);
      if (day <= first + 52) { ASSERT_EQ(counts.Size(), 1u) << day - first; }
      if (day >= first + 60) { ASSERT_EQ(counts.Size(), 0u) << day - first; }
    }
  }
}

// --- Clustering -------------------------------------------------------------------------------------------

// By the same rules, from their description, with nothing clever: theta stays where it begins.
class SlowClusters {
 public:
  struct Cluster {
    std::array<int64_t, kDims> sums;
    Values centre;
    uint64_t joined = 0;
    std::set<uint32_t> owners;  // bits of a bitmap of 64
    std::vector<uint8_t> code;
  };
  std::map<uint32_t, Cluster> clusters;
  std::map<std::pair<uint32_t, uint8_t>, std::deque<uint32_t>> buckets;  // by band and key, the newest first

  uint32_t Note(const Values& values, uint64_t owner, int theta) {
    const std::vector<uint8_t> code = CodeOf(values);
    std::set<uint32_t> candidates;
    for (uint32_t band = 0; band < 16; ++band) {
      for (uint32_t c : buckets[{band, code[band]}]) candidates.insert(c);
    }
    uint32_t best = UINT32_MAX;
    for (uint32_t c : candidates) {
      if (best == UINT32_MAX || Dot(clusters.at(c).centre, values) > Dot(clusters.at(best).centre, values)) best = c;
    }
    const uint32_t bit = Mix64(owner) & 63;
    if (best != UINT32_MAX && Dot(clusters.at(best).centre, values) >= theta) {
      Cluster& cluster = clusters.at(best);
      cluster.owners.insert(bit);
      for (uint32_t d = 0; d < kDims; ++d) cluster.sums[d] += values[d];
      if (++cluster.joined % 256 == 0 || (cluster.joined & (cluster.joined - 1)) == 0) Move(best);
      return best;
    }
    const auto made = static_cast<uint32_t>(clusters.size());
    Cluster& cluster = clusters[made];
    std::copy(values.begin(), values.end(), cluster.sums.begin());
    cluster.centre = values, cluster.joined = 1, cluster.owners = {bit};
    Enter(made, code);
    return made;
  }

  // Random signs; sums over the upper three bits of the index; rows and columns exchanged; once more.
  static std::vector<uint8_t> CodeOf(const Values& values) {
    std::array<int, kDims> x{}, y{};
    for (uint32_t d = 0; d < kDims; ++d) x[d] = Mix64(0x524f544154494f4e + d) & 1 ? -values[d] : values[d];
    for (uint32_t d = 0; d < kDims; ++d) {
      const std::array<int, kDims> mixed = Mixed(x);
      y[d % 16 * 8 + d / 16] = mixed[d];
    }
    y = Mixed(y);
    std::vector<uint8_t> code(16);
    for (uint32_t d = 0; d < kDims; ++d) code[d % 16] |= static_cast<uint8_t>((y[d] < 0) << d / 16);
    return code;
  }

 private:
  static std::array<int, kDims> Mixed(const std::array<int, kDims>& x) {
    std::array<int, kDims> out{};
    for (uint32_t row = 0; row < 8; ++row) {
      for (uint32_t from = 0; from < 8; ++from) {
        for (uint32_t k = 0; k < 16; ++k) out[row * 16 + k] += std::popcount(row & from) % 2 ? -x[from * 16 + k] : x[from * 16 + k];
      }
    }
    return out;
  }
  void Enter(uint32_t c, const std::vector<uint8_t>& code) {
    clusters.at(c).code = code;
    for (uint32_t band = 0; band < 16; ++band) {
      auto& bucket = buckets[{band, code[band]}];
      if (bucket.size() == 8) {
        auto goes = bucket.end() - 1;  // of those with fewest owners the one that came first
        for (auto at = bucket.begin(); at != bucket.end(); ++at) {
          const size_t here = clusters.at(*at).owners.size(), there = clusters.at(*goes).owners.size();
          if (here < there || (here == there && at > goes)) goes = at;
        }
        bucket.erase(goes);
      }
      bucket.push_front(c);
    }
  }
  void Move(uint32_t c) {
    Cluster& cluster = clusters.at(c);
    long double squares = 0;
    for (int64_t sum : cluster.sums) squares += static_cast<long double>(sum) * sum;
    const auto norm = static_cast<int64_t>(std::floor(std::sqrt(squares)));
    for (uint32_t band = 0; band < 16; ++band) std::erase(buckets[{band, cluster.code[band]}], c);
    for (uint32_t d = 0; d < kDims; ++d) {
      const int64_t size = std::abs(cluster.sums[d]);
      const int64_t scaled = std::min<int64_t>((size * 724 + norm) / (2 * norm), 127);
      cluster.centre[d] = static_cast<int8_t>(cluster.sums[d] < 0 ? -scaled : scaled);
    }
    Enter(c, CodeOf(cluster.centre));
  }
};

TEST(SemanticClusters, EqualsSlowClustering) {
  std::mt19937 random(2);
  std::vector<std::array<double, kDims>> themes;
  for (int i = 0; i < 150; ++i) themes.push_back(AnyDirection(random));
  SemanticClusters clusters(1 << 14);
  SlowClusters slow;
  std::set<uint32_t> joined;
  for (int i = 0; i < 12'000; ++i) {
    const Values values = Near(themes[std::min(random() % 150, random() % 150)], random() % 2 == 0 ? 0.9 : 0.7, random);
    const uint64_t owner = 1 + random() % 300;
    ASSERT_EQ(clusters.Note(values, kTokens, owner, false, kToday), slow.Note(values, owner, clusters.theta(SemanticClusters::StratumOf(kTokens)))) << i;
  }
  EXPECT_GT(clusters.counters().Get(ClusterCounter::kJoined), 4'000u);
  EXPECT_GT(clusters.counters().Get(ClusterCounter::kFounded), 500u);
  for (const auto& [c, cluster] : slow.clusters) ASSERT_EQ(clusters.OwnersOf(static_cast<uint16_t>(c)), cluster.owners.size());
}

// The buckets are a shortcut. Of what lies near the centre of a theme it finds nearly all, beside any number of strangers.
TEST(SemanticClusters, FindsWhatLiesNear) {
  std::mt19937 random(3);
  std::vector<std::array<double, kDims>> themes;
  for (int i = 0; i < 20; ++i) themes.push_back(AnyDirection(random));
  SemanticClusters clusters(1 << 14);
  std::map<int, std::map<uint16_t, int>> found;
  int asked = 0;
  for (int i = 0; i < 30'000; ++i) {
    if (clusters.full()) clusters.MakeRoom();
    const int theme = static_cast<int>(random() % 20);
    const bool is_theme = random() % 10 == 0;
    const Values values = is_theme ? Near(themes[static_cast<size_t>(theme)], 0.9, random) : Scaled(AnyDirection(random));
    const uint16_t cluster = clusters.Note(values, kTokens, 1 + random() % 5'000, false, kToday);
    if (is_theme) ++asked, ++found[theme][cluster];
  }
  int in_largest = 0;
  for (const auto& [theme, by_cluster] : found) {
    in_largest += std::max_element(by_cluster.begin(), by_cluster.end(), [](const auto& a, const auto& b) { return a.second < b.second; })->second;
  }
  EXPECT_GT(in_largest * 100, asked * 90);
}

TEST(SemanticClusters, StrangersFoundClustersOfTheirOwn) {
  std::mt19937 random(4);
  SemanticClusters clusters(1 << 12);
  for (int i = 0; i < 2'000; ++i) clusters.Note(Scaled(AnyDirection(random)), kTokens, 1 + random() % 50, false, kToday);
  EXPECT_LT(clusters.counters().Get(ClusterCounter::kJoined), 20u);
}

// A flood of texts that are all new, from more owners than there are places: nothing grows, everything is counted, and what many
// owners use stays.
TEST(SemanticClusters, AFloodPushesOutNoClusterOfMany) {
  std::mt19937 random(5);
  SemanticClusters clusters(512);
  const std::array<double, kDims> theme = AnyDirection(random);
  const uint64_t bytes = clusters.memory_bytes();
  uint16_t shared = 0;
  for (uint64_t owner = 1; owner <= 40; ++owner) shared = clusters.Note(Near(theme, 0.95, random), kTokens, owner, false, kToday);
  uint64_t freed = 0;
  for (int i = 0; i < 50'000; ++i) {
    if (clusters.full()) {
      const std::vector<bool> gone = clusters.MakeRoom();
      ASSERT_FALSE(gone[shared]);
      freed += static_cast<uint64_t>(std::count(gone.begin(), gone.end(), true));
    }
    clusters.Note(Scaled(AnyDirection(random)), kTokens, 100 + static_cast<uint64_t>(i), true, kToday + static_cast<uint32_t>(i) / 1'000);
  }
  EXPECT_EQ(clusters.memory_bytes(), bytes);
  EXPECT_GT(freed, 40'000u);
  EXPECT_EQ(clusters.counters().Get(ClusterCounter::kEvicted), freed);
  EXPECT_EQ(clusters.counters().Get(ClusterCounter::kFounded) + clusters.counters().Get(ClusterCounter::kJoined), 50'040u);
  EXPECT_EQ(clusters.Note(Near(theme, 0.95, random), kTokens, 3, false, kToday), shared);
}

TEST(SemanticClusters, AnErasedOwnerLeavesNothingThatOnlyItAsked) {
  std::mt19937 random(6);
  SemanticClusters clusters(1'024);
  const std::array<double, kDims> alone = AnyDirection(random), together = AnyDirection(random);
  const uint16_t mine = clusters.Note(Near(alone, 0.99, random), kTokens, 11, true, kToday);
  const uint16_t ours = clusters.Note(Near(together, 0.99, random), kTokens, 11, true, kToday);
  ASSERT_EQ(clusters.Note(Near(together, 0.99, random), kTokens, 12, true, kToday), ours);
  const std::vector<bool> gone = clusters.ForgetOwner(11);
  EXPECT_TRUE(gone[mine]);
  EXPECT_FALSE(gone[ours]);
  EXPECT_EQ(clusters.OwnersOf(mine), 0u);
  EXPECT_NE(clusters.Note(Near(alone, 0.99, random), kTokens, 12, true, kToday), mine);
}

TEST(SemanticClusters, WhatNobodyUsesExpires) {
  std::mt19937 random(7);
  SemanticClusters clusters(1'024);
  const uint16_t old = clusters.Note(Scaled(AnyDirection(random)), kTokens, 1, true, kToday);
  const uint16_t young = clusters.Note(Scaled(AnyDirection(random)), kTokens, 1, true, kToday + 60);
  const std::vector<bool> gone = clusters.ExpireBefore(kToday + 1);
  EXPECT_TRUE(gone[old]);
  EXPECT_FALSE(gone[young]);
}

// --- Theta ------------------------------------------------------------------------------------------------

// Theta of a stratum day after day, where the requests of `owners` people are alike by `cosine`, one of `of` of them.
std::vector<int32_t> ThetaOfDays(uint32_t days, uint64_t owners, double cosine, uint32_t of, bool benign) {
  std::mt19937 random(8);
  const std::array<double, kDims> theme = AnyDirection(random);
  SemanticClusters clusters(1'024);
  std::vector<int32_t> thetas;
  for (uint32_t day = 0; day < days; ++day) {
    for (int i = 0; i < 6'000; ++i) {
      if (clusters.full()) clusters.MakeRoom();
      const Values values = random() % of == 0 ? Near(theme, cosine, random) : Scaled(AnyDirection(random));
      clusters.Note(values, kTokens, 1 + random() % owners, benign, kToday + day);
    }
    thetas.push_back(clusters.theta(SemanticClusters::StratumOf(kTokens)));
  }
  return thetas;
}

TEST(SemanticClusters, ThetaFollowsWhatStrangersHaveByATenthADay) {
  const std::vector<int32_t> falls = ThetaOfDays(8, 5'000, 0.5, 1'000'000, true);
  for (size_t day = 1; day < falls.size(); ++day) {
    EXPECT_LE(falls[day], falls[day - 1]);
    EXPECT_GE(falls[day] * 10ll, falls[day - 1] * 9ll - 10) << "day " << day;
  }
  EXPECT_EQ(falls.back(), (1 << 17) * 45 / 100) << "no noise brings it lower";
  const std::vector<int32_t> rises = ThetaOfDays(8, 5'000, 0.97, 5, true);
  for (size_t day = 1; day < rises.size(); ++day) {
    EXPECT_GE(rises[day], rises[day - 1]);
    EXPECT_LE(rises[day] * 10ll, rises[day - 1] * 11ll) << "day " << day;
  }
  EXPECT_EQ(rises.back(), (1 << 17) * 80 / 100) << "nobody brings it higher";
}

// Neither suspects nor a handful of owners, however much they send, teach what strangers have in common.
TEST(SemanticClusters, ThetaIsNotTaughtBySuspectsOrByAFew) {
  for (const auto& [owners, benign] : {std::pair(uint64_t{5'000}, false), std::pair(uint64_t{40}, true)}) {
    const std::vector<int32_t> thetas = ThetaOfDays(4, owners, 0.97, 1, benign);
    EXPECT_EQ(thetas.front(), thetas.back()) << owners;
  }
}

// --- What is said of a group --------------------------------------------------------------------------------

class Village {
 public:
  explicit Village(uint32_t seed) : random(seed) {}

  Profile& Add(bool member, uint32_t exchanges = 20) {
    Profile& profile = profiles.emplace_back();
    for (uint8_t& byte : profile.id.bytes) byte = static_cast<uint8_t>(random());
    profile.owner = profiles.size();
    profile.dialects = 2;
    profile.exchanges = exchanges;
    RememberedRequest request{};
    request.time_s = 1'767'571'200;
    profile.requests[profile.requests_count++] = request;
    members.push_back(member);
    return profile;
  }
  void Uses(uint16_t cluster, uint32_t times) {
    for (uint32_t i = 0; i < times; ++i) profiles.back().clusters.Note(cluster, kToday, [](uint16_t) { return true; });
  }
  Finding Measure() {
    population = MakePopulation(profiles, ReadRequests(profiles, {}), {});
    group = Group{};
    for (uint32_t i = 0; i < profiles.size(); ++i) {
      if (!members[i]) continue;
      GroupMember& member = group.members.emplace_back();
      member.account = i, member.owner = population.owner_of[i], member.id = profiles[i].id;
    }
    Tunables whole;  // not cut to a hint
    whole.hint_nats_max = whole.content_nats_max;
    everyone = MakeEveryone(profiles, population.requests, whole);
    return MeasureSemantic(MakeGroupView(everyone, group), whole);
  }

  std::mt19937 random;
  std::vector<Profile> profiles;
  std::vector<bool> members;
  Population population;
  Everyone everyone;
  Group group;
};

// Twenty accounts as `uses` says, among two hundred that go about their own.
Finding Twenty(const std::function<void(Village*, int)>& uses) {
  Village village(9);
  for (int i = 0; i < 220; ++i) {
    village.Add(i < 20);
    if (i < 20) uses(&village, i);
    else village.Uses(static_cast<uint16_t>(1'000 + i), 3), village.Uses(static_cast<uint16_t>(5 + i % 60), 1);
  }
  return village.Measure();
}

TEST(SemanticLayer, AGroupThatComesBackToItsClustersIsTold) {
  const Finding deep = Twenty([](Village* v, int i) { v->Uses(static_cast<uint16_t>(900 + i % 2), 6); });
  EXPECT_TRUE(deep.known);
  EXPECT_GE(deep.nats, Nats(92));
  EXPECT_EQ(SemanticSentence(deep), "20 of 20 accounts ask more often than others for things that lie close together, in 2 clusters; of 20 matched accounts 0 "
                                    "do among themselves. Nothing is said across languages");
  const Finding wide = Twenty([](Village* v, int i) { v->Uses(static_cast<uint16_t>(900 + i % 4), 1), v->Uses(static_cast<uint16_t>(900 + (i + 1) % 4), 1); });
  EXPECT_GE(wide.nats, Nats(46));
}

TEST(SemanticLayer, OneRequestSaysNothing) {
  const Finding once = Twenty([](Village* v, int) { v->Uses(900, 1); });
  EXPECT_EQ(once.nats, 0);
  EXPECT_EQ(once.counts[0], 0u);
  EXPECT_EQ(Twenty([](Village* v, int) { v->Uses(900, 2); }).nats, 0);
}

TEST(SemanticLayer, WhatEverybodyAsksOrOneAloneSaysNothing) {
  EXPECT_EQ(Twenty([](Village* v, int i) { v->Uses(static_cast<uint16_t>(2'000 + i), 9); }).nats, 0) << "each its own";
  EXPECT_EQ(Twenty([](Village* v, int i) { v->Uses(static_cast<uint16_t>(1'020 + i), 3), v->Uses(static_cast<uint16_t>(5 + i), 1); }).nats, 0) << "as the others";
  Village village(10);
  for (int i = 0; i < 220; ++i) village.Add(i < 20), village.Uses(static_cast<uint16_t>(900 + i % 2), 6);
  EXPECT_EQ(village.Measure().nats, 0) << "everybody";
}

TEST(SemanticLayer, WithoutEmbeddingsOrACohortNothingIsKnown) {
  EXPECT_FALSE(Twenty([](Village*, int) {}).known);
  Village alone(11);
  for (int i = 0; i < 20; ++i) alone.Add(true), alone.Uses(900, 6);
  EXPECT_FALSE(alone.Measure().known);
}

// The slow oracle: everything counted again for each owner, in floating point.
TEST(SemanticLayer, EqualsAFloatingPointCount) {
  for (uint32_t seed = 20; seed < 40; ++seed) {
    Village village(seed);
    std::mt19937 random(seed);
    std::vector<std::map<uint16_t, uint32_t>> uses;
    for (int i = 0; i < 150; ++i) {
      const bool member = i < 15 + static_cast<int>(seed);
      village.Add(member, 20 + random() % 12);  // one power of two: all match
      auto& mine = uses.emplace_back();
      for (int n = 0; n < 5; ++n) {
        const auto cluster = static_cast<uint16_t>(member && random() % 3 == 0 ? random() % 4 : random() % 400);
        mine[cluster] += 1 + random() % 3;
      }
      for (auto& [cluster, n] : mine) n = std::min(n, 15u), village.Uses(cluster, n);
    }
    const Finding found = village.Measure();
    ASSERT_TRUE(found.known);

    const auto median = [&](const std::vector<uint32_t>& owners) {
      std::map<uint16_t, uint32_t> holders;
      for (uint32_t o : owners) {
        for (const auto& [cluster, n] : uses[o]) ++holders[cluster];
      }
      const double least = std::max<double>(3, std::floor(static_cast<double>(owners.size()) / 10));
      double others = 0, asked = 0;
      for (uint32_t o = 0; o < uses.size(); ++o) {
        // Members are no background of anybody.
        if (village.members[o] || std::find(owners.begin(), owners.end(), o) != owners.end()) continue;
        asked += village.profiles[o].exchanges;
        for (const auto& [cluster, n] : uses[o]) others += holders.contains(cluster) && holders[cluster] >= least ? n : 0;
      }
      const double rate = std::max(others / asked, 300e-6);
      std::vector<double> nats;
      for (uint32_t o : owners) {
        double k = 0, most = 0, clusters = 0;
        for (const auto& [cluster, n] : uses[o]) {
          if (holders[cluster] - 1 < least) continue;
          k += n, most = std::max<double>(most, n), ++clusters;
        }
        const double expected = rate * village.profiles[o].exchanges;
        nats.push_back((most >= 3 || clusters >= 2) && k > expected ? k * std::log(k / expected) - (k - expected) : 0);
      }
      std::sort(nats.begin(), nats.end());
      return nats[nats.size() / 2];
    };
    std::vector<uint32_t> members;
    for (uint32_t i = 0; i < uses.size(); ++i) {
      if (village.members[i]) members.push_back(i);
    }
    const GroupView view = MakeGroupView(village.everyone, village.group);
    double cohort = 0;
    for (const auto& draw : view.draws) {
      std::vector<uint32_t> drawn;
      for (uint32_t i : draw) drawn.push_back(village.everyone.owners[i].requests.front().account);
      cohort = std::max(cohort, median(drawn));
    }
    EXPECT_NEAR(found.nats / 256.0, std::clamp(median(members) - cohort, 0.0, 10.0), 0.2) << seed;
  }
}

TEST(SemanticLayer, IsToldAndNotCounted) {
  const auto layers = GroupLayers();
  const auto row = std::find_if(layers.begin(), layers.end(), [](const GroupLayer& layer) { return layer.number == 4; });
  ASSERT_NE(row, layers.end());
  EXPECT_FALSE(Counts(row->family));
  Group group;
  group.findings[static_cast<size_t>(row - layers.begin())].nats = Nats(100);
  for (const EvidenceFamily family : {EvidenceFamily::kContent, EvidenceFamily::kTiming, EvidenceFamily::kStack}) EXPECT_EQ(FamilyNats(group, family), 0);
}

// A whole run with embeddings and one without: the same records but for what layer 4 tells.
TEST(SemanticLayer, NothingThatDecidesReadsIt) {
  const crowd::Crowd crowd = crowd::MakeCrowd({.seed = 3, .chat_accounts = 200, .app_accounts = 5, .framework_accounts = 40, .classes = 1, .harnesses = 1,
                                               .batch_jobs = 1, .pack_users = 10, .t1 = true, .t4 = true});
  gpu::BackendOptions backend_options;
  backend_options.window_bytes = 16 << 20, backend_options.representatives_max = 64;
  auto backend = gpu::MakeCpuBackend(backend_options);
  ASSERT_TRUE(backend.ok()) << backend.message();
  MemorySink sinks[2];
  for (const bool embeds : {false, true}) {
    PipelineOptions options;
    options.token_hash = crowd::TokenOf;
    options.tunables.profiles_max = 4096;
    Pipeline pipeline(std::move(options), embeds ? backend.value().get() : nullptr, &sinks[embeds], nullptr);
    dataplane::ExchangeBuilder builder;
    for (size_t i = 0; i < crowd.requests.size(); ++i) pipeline.OnExchange(crowd::BuildExchange(crowd, crowd.requests[i], i, &builder));
    ASSERT_TRUE(pipeline.Finish().ok());
  }
  const auto told = [](MemorySink& sink) {
    std::vector<std::string> verdicts;
    int32_t most = 0;
    for (const auto* record : sink.Records<v1::CampaignVerdict>()) {
      v1::CampaignVerdict verdict = *record;
      verdict.clear_epoch();
      for (v1::Evidence& evidence : *verdict.mutable_evidence()) {
        if (evidence.layer() == 4) most = std::max(most, evidence.weight()), evidence.Clear();
      }
      verdicts.push_back(verdict.SerializeAsString());
    }
    return std::pair(verdicts, most);
  };
  EXPECT_EQ(told(sinks[0]).first, told(sinks[1]).first);
  EXPECT_EQ(told(sinks[0]).second, 0);
  EXPECT_EQ(told(sinks[1]).second, Tunables{}.hint_nats_max) << "it had something to tell";
  ASSERT_FALSE(sinks[0].Lines(Topic::kEnforcementAdvice).empty());
  EXPECT_EQ(sinks[0].Lines(Topic::kEnforcementAdvice), sinks[1].Lines(Topic::kEnforcementAdvice));
}

}  // namespace
}  // namespace stillwatch::pipeline
