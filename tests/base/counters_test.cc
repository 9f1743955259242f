#include "base/counters.h"

#include <gtest/gtest.h>

#include <thread>

namespace stillwatch {
namespace {

enum class Fruit { kApple, kPear, kCount };
constexpr CounterNames<Fruit> kFruitNames{"fruit.apple", "fruit.pear"};

TEST(CounterRegistryTest, AddsBlocksOfTheSameNameAndKeepsRetiredTotals) {
  CounterRegistry registry;
  CounterBlock<Fruit> one(kFruitNames), two(kFruitNames);
  registry.Register(one);
  registry.Register(two);
  one.Add(Fruit::kApple, 2);
  two.Add(Fruit::kApple);
  two.Add(Fruit::kPear, 5);
  EXPECT_EQ(registry.Snapshot()["fruit.apple"], 3u);
  registry.Unregister(two);
  EXPECT_EQ(registry.Snapshot()["fruit.apple"], 3u);
  EXPECT_EQ(registry.Snapshot()["fruit.pear"], 5u);
}

TEST(CounterRegistryTest, SnapshotWhileOwnerCounts) {
  CounterRegistry registry;
  CounterBlock<Fruit> block(kFruitNames);
  registry.Register(block);
  std::thread owner([&] {
    for (int i = 0; i < 100'000; ++i) block.Add(Fruit::kApple);
  });
  uint64_t last = 0;
  while (last < 100'000) {
    const uint64_t now = registry.Snapshot()["fruit.apple"];
    ASSERT_GE(now, last);
    last = now;
  }
  owner.join();
}

}  // namespace
}  // namespace stillwatch
