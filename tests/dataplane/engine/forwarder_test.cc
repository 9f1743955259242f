// The forwarder and lanes stepped by hand, without threads.
#include "dataplane/engine/forwarder.h"

#include <gtest/gtest.h>

#include "dataplane/engine/merger.h"
#include "dataplane/port/memory_port.h"
#include "fake_worker.h"

namespace stillwatch::dataplane {
namespace {

struct Harness {
  explicit Harness(Port* port, size_t lanes_count, size_t ring_frames = 64) {
    for (size_t i = 0; i < lanes_count; ++i) {
      Lane::Options options;
      options.index = i;
      options.first = i == 0;
      options.ring_frames = ring_frames;
      options.lossless = port->lossless();
      lanes.push_back(std::make_unique<Lane>(
          options, [](size_t, WorkerOutput* out) { return std::make_unique<FakeWorker>(out); },
          sent, &abandoned));
    }
    Forwarder::Options options;
    options.flow_hash = FakeFlowHash;
    options.ring_frames = ring_frames;
    forwarder = std::make_unique<Forwarder>(options, port, lanes, sent, &clock);
    merger = std::make_unique<Merger>(lanes);
  }

  FakeClock clock{5 * kNsPerSecond};
  SentUpTo sent[1];
  std::atomic<bool> abandoned{false};
  std::vector<std::unique_ptr<Lane>> lanes;
  std::unique_ptr<Forwarder> forwarder;
  std::unique_ptr<Merger> merger;
};

constexpr int64_t kStart = 1'700'000'000 * kNsPerSecond;

TEST(ForwarderTest, ACaptureIsNotReadFurtherWhileARingIsFull) {
  MemoryPort port(true, 1'000);
  uint8_t bytes[60] = {1, 0};
  port.Add(bytes, kStart);
  Harness harness(&port, 2);
  for (int i = 0; i < 100; ++i) harness.forwarder->Step();
  EXPECT_LE(port.received(), 64u);
  EXPECT_GT(port.received(), 0u);
  EXPECT_EQ(harness.forwarder->counters().Get(ForwarderCounter::kWorkerRingFull), 0u);
  while (!harness.forwarder->at_end()) {
    harness.forwarder->Step();
    for (const auto& lane : harness.lanes) lane->Step();
  }
  EXPECT_EQ(port.received(), 1'000u);
}

TEST(ForwarderTest, ASilentWireStillMovesTrafficTime) {
  MemoryPort wire(false);
  uint8_t bytes[60] = {1, 0};
  wire.Add(bytes, kStart);
  Harness harness(&wire, 1);
  harness.forwarder->Step();
  harness.lanes[0]->Step();
  Transcript transcript;
  for (int i = 0; i < 20; ++i) {
    harness.clock.Advance(50 * kNsPerMs);
    harness.forwarder->Step();
    harness.lanes[0]->Step();
    harness.merger->Poll(&transcript);
  }
  // Ten ticks of 100 ms; the flow ended when 700 ms had passed.
  EXPECT_EQ(transcript.watermarks, 10u);
  EXPECT_EQ(transcript.flow_records, 1u);
  EXPECT_NE(transcript.text().find("watermark 2 " + std::to_string(kStart + kNsPerSecond)),
            std::string::npos);
}

TEST(ForwarderTest, AJumpOfTrafficTimeIsOneTick) {
  MemoryPort port;
  uint8_t bytes[60] = {1, 0};
  port.Add(bytes, kStart);
  port.Add(bytes, kStart + kNsPerHour);
  Harness harness(&port, 1);
  harness.forwarder->Step();
  EXPECT_EQ(harness.forwarder->counters().Get(ForwarderCounter::kTicks), 1u);
}

// A record waits until a worker that has nothing to say has passed its place.
TEST(MergerTest, ASilentWorkerHoldsBackUntilItHasPassed) {
  MemoryPort port;
  for (uint8_t flow = 0; flow < 30; ++flow) {
    const uint8_t bytes[60] = {flow, 1};
    port.Add(bytes, kStart);
  }
  Harness harness(&port, 2);
  harness.forwarder->Step();
  Transcript transcript;
  // Lane 0 is through; lane 1 has not begun.
  for (int i = 0; i < 10; ++i) harness.lanes[0]->Step();
  const uint64_t looked_by_0 = harness.lanes[0]->output().counters().Get(LaneCounter::kLooked);
  ASSERT_GT(looked_by_0, 3u);
  ASSERT_LT(looked_by_0, 27u);
  EXPECT_EQ(harness.merger->Poll(&transcript), 0u);
  for (int i = 0; i < 10; ++i) harness.lanes[1]->Step();
  EXPECT_EQ(harness.merger->Poll(&transcript), 30u);
}

}  // namespace
}  // namespace stillwatch::dataplane
