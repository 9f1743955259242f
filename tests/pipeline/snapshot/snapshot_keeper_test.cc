// The keeper writes what it was handed, tells when it is done, and a disk that refuses costs the new file only.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "pipeline/snapshot/snapshot_keeper.h"
#include "tests/pipeline/store/temp_folder.h"

namespace stillwatch::pipeline {
namespace {

TEST(SnapshotKeeper, WritesOneAfterTheOther) {
  const TempFolder folder;
  const SystemClock clock;
  const SealKey key = MakeSealKey("key", Salt{1});
  const std::string path = folder / "memory.snapshot";
  SnapshotKeeper keeper(path, key, 5, clock);
  EXPECT_EQ(keeper.status().written_ns, 0);
  for (int i = 1; i <= 3; ++i) {
    keeper.Write(std::to_string(i), i * 10, i * 1'000'000);
    keeper.Wait();
    EXPECT_FALSE(keeper.busy());
    EXPECT_EQ(ReadSealedFile(path, key, 5).value(), std::to_string(i));
    EXPECT_EQ(keeper.status().traffic_time_ns, i * 10);
  }
  keeper.Collect();
  EXPECT_EQ(keeper.counters().Get(SnapshotCounter::kWritten), 3u);
  EXPECT_EQ(keeper.counters().Get(SnapshotCounter::kPauseUsMax), 3'000u);
  EXPECT_EQ(keeper.counters().Get(SnapshotCounter::kBytes), std::filesystem::file_size(path));
}

TEST(SnapshotKeeper, ADiskThatRefusesKeepsTheFileBefore) {
  const TempFolder folder;
  const SystemClock clock;
  const SealKey key = MakeSealKey("key", Salt{1});
  const std::string path = folder / "memory.snapshot";
  SnapshotKeeper keeper(path, key, 5, clock);
  keeper.Write("old", 1, 0);
  keeper.Wait();
  std::filesystem::create_directory(path + ".part");  // cannot be taken away by unlink
  keeper.Write("new", 2, 0);
  keeper.Wait();
  keeper.Collect();
  EXPECT_EQ(keeper.counters().Get(SnapshotCounter::kFailed), 1u);
  EXPECT_NE(keeper.status().last_error, "");
  EXPECT_EQ(ReadSealedFile(path, key, 5).value(), "old");
  std::filesystem::remove(path + ".part");
  keeper.Write("new", 2, 0);
  keeper.Wait();
  EXPECT_EQ(keeper.status().last_error, "");
  EXPECT_EQ(ReadSealedFile(path, key, 5).value(), "new");
}

TEST(SnapshotKeeper, EndsWithWhatItWasHanded) {
  const TempFolder folder;
  const SystemClock clock;
  const SealKey key = MakeSealKey("key", Salt{1});
  { SnapshotKeeper(folder / "a", key, 5, clock).Write(std::string(5'000'000, 'x'), 1, 0); }
  EXPECT_TRUE(SnapshotKeeper(folder / "a", key, 5, clock).there());
  EXPECT_GT(SnapshotKeeper(folder / "a", key, 5, clock).status().written_ns, 0);
  EXPECT_FALSE(SnapshotKeeper(folder / "b", key, 5, clock).there());
  EXPECT_EQ(ReadSealedFile(folder / "a", key, 5).value().size(), 5'000'000u);
}

}  // namespace
}  // namespace stillwatch::pipeline
