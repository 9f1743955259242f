#include "pipeline/store/ndjson_drain.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "pipeline/sink/memory_sink.h"
#include "pipeline/sink/ndjson_sink.h"
#include "tests/pipeline/store/events.h"
#include "tests/pipeline/store/temp_folder.h"

namespace stillwatch::pipeline {
namespace {

class NdjsonDrainTest : public testing::Test {
 protected:
  void SetUp() override {
    OutboxOptions options;
    options.dir = folder_ / "outbox";
    options.bytes_max = 8 << 20;
    options.snapshot_bytes_max = 1 << 20;
    auto opened = Outbox::Open(options, clock_);
    ASSERT_TRUE(opened.ok()) << opened.message();
    outbox_ = std::move(opened).value();
  }

  TempFolder folder_;
  FakeClock clock_{100 * kNsPerSecond};
  std::unique_ptr<Outbox> outbox_;
};

TEST_F(NdjsonDrainTest, WritesThenAcknowledges) {
  MemorySink sink;
  NdjsonDrain drain(*outbox_, sink);
  ASSERT_TRUE(outbox_->Commit(AuditEvents(1, 1, 5)).ok());
  const auto drained = drain.DrainOnce();
  ASSERT_TRUE(drained.ok());
  EXPECT_EQ(drained.value(), 5u);
  EXPECT_EQ(sink.events().size(), 5u);
  EXPECT_EQ(outbox_->stats().acknowledged_prefix, 5u);
  ASSERT_EQ(drain.DrainOnce().value(), 0u);  // idle: trims
  EXPECT_EQ(outbox_->stats().records, 0u);
}

TEST_F(NdjsonDrainTest, KeepsWhatTheSinkRefused) {
  MemorySink sink;
  NdjsonDrain drain(*outbox_, sink);
  ASSERT_TRUE(outbox_->Commit(AuditEvents(1, 1, 5)).ok());
  sink.failing = true;
  EXPECT_FALSE(drain.DrainOnce().ok());
  EXPECT_EQ(outbox_->trimmable(), 0u);
  sink.failing = false;
  EXPECT_EQ(drain.DrainOnce().value(), 5u);
  EXPECT_EQ(drain.counters().Get(DrainCounter::kRetried), 1u);
}

TEST_F(NdjsonDrainTest, AThreadOfItsOwnBringsEventsToFiles) {
  NdjsonOptions options;
  options.dir = folder_ / "out";
  auto sink = NdjsonSink::Open(options, clock_);
  ASSERT_TRUE(sink.ok()) << sink.message();
  NdjsonDrain drain(*outbox_, *sink.value());
  drain.Start();
  for (uint64_t i = 0; i < 20; ++i)
    ASSERT_TRUE(outbox_->Commit(AuditEvents(1, 1 + 10 * i, 10)).ok());
  const SystemClock wall;
  const int64_t deadline = wall.MonotonicNs() + 30 * kNsPerSecond;
  while (outbox_->stats().acknowledged_prefix < 200 && wall.MonotonicNs() < deadline) {
    std::this_thread::yield();
  }
  drain.Stop();
  std::ifstream file(folder_ / "out/audit.ndjson");
  std::string line;
  for (uint64_t i = 1; i <= 200; ++i) {
    ASSERT_TRUE(std::getline(file, line));
    EXPECT_NE(line.find("\"event_id\":\"" + EventId("box-a", 1, i) + "\""), std::string::npos);
  }
  EXPECT_FALSE(std::getline(file, line));
}

}  // namespace
}  // namespace stillwatch::pipeline
