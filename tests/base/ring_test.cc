#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "base/hash.h"
#include "base/spsc_byte_ring.h"
#include "base/spsc_ring.h"

namespace stillwatch {
namespace {

TEST(SpscRingTest, RefusesWhenFullAndKeepsOrder) {
  SpscRing<int> ring(4);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(ring.Push(i));
  EXPECT_FALSE(ring.Push(4));
  int out[8];
  ASSERT_EQ(ring.Pop(out), 4u);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(out[i], i);
  EXPECT_EQ(ring.Pop(out), 0u);
}

TEST(SpscRingTest, EveryItemCrossesOnceAndInOrder) {
  SpscRing<uint64_t> ring(64);
  constexpr uint64_t kItems = 200'000;
  std::thread producer([&] {
    for (uint64_t i = 0; i < kItems;) i += ring.Push(i) ? 1 : 0;
  });
  uint64_t next = 0, out[16];
  while (next < kItems) {
    const size_t count = ring.Pop(out);
    for (size_t i = 0; i < count; ++i) ASSERT_EQ(out[i], next++);
  }
  producer.join();
}

TEST(SpscByteRingTest, RefusesWhatNeverFits) {
  SpscByteRing ring(1024);
  EXPECT_TRUE(ring.Reserve(ring.record_max() + 1).empty());
  EXPECT_FALSE(ring.Reserve(ring.record_max()).empty());
}

TEST(SpscByteRingTest, RecordsOfEverySizeCrossUnchanged) {
  SpscByteRing ring(4096);
  constexpr int kRecords = 100'000;
  const auto size_of = [](int i) { return 1 + Mix64(static_cast<uint64_t>(i)) % 700; };
  std::thread producer([&] {
    for (int i = 0; i < kRecords;) {
      const std::span<uint8_t> room = ring.Reserve(size_of(i));
      if (room.empty()) continue;
      std::memset(room.data(), i & 255, room.size());
      ring.Commit();
      ++i;
    }
  });
  for (int i = 0; i < kRecords;) {
    const std::span<const uint8_t> record = ring.Front();
    if (record.empty()) continue;
    ASSERT_EQ(record.size(), size_of(i));
    ASSERT_EQ(reinterpret_cast<uintptr_t>(record.data()) % 8, 0u);
    ASSERT_EQ(record.front(), i & 255);
    ASSERT_EQ(record.back(), i & 255);
    ring.PopFront();
    ++i;
  }
  producer.join();
}

}  // namespace
}  // namespace stillwatch
