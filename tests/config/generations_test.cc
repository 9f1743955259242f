#include "config/generations.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace stillwatch::config {
namespace {

class GenerationStoreTest : public ::testing::Test {
 protected:
  GenerationStoreTest() {
    char name[] = "/tmp/generations-XXXXXX";
    folder_ = mkdtemp(name);
  }
  ~GenerationStoreTest() override { std::filesystem::remove_all(folder_); }
  std::string folder_;
};

TEST_F(GenerationStoreTest, OnlyConfirmedSurvivesAStart) {
  GenerationStore store = GenerationStore::Open(folder_).value();
  EXPECT_FALSE(store.LastConfirmed().value().has_value());
  ASSERT_TRUE(store.SaveCandidate(1, "one").ok());
  EXPECT_FALSE(store.LastConfirmed().value().has_value());
  ASSERT_TRUE(store.MarkRunning(1).ok());
  EXPECT_FALSE(store.LastConfirmed().value().has_value());
  ASSERT_TRUE(store.Confirm(1).ok());
  ASSERT_TRUE(store.SaveCandidate(2, "two").ok());
  ASSERT_TRUE(store.MarkRunning(2).ok());
  const auto last = GenerationStore::Open(folder_).value().LastConfirmed().value();
  EXPECT_EQ(last->generation, 1u);
  EXPECT_EQ(last->text, "one");
  ASSERT_TRUE(store.Discard(2).ok());
  ASSERT_TRUE(store.SaveCandidate(10, "ten").ok());
  ASSERT_TRUE(store.MarkRunning(10).ok());
  ASSERT_TRUE(store.Confirm(10).ok());
  EXPECT_EQ(store.LastConfirmed().value()->text, "ten");
}

TEST_F(GenerationStoreTest, WhatWasNeverConfirmedIsRolledBackAndItsNumberIsNotGivenAgain) {
  GenerationStore store = GenerationStore::Open(folder_).value();
  EXPECT_EQ(store.Next().value(), 1u);
  ASSERT_TRUE(store.SaveCandidate(1, "one").ok());
  ASSERT_TRUE(store.MarkRunning(1).ok());
  ASSERT_TRUE(store.Confirm(1).ok());
  ASSERT_TRUE(store.SaveCandidate(2, "two").ok());
  ASSERT_TRUE(store.MarkRunning(2).ok());
  // Killed here.
  GenerationStore again = GenerationStore::Open(folder_).value();
  EXPECT_EQ(again.RollBackLeftovers().value(), std::vector<uint64_t>{2});
  EXPECT_EQ(again.RollBackLeftovers().value(), std::vector<uint64_t>{});
  EXPECT_EQ(again.LastConfirmed().value()->generation, 1u);
  EXPECT_EQ(again.Next().value(), 3u);
  EXPECT_FALSE(again.Confirm(2).ok());
}

TEST_F(GenerationStoreTest, OnlyItsUserReadsConfigurations) {
  using std::filesystem::perms;
  GenerationStore store = GenerationStore::Open(folder_).value();
  ASSERT_TRUE(store.SaveCandidate(1, "privacy.account_key = \"hex:00\"").ok());
  EXPECT_EQ(std::filesystem::status(folder_ + "/config").permissions(), perms::owner_all);
  EXPECT_EQ(std::filesystem::status(folder_ + "/config/1.candidate.toml").permissions(),
            perms::owner_read | perms::owner_write);
}

TEST_F(GenerationStoreTest, AStepOutOfOrderIsAnError) {
  GenerationStore store = GenerationStore::Open(folder_).value();
  EXPECT_FALSE(store.Confirm(5).ok());
  EXPECT_FALSE(GenerationStore::Open("/proc/nowhere").ok());
}

}  // namespace
}  // namespace stillwatch::config
