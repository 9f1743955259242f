#include "pipeline/store/outbox.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <random>
#include <thread>

#include "pipeline/store/outbox_sink.h"
#include "tests/pipeline/store/events.h"
#include "tests/pipeline/store/temp_folder.h"

namespace stillwatch::pipeline {
namespace {

class OutboxTest : public testing::Test {
 protected:
  OutboxOptions Options() const {
    OutboxOptions options;
    options.dir = folder_ / "outbox";
    options.records_max = 1'000;
    options.bytes_max = 1 << 20;
    options.snapshot_bytes_max = 1 << 20;
    return options;
  }
  void Open(const OutboxOptions& options) {
    outbox_.reset();
    auto opened = Outbox::Open(options, clock_);
    ASSERT_TRUE(opened.ok()) << opened.message();
    outbox_ = std::move(opened).value();
  }
  void Open() { Open(Options()); }

  std::vector<std::string> IdsAfter(uint64_t position) {
    std::vector<OutboxRecord> records;
    EXPECT_TRUE(outbox_->Read(position, 100'000, 1 << 30, &records).ok());
    std::vector<std::string> ids;
    for (const OutboxRecord& record : records) {
      EXPECT_EQ(record.position, ++position);
      ids.push_back(record.event_id);
    }
    return ids;
  }

  TempFolder folder_;
  FakeClock clock_{100 * kNsPerSecond};
  std::unique_ptr<Outbox> outbox_;
};

TEST_F(OutboxTest, EventsComeBackInOrderAcrossReopening) {
  Open();
  ASSERT_TRUE(outbox_->Commit(AuditEvents(1, 1, 3)).ok());
  Open();
  ASSERT_TRUE(outbox_->Commit(AuditEvents(2, 1, 2)).ok());
  EXPECT_EQ(IdsAfter(0), (std::vector<std::string>{"box-a-1-1", "box-a-1-2", "box-a-1-3",
                                                   "box-a-2-1", "box-a-2-2"}));
  EXPECT_EQ(IdsAfter(4), (std::vector<std::string>{"box-a-2-2"}));
  EXPECT_TRUE(IdsAfter(5).empty());
}

TEST_F(OutboxTest, EpochGrowsAtEachOpening) {
  Open();
  const uint64_t first = outbox_->epoch();
  EXPECT_EQ(first, 100u);  // the clock's seconds
  Open();
  EXPECT_EQ(outbox_->epoch(), first + 1);
}

TEST_F(OutboxTest, TrimsOnlyTheAcknowledgedPrefix) {
  Open();
  ASSERT_TRUE(outbox_->Commit(AuditEvents(1, 1, 10)).ok());
  for (const uint64_t position : {2, 3, 9, 1}) outbox_->Acknowledge(position);
  EXPECT_EQ(outbox_->trimmable(), 3u);
  ASSERT_TRUE(outbox_->Trim().ok());
  EXPECT_EQ(outbox_->stats().records, 7u);
  EXPECT_EQ(outbox_->stats().acknowledged_prefix, 3u);
  Open();  // 9 was acknowledged in memory only: it is read again, at least once
  std::vector<OutboxRecord> records;
  ASSERT_TRUE(outbox_->Read(0, 100, 1 << 20, &records).ok());
  ASSERT_EQ(records.size(), 7u);
  EXPECT_EQ(records.front().position, 4u);
  EXPECT_EQ(records.back().event_id, "box-a-1-10");
}

TEST_F(OutboxTest, AcknowledgingWhatIsNotThereChangesNothing) {
  Open();
  ASSERT_TRUE(outbox_->Commit(AuditEvents(1, 1, 2)).ok());
  outbox_->Acknowledge(3);
  outbox_->Acknowledge(77);
  ASSERT_TRUE(outbox_->Commit(AuditEvents(1, 3, 2)).ok());
  outbox_->Acknowledge(1);
  outbox_->Acknowledge(2);
  ASSERT_TRUE(outbox_->Trim().ok());
  EXPECT_EQ(IdsAfter(2), (std::vector<std::string>{"box-a-1-3", "box-a-1-4"}));
}

TEST_F(OutboxTest, FullRefusesWholeCommitsAndTakesThemAgainAfterAcknowledgement) {
  OutboxOptions options = Options();
  options.records_max = 10;
  Open(options);
  ASSERT_TRUE(outbox_->Commit(AuditEvents(1, 1, 8)).ok());
  const Status refused = outbox_->Commit(AuditEvents(1, 9, 3));
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.message().find("full"), std::string::npos) << refused.message();
  EXPECT_EQ(outbox_->stats().records, 8u);
  EXPECT_EQ(outbox_->counters().Get(OutboxCounter::kFull), 1u);
  outbox_->Acknowledge(1);
  ASSERT_TRUE(outbox_->Commit(AuditEvents(1, 9, 3)).ok());  // trims by itself
  EXPECT_EQ(IdsAfter(1).size(), 10u);
}

TEST_F(OutboxTest, BytesAreBoundedToo) {
  OutboxOptions options = Options();
  options.bytes_max = 10'000;
  Open(options);
  ASSERT_TRUE(outbox_->Commit(AuditEvents(1, 1, 4, 2'000)).ok());
  EXPECT_FALSE(outbox_->Commit(AuditEvents(1, 5, 1, 2'000)).ok());
  EXPECT_GT(outbox_->stats().bytes, 8'000u);
  EXPECT_LE(outbox_->stats().bytes, 10'000u);
}

// A long run with random acknowledgements against a plain list: nothing unacknowledged is ever
// missing, nothing below the prefix stays, counts add up, and the file does not grow without end.
TEST_F(OutboxTest, EqualsAListOverALongRun) {
  for (uint32_t seed = 1; seed <= 3; ++seed) {
    outbox_.reset();
    std::filesystem::remove_all(folder_ / "outbox");
    Open();
    std::mt19937 random(seed);
    uint64_t next = 1, prefix = 0;
    std::vector<bool> acknowledged(1, true);
    for (int step = 0; step < 60; ++step) {
      const size_t count = random() % 40;
      if (next - 1 - prefix + count <= 900) {
        ASSERT_TRUE(outbox_->Commit(AuditEvents(seed, next, count, random() % 300)).ok());
        next += count;
        acknowledged.resize(next, false);
      }
      for (int i = 0; i < 45 && next > 1; ++i) {
        const uint64_t position = std::min<uint64_t>(prefix + 1 + random() % 60, next - 1);
        outbox_->Acknowledge(position);
        acknowledged[position] = true;
      }
      while (prefix + 1 < next && acknowledged[prefix + 1]) ++prefix;
      if (random() % 4 == 0) {
        ASSERT_TRUE(outbox_->Trim().ok());
        ASSERT_EQ(outbox_->stats().records, next - 1 - prefix);
        ASSERT_EQ(IdsAfter(prefix).size(), next - 1 - prefix);
      }
      if (random() % 16 == 0) {
        ASSERT_TRUE(outbox_->Trim().ok());
        Open();
        for (uint64_t position = prefix + 1; position < next; ++position)
          acknowledged[position] = false;
        ASSERT_EQ(outbox_->stats().next_position, next);
      }
    }
  }
}

TEST_F(OutboxTest, SnapshotAndPositionCommitTogether) {
  Open();
  const auto none = outbox_->LoadSnapshot();
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none.value().has_value());
  ASSERT_TRUE(outbox_->Commit(AuditEvents(1, 1, 3), AsBytes("state after 3")).ok());
  const uint64_t epoch = outbox_->epoch();
  ASSERT_TRUE(outbox_->Commit(AuditEvents(1, 4, 2)).ok());
  Open();
  const auto snapshot = outbox_->LoadSnapshot();
  ASSERT_TRUE(snapshot.ok() && snapshot.value().has_value());
  EXPECT_EQ(snapshot.value()->blob, "state after 3");
  EXPECT_EQ(snapshot.value()->position, 3u);
  EXPECT_EQ(snapshot.value()->epoch, epoch);
  const std::string too_large(Options().snapshot_bytes_max + 1, 'x');
  EXPECT_FALSE(outbox_->Commit({}, AsBytes(too_large)).ok());
  ASSERT_TRUE(outbox_->Commit({}, AsBytes("later")).ok());
  EXPECT_EQ(outbox_->LoadSnapshot().value()->position, 5u);
}

TEST_F(OutboxTest, ASecondOwnerIsRefused) {
  Open();
  const auto second = Outbox::Open(Options(), clock_);
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.message().find("in use"), std::string::npos) << second.message();
}

TEST_F(OutboxTest, AFolderThatCannotBeMadeSaysSo) {
  OutboxOptions options = Options();
  options.dir = folder_ / "no/such/parent";
  const auto opened = Outbox::Open(options, clock_);
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.message().find(options.dir), std::string::npos) << opened.message();
}

// A file size limit stands in for a full disk: the kernel refuses the write in the same place.
TEST_F(OutboxTest, AFullDiskRefusesTheCommitAndLosesNothing) {
  Open();
  ASSERT_TRUE(outbox_->Commit(AuditEvents(1, 1, 10)).ok());
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{std::filesystem::file_size(folder_ / "outbox/data.mdb"), before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status refused = outbox_->Commit(AuditEvents(1, 11, 200, 1'000));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.message().find("space"), std::string::npos) << refused.message();
  EXPECT_EQ(IdsAfter(0).size(), 10u);
  ASSERT_TRUE(outbox_->Commit(AuditEvents(1, 11, 200, 1'000)).ok());
  EXPECT_EQ(IdsAfter(0).size(), 210u);
}

TEST_F(OutboxTest, OneReadAlwaysGivesAnEventHoweverLarge) {
  Open();
  ASSERT_TRUE(outbox_->Commit(AuditEvents(1, 1, 3, 5'000)).ok());
  std::vector<OutboxRecord> records;
  ASSERT_TRUE(outbox_->Read(0, 10, 1, &records).ok());
  EXPECT_EQ(records.size(), 1u);
}

// Committing and draining at once, as live: every event is read exactly once in order by one
// drainer.
TEST_F(OutboxTest, CommitAndDrainAtOnce) {
  Open();
  constexpr uint64_t kEvents = 3'000;
  std::thread producer([&] {
    OutboxSink sink(*outbox_);
    for (uint64_t next = 1; next <= kEvents;) {
      const size_t count = std::min<uint64_t>(1 + next % 50, kEvents - next + 1);
      if (sink.Write(AuditEvents(1, next, count)).ok()) {
        next += count;
      } else {
        std::this_thread::yield();  // full: the drainer makes room
      }
    }
  });
  uint64_t position = 0;
  while (position < kEvents) {
    outbox_->WaitPast(position, 5'000);
    std::vector<OutboxRecord> records;
    ASSERT_TRUE(outbox_->Read(position, 256, 1 << 20, &records).ok());
    for (const OutboxRecord& record : records) {
      ASSERT_EQ(record.event_id, EventId("box-a", 1, ++position));
      outbox_->Acknowledge(record.position);
    }
  }
  producer.join();
  ASSERT_TRUE(outbox_->Trim().ok());
  EXPECT_EQ(outbox_->stats().records, 0u);
  EXPECT_EQ(outbox_->counters().Get(OutboxCounter::kTrimmed), kEvents);
}

}  // namespace
}  // namespace stillwatch::pipeline
