#include "dataplane/engine/mirror_worker.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "tests/dataplane/frame_builder.h"

namespace stillwatch::dataplane {
namespace {

// Writes down what it was shown.
class Notes final : public Worker {
 public:
  Notes(std::vector<uint64_t>* expected, std::vector<uint64_t>* looked) : expected_(expected), looked_(looked) {}
  void Expect(const Frame& frame) override { expected_->push_back(frame.number); }
  LookResult Look(const Frame& frame) override {
    looked_->push_back(frame.number);
    return LookResult::kMore;
  }
  LookResult Continue() override { return LookResult::kDone; }
  void Tick(uint64_t, int64_t) override {}
  void Finish(uint64_t, int64_t) override {}
  void RegisterCounters(CounterRegistry*) override {}

 private:
  std::vector<uint64_t>* const expected_;
  std::vector<uint64_t>* const looked_;
};

TEST(MirrorWorkerTest, LooksAtEachPacketOnceAnnouncedOrNot) {
  for (const int announced_of_8 : {0, 5, 8}) {
    std::vector<uint64_t> expected, looked, once;
    MirrorWorker worker(std::make_unique<Notes>(&expected, &looked), 10 * kNsPerMs, Salt{1});
    CounterRegistry registry;
    worker.RegisterCounters(&registry);
    uint64_t number = 0;
    for (uint32_t round = 0; round < 50; ++round) {
      std::vector<std::vector<uint8_t>> bytes;
      std::vector<Frame> frames;
      // Each packet twice: at once, or four packets later.
      for (uint32_t i = 0; i < 8; ++i) {
        const uint32_t which = round % 2 == 0 ? i / 2 : i % 4;
        bytes.push_back(testing::BuildFrame({.seq = round * 4 + which}));
        const bool first = round % 2 == 0 ? i % 2 == 0 : i < 4;
        if (first) once.push_back(number + i + 1);
      }
      for (const auto& frame : bytes) {
        frames.push_back({frame, static_cast<uint32_t>(frame.size()), 0, ++number, 1'000 * kNsPerSecond + round});
      }
      for (int i = 0; i < announced_of_8; ++i) worker.Expect(frames[static_cast<size_t>(i)]);
      for (const Frame& frame : frames) {
        if (worker.Look(frame) == LookResult::kMore) EXPECT_EQ(worker.Continue(), LookResult::kDone);
      }
    }
    EXPECT_EQ(looked, once);
    EXPECT_EQ(registry.Snapshot().at("mirror.duplicates"), 200u);
    if (announced_of_8 == 8) EXPECT_EQ(expected, once);
    if (announced_of_8 == 0) EXPECT_TRUE(expected.empty());
  }
}

}  // namespace
}  // namespace stillwatch::dataplane
