// kill -9 at random moments. A child commits numbered events and tells through a pipe what has been
// committed; the parent kills it, reopens the store and compares. (A kill keeps the page cache:
// this shows that commits are whole and ordered, not what a power loss leaves; that is fsync's and
// the disk's part.)
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>

#include "base/endian.h"
#include "pipeline/store/outbox.h"
#include "tests/pipeline/store/events.h"
#include "tests/pipeline/store/temp_folder.h"

namespace stillwatch::pipeline {
namespace {

OutboxOptions OptionsIn(const TempFolder& folder) {
  OutboxOptions options;
  options.dir = folder / "outbox";
  options.records_max = 100'000;
  options.bytes_max = 64 << 20;
  options.snapshot_bytes_max = 1 << 20;
  return options;
}

// What the child tells: before it acknowledges and after each commit.
struct Report {
  uint64_t epoch;
  uint64_t committed;     // up to this position
  uint64_t acknowledged;  // or about to be
};

// Commits until killed: random batches, now and then a snapshot naming the position, now and then
// acknowledgements and a trim.
[[noreturn]] void CommitUntilKilled(const TempFolder& folder, uint32_t seed, int report_fd) {
  auto opened = Outbox::Open(OptionsIn(folder), SystemClock());
  if (!opened.ok()) _exit(3);
  Outbox& outbox = *opened.value();
  std::mt19937 random(seed);
  uint64_t acknowledged = outbox.stats().acknowledged_prefix;
  const auto tell = [&](uint64_t committed, uint64_t acknowledging) {
    const Report report{outbox.epoch(), committed, acknowledging};
    if (write(report_fd, &report, sizeof report) != sizeof report) _exit(6);
  };
  for (;;) {
    const uint64_t first = outbox.stats().next_position;
    const size_t count = 1 + random() % 20;
    const std::string blob = "state at " + std::to_string(first + count - 1);
    const auto events = AuditEvents(outbox.epoch(), first, count, random() % 3'000);
    const bool snapshot = random() % 5 == 0;
    if (random() % 3 == 0) {
      const uint64_t until = acknowledged + random() % (first - acknowledged);
      tell(first - 1, until);
      for (; acknowledged < until; ++acknowledged) outbox.Acknowledge(acknowledged + 1);
      if (random() % 2 == 0 && !outbox.Trim().ok()) _exit(4);
    }
    const Status status = snapshot ? outbox.Commit(events, AsBytes(blob)) : outbox.Commit(events);
    if (!status.ok()) _exit(5);
    tell(first + count - 1, acknowledged);
  }
}

TEST(OutboxCrashTest, EveryCommittedEventSurvivesKill9) {
  const TempFolder folder;
  uint64_t epoch_before = 0;
  Report last{};
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed * 7919);
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      close(ends[0]);
      CommitUntilKilled(folder, seed, ends[1]);
    }
    close(ends[1]);
    const int reports = 1 + static_cast<int>(random() % 30);
    for (int i = 0; i < reports; ++i) {
      ASSERT_EQ(read(ends[0], &last, sizeof last), static_cast<ssize_t>(sizeof last));
    }
    usleep(random() % 3'000);  // anywhere in a commit; what is asserted holds at any moment
    ASSERT_EQ(kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
    while (read(ends[0], &last, sizeof last) == static_cast<ssize_t>(sizeof last)) {
    }
    close(ends[0]);

    auto opened = Outbox::Open(OptionsIn(folder), SystemClock());
    ASSERT_TRUE(opened.ok()) << opened.message();
    Outbox& outbox = *opened.value();
    EXPECT_GT(last.epoch, epoch_before) << "an event was committed before its epoch was durable";
    EXPECT_GT(outbox.epoch(), last.epoch);
    epoch_before = outbox.epoch();
    const OutboxStats stats = outbox.stats();
    ASSERT_GT(stats.next_position, last.committed)
        << "seed " << seed << ": a committed event is gone";
    ASSERT_LE(stats.next_position - 1 - stats.records, last.acknowledged)
        << "seed " << seed << ": an event was trimmed that nobody acknowledged";
    std::vector<OutboxRecord> records;
    ASSERT_TRUE(outbox.Read(0, 1'000'000, 1 << 30, &records).ok());
    ASSERT_EQ(records.size(), stats.records);
    uint64_t position = stats.next_position - stats.records;
    for (const OutboxRecord& record : records) {
      ASSERT_EQ(record.position, position);
      const auto id = ParseEventId(record.event_id);
      ASSERT_TRUE(id.has_value());
      ASSERT_EQ(id->sequence, position) << "seed " << seed;
      ++position;
    }
    const auto snapshot = outbox.LoadSnapshot();
    ASSERT_TRUE(snapshot.ok());
    if (snapshot.value()) {
      EXPECT_EQ(snapshot.value()->blob, "state at " + std::to_string(snapshot.value()->position));
    }
  }
}

}  // namespace
}  // namespace stillwatch::pipeline
