// What an account's bounded memory keeps, against one without bound.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "pipeline/profile/profile.h"

namespace stillwatch::pipeline {
namespace {

constexpr uint32_t kOthers = kRequestsRemembered - kTiedRemembered;

RememberedRequest At(uint32_t time_s, uint8_t flags) {
  RememberedRequest request{};
  request.time_s = time_s;
  request.flags = flags;
  return request;
}

bool Holds(const Profile& profile, uint32_t time_s) {
  const auto kept = profile.remembered();
  return std::any_of(kept.begin(), kept.end(), [&](const auto& r) { return r.time_s == time_s; });
}

uint32_t Oldest(const Profile& profile) {
  uint32_t oldest = UINT32_MAX;
  for (const RememberedRequest& r : profile.remembered()) oldest = std::min(oldest, r.time_s);
  return oldest;
}

// One tied request in `one_in`, a request a second; after each, what must hold of everything seen so far.
void Play(uint32_t seed, uint32_t one_in, uint32_t requests) {
  std::mt19937 random(seed);
  Profile profile{};
  std::vector<uint32_t> all, tied;  // unbounded
  for (uint32_t t = 1; t <= requests; ++t) {
    const bool is_tied = random() % one_in == 0;
    Remember(&profile, At(t, is_tied ? kTied : 0));
    all.push_back(t);
    if (is_tied) tied.push_back(t);
    ASSERT_EQ(profile.requests_count, std::min<size_t>(all.size(), kRequestsRemembered));
    for (size_t i = all.size() - std::min<size_t>(all.size(), kOthers); i < all.size(); ++i) {
      ASSERT_TRUE(Holds(profile, all[i])) << "of the newest, at " << t << ", one in " << one_in;
    }
    for (size_t i = tied.size() - std::min<size_t>(tied.size(), kTiedRemembered); i < tied.size(); ++i) {
      ASSERT_TRUE(Holds(profile, tied[i])) << "of the tied, at " << t << ", one in " << one_in;
    }
    // No share may look larger than it is: requests since the oldest remembered are all counted.
    ASSERT_GE(profile.requests_seen(), t - Oldest(profile) + 1) << "at " << t << ", one in " << one_in;
    ASSERT_LE(profile.requests_seen(), all.size());
    ASSERT_EQ(profile.evicted, all.size() - profile.requests_count);
  }
}

TEST(Remember, KeepsTheNewestTiedAndTheNewestOfAll) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    for (uint32_t one_in : {1, 2, 3, 5, 20, 100}) Play(seed, one_in, 700);
  }
}

TEST(Remember, WithoutTiesTheNewestAreKeptAndNothingIsPassedOver) {
  Profile profile{};
  for (uint32_t t = 1; t <= 500; ++t) Remember(&profile, At(t, 0));
  EXPECT_EQ(Oldest(profile), 500 - kRequestsRemembered + 1);
  EXPECT_EQ(profile.requests_seen(), kRequestsRemembered);
}

TEST(Remember, AFloodOfTiedRequestsLeavesWhatCameBesideItInPlace) {
  Profile profile{};
  for (uint32_t t = 1; t <= kRequestsRemembered; ++t) Remember(&profile, At(t, 0));
  for (uint32_t t = 100; t < 100 + kTiedRemembered; ++t) Remember(&profile, At(t, kTied));
  const auto others = [&] {
    return std::count_if(profile.remembered().begin(), profile.remembered().end(), [](const auto& r) { return r.flags == 0; });
  };
  EXPECT_EQ(others(), static_cast<ptrdiff_t>(kOthers));
}

TEST(Remember, HitsOfCampaignsGoLast) {
  Profile profile{};
  Remember(&profile, At(1, kLinked));
  for (uint32_t t = 2; t < 400; ++t) Remember(&profile, At(t, t % 3 == 0 ? kTied : 0));
  EXPECT_TRUE(Holds(profile, 1));
  EXPECT_EQ(profile.requests_seen(), 399u);
}

TEST(Remember, WhatIsForgottenByAgeIsNotCountedAgainstWhatComesLater) {
  Profile profile{};
  for (uint32_t t = 1; t < 400; ++t) Remember(&profile, At(t, t % 50 == 0 ? kTied : 0));
  EXPECT_GT(profile.requests_seen(), 300u);
  ExpireBefore(&profile, 1'000);
  Remember(&profile, At(1'001, 0));
  EXPECT_EQ(profile.requests_seen(), 1u);
}

}  // namespace
}  // namespace stillwatch::pipeline
