#include "dataplane/engine/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>

#include "dataplane/port/memory_port.h"
#include "fake_worker.h"

namespace stillwatch::dataplane {
namespace {

// Bursts, lulls longer than the idle time, steps back in time, and many flows.
void FillWithTraffic(MemoryPort* port, unsigned seed, int packets) {
  std::mt19937 random(seed);
  int64_t now_ns = 1'700'000'000 * kNsPerSecond;
  for (int i = 0; i < packets; ++i) {
    const unsigned kind = random() % 100;
    if (kind < 60) now_ns += random() % 1'000'000;
    if (kind == 60) now_ns += 2 * kNsPerSecond;
    if (kind == 61) now_ns -= kNsPerMs;
    uint8_t bytes[60] = {static_cast<uint8_t>(random() % 40), static_cast<uint8_t>(random())};
    port->Add(bytes, now_ns);
  }
}

// What the contract says, in one loop: a tick for every 100 ms before the frame that carried time
// there.
std::string Oracle(unsigned seed, int packets) {
  MemoryPort port;
  FillWithTraffic(&port, seed, packets);
  Transcript transcript;
  FakeWorker worker(&transcript);
  Frame frame;
  int64_t next_tick_ns = 0;
  while (port.Receive({&frame, 1}) == 1) {
    if (next_tick_ns == 0) {
      next_tick_ns = frame.time_ns + 100 * kNsPerMs;
    } else if (frame.time_ns >= next_tick_ns) {
      worker.Tick(frame.number, frame.time_ns);
      transcript.OnWatermark(frame.number, frame.time_ns);
      next_tick_ns = frame.time_ns + 100 * kNsPerMs;
    }
    for (LookResult look = worker.Look(frame); look == LookResult::kMore;) look = worker.Continue();
  }
  worker.Finish(frame.number + 1, frame.time_ns);
  transcript.OnWatermark(frame.number + 1, frame.time_ns);
  return transcript.text();
}

std::string RunEngine(unsigned seed, int packets, size_t workers, size_t ring_frames,
                      size_t record_bytes) {
  MemoryPort port;
  FillWithTraffic(&port, seed, packets);
  EngineOptions options;
  options.workers = workers;
  options.ring_frames = ring_frames;
  options.record_bytes = record_bytes;
  options.flow_hash = FakeFlowHash;
  Engine engine(options, &port,
                [](size_t, WorkerOutput* output) { return std::make_unique<FakeWorker>(output); });
  EXPECT_TRUE(engine.Start().ok());
  Transcript transcript;
  engine.Drain(&transcript);
  EXPECT_GT(transcript.exchanges, 0u);
  EXPECT_GT(transcript.flow_records, 0u);
  while (engine.running()) std::this_thread::yield();
  EXPECT_EQ(port.released(), port.received());
  uint64_t looked = 0, out_of_order = 0;
  for (const auto& lane : engine.lanes()) {
    looked += lane->output().counters().Get(LaneCounter::kLooked);
    out_of_order += lane->output().counters().Get(LaneCounter::kOutOfOrder);
  }
  EXPECT_EQ(looked, port.received());
  EXPECT_EQ(out_of_order, 0u);
  return transcript.text();
}

TEST(EngineTest, AnyNumberOfWorkersGivesTheSameTranscript) {
  for (const unsigned seed : {1u, 2u, 3u}) {
    const std::string expected = Oracle(seed, 6'000);
    for (const size_t workers : {0, 1, 2, 3}) {
      for (const size_t ring : {64, 1024}) {
        // Compared as bool: a difference of megabytes helps nobody.
        EXPECT_TRUE(RunEngine(seed, 6'000, workers, ring, 1 << 20) == expected)
            << "seed " << seed << ", workers " << workers;
      }
    }
  }
}

TEST(EngineTest, AnEmptyCaptureEndsWithAWatermark) {
  MemoryPort port;
  EngineOptions options;
  options.workers = 2;
  options.flow_hash = FakeFlowHash;
  Engine engine(options, &port,
                [](size_t, WorkerOutput* output) { return std::make_unique<FakeWorker>(output); });
  ASSERT_TRUE(engine.Start().ok());
  Transcript transcript;
  engine.Drain(&transcript);
  EXPECT_EQ(transcript.text(), "watermark 1 0\n");
}

// Looks only when told to.
class HangingWorker final : public Worker {
 public:
  explicit HangingWorker(std::atomic<bool>* open) : open_(open) {}
  LookResult Look(const Frame&) override { return Continue(); }
  LookResult Continue() override {
    while (!open_->load()) std::this_thread::yield();
    return LookResult::kDone;
  }
  void Tick(uint64_t, int64_t) override {}
  void Finish(uint64_t, int64_t) override {}
  void RegisterCounters(CounterRegistry*) override {}

 private:
  std::atomic<bool>* open_;
};

TEST(EngineTest, AHungWorkerCostsLookingButNeverForwarding) {
  std::atomic<bool> open{false};
  MemoryPort wire(/*lossless=*/false, /*rounds=*/10'000);
  uint8_t bytes[60] = {1, 1};
  wire.Add(bytes, kNsPerSecond);
  EngineOptions options;
  options.workers = 1;
  options.ring_frames = 64;
  Engine engine(options, &wire,
                [&](size_t, WorkerOutput*) { return std::make_unique<HangingWorker>(&open); });
  ASSERT_TRUE(engine.Start().ok());
  // All of the wire is read although nobody looks.
  while (engine.Count(ForwarderCounter::kFrames) < 10'000)
    std::this_thread::yield();
  open = true;
  Transcript transcript;
  engine.Drain(&transcript);
  while (engine.running()) std::this_thread::yield();
  const uint64_t dropped = engine.Count(ForwarderCounter::kWorkerRingFull);
  EXPECT_GE(dropped, 10'000u - 64 - kLookBurst);
  EXPECT_EQ(engine.lanes()[0]->output().counters().Get(LaneCounter::kLooked) + dropped, 10'000u);
  EXPECT_EQ(wire.released(), 10'000u);
}

TEST(EngineTest, EveryThreadPassesTheQuiescentPoint) {
  MemoryPort wire(/*lossless=*/false, /*rounds=*/~0ull);
  uint8_t bytes[60] = {1, 0};
  wire.Add(bytes, kNsPerSecond);
  Quiescent quiescent;
  EngineOptions options;
  options.workers = 2;
  options.flow_hash = FakeFlowHash;
  options.quiescent = &quiescent;
  Engine engine(options, &wire,
                [](size_t, WorkerOutput* output) { return std::make_unique<FakeWorker>(output); });
  ASSERT_TRUE(engine.Start().ok());
  EXPECT_EQ(quiescent.slots().size(), 3u);
  quiescent.Publish(7);
  while (!quiescent.Behind(7).empty()) std::this_thread::yield();
  engine.Stop();
  Transcript transcript;
  engine.Drain(&transcript);
}

TEST(EngineTest, AProcessorThatIsNotThereIsNamed) {
  MemoryPort port;
  EngineOptions options;
  options.cpus = {1000};
  Engine engine(options, &port,
                [](size_t, WorkerOutput* output) { return std::make_unique<FakeWorker>(output); });
  const Status status = engine.Start();
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.message().find("threads.cpus: sw-forward cannot be pinned to processor 1000"),
            std::string::npos);
}

// What is told of a flow holds for the frames that were looked at, however far behind the wire their worker is.
TEST(LaneOutputTest, FlowsOfNoInterestAreBoundedAndSayHowFarTheyWereLookedAt) {
  const std::atomic<bool> abandoned{false};
  LaneOutput output(1 << 12, false, &abandoned);
  const SystemClock clock;
  const size_t room = output.uninteresting().capacity();
  for (size_t i = 0; i < room; ++i) ASSERT_TRUE(output.OnUninteresting({}, clock.UnixNs() - 5 * kNsPerSecond));
  EXPECT_FALSE(output.OnUninteresting({}, clock.UnixNs()));
  EXPECT_EQ(output.counters().Get(LaneCounter::kPassRingFull), 1u);
  UninterestingFlow flow;
  ASSERT_EQ(output.uninteresting().Pop({&flow, 1}), 1u);
  EXPECT_LE(flow.looked_ns, clock.MonotonicNs() - 5 * kNsPerSecond);
  EXPECT_GT(flow.looked_ns, clock.MonotonicNs() - 60 * kNsPerSecond);
  EXPECT_TRUE(output.OnUninteresting({}, clock.UnixNs()));
}

}  // namespace
}  // namespace stillwatch::dataplane
