#include "pipeline/sink/ndjson_sink.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "pipeline/sink/memory_sink.h"
#include "tests/pipeline/store/events.h"
#include "tests/pipeline/store/temp_folder.h"

namespace stillwatch::pipeline {
namespace {

std::string ReadFile(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::set<std::string> NamesIn(const std::string& dir) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(dir))
    names.insert(entry.path().filename());
  return names;
}

std::vector<Event> MixedEvents(uint64_t first, size_t count) {
  std::vector<Event> events = AuditEvents(1, first, count);
  for (size_t i = 0; i < count; ++i) {
    auto edge = std::make_unique<v1::Edge>();
    edge->set_count(first + i);
    events.push_back(Event{Topic::kEdge, "a/b/1", std::move(edge)});
  }
  return events;
}

class NdjsonSinkTest : public testing::Test {
 protected:
  NdjsonOptions Options() const {
    NdjsonOptions options;
    options.dir = folder_ / "out";
    return options;
  }
  void Open(const NdjsonOptions& options) {
    sink_.reset();
    auto opened = NdjsonSink::Open(options, clock_);
    ASSERT_TRUE(opened.ok()) << opened.message();
    sink_ = std::move(opened).value();
  }
  std::string Lines(const std::string& name) const { return ReadFile(folder_ / ("out/" + name)); }

  TempFolder folder_;
  FakeClock clock_{1'767'225'600 * kNsPerSecond};
  std::unique_ptr<NdjsonSink> sink_;
};

TEST_F(NdjsonSinkTest, OneFileATopicAlsoWhereNothingHappened) {
  Open(Options());
  const std::vector<Event> events = MixedEvents(1, 3);
  ASSERT_TRUE(sink_->Write(events).ok());
  ASSERT_TRUE(sink_->Flush().ok());
  MemorySink memory;
  ASSERT_TRUE(memory.Write(events).ok());
  EXPECT_EQ(Lines("audit.ndjson"), memory.Lines(Topic::kAudit));
  EXPECT_EQ(Lines("edge.ndjson"), memory.Lines(Topic::kEdge));
  EXPECT_EQ(
      NamesIn(folder_ / "out"),
      (std::set<std::string>{"account-profile.ndjson", "audit.ndjson", "box-status.ndjson",
                             "campaign-state.ndjson", "campaign-verdict.ndjson", "edge.ndjson",
                             "enforcement-advice.ndjson", "request-sketch.ndjson"}));
  EXPECT_EQ(Lines("campaign-verdict.ndjson"), "");
}

TEST_F(NdjsonSinkTest, ReplayStartsAnewAndTheDaemonGoesOn) {
  Open(Options());
  ASSERT_TRUE(sink_->Write(AuditEvents(1, 1, 2)).ok());
  const std::string once = Lines("audit.ndjson");
  Open(Options());
  ASSERT_TRUE(sink_->Write(AuditEvents(1, 1, 2)).ok());
  EXPECT_EQ(Lines("audit.ndjson"), once);
  NdjsonOptions keep = Options();
  keep.keep_existing = true;
  Open(keep);
  ASSERT_TRUE(sink_->Write(AuditEvents(1, 1, 2)).ok());
  EXPECT_EQ(Lines("audit.ndjson"), once + once);
}

TEST_F(NdjsonSinkTest, ATornLastLineIsCutAtStart) {
  Open(Options());
  ASSERT_TRUE(sink_->Write(AuditEvents(1, 1, 2, 5'000)).ok());
  const std::string whole = Lines("audit.ndjson");
  std::ofstream(folder_ / "out/audit.ndjson", std::ios::app)
      << "{\"event_id\":\"box" << std::string(9'000, 'x');
  std::ofstream(folder_ / "out/edge.ndjson", std::ios::app) << "{";
  NdjsonOptions keep = Options();
  keep.keep_existing = true;
  Open(keep);
  EXPECT_EQ(Lines("audit.ndjson"), whole);
  EXPECT_EQ(Lines("edge.ndjson"), "");
  EXPECT_EQ(sink_->counters().Get(NdjsonCounter::kTornCut), 2u);
}

// A file size limit stands in for a full disk. The edges fit, the audit lines do not: neither may
// stay.
TEST_F(NdjsonSinkTest, AFullDiskLeavesNothingHalfWritten) {
  Open(Options());
  ASSERT_TRUE(sink_->Write(MixedEvents(1, 2)).ok());
  const std::string audit = Lines("audit.ndjson"), edge = Lines("edge.ndjson");
  std::vector<Event> events = MixedEvents(3, 1);
  for (uint64_t i = 4; i < 24; ++i) events.push_back(AuditEvent(1, i, 1'000));
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{10'000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status refused = sink_->Write(events);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.message().find("out/audit.ndjson"), std::string::npos) << refused.message();
  EXPECT_EQ(Lines("audit.ndjson"), audit);
  EXPECT_EQ(Lines("edge.ndjson"), edge);
  EXPECT_EQ(sink_->counters().Get(NdjsonCounter::kWriteFailed), 1u);
  ASSERT_TRUE(sink_->Write(events).ok());  // the same events again, once there is room
  const std::string mended = Lines("audit.ndjson");
  EXPECT_EQ(std::count(mended.begin(), mended.end(), '\n'), 23);
}

TEST_F(NdjsonSinkTest, RotatesBySizeAndKeepsTheNewest) {
  NdjsonOptions options = Options();
  options.rotate_bytes = 1'000;
  options.rotated_files_max = 3;
  Open(options);
  std::string all;
  for (uint64_t i = 1; i <= 8; ++i) {
    ASSERT_TRUE(sink_->Write(AuditEvents(1, i, 1, 1'000)).ok());
    if (i == 4) clock_.Advance(kNsPerSecond);
  }
  EXPECT_EQ(Lines("audit.ndjson"), "");
  const std::set<std::string> names = NamesIn(folder_ / "out");
  EXPECT_EQ(names.size(), kTopics + 3);
  for (const char* name : {"audit.20260101T000001Z.1.ndjson", "audit.20260101T000001Z.2.ndjson",
                           "audit.20260101T000001Z.3.ndjson"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
  EXPECT_NE(Lines("audit.20260101T000001Z.3.ndjson").find("box-a-1-8"), std::string::npos);
  EXPECT_EQ(sink_->counters().Get(NdjsonCounter::kRotated), 8u);
  EXPECT_EQ(sink_->counters().Get(NdjsonCounter::kRemoved), 5u);
}

TEST_F(NdjsonSinkTest, NeverRotatesUnlessTold) {
  Open(Options());
  for (uint64_t i = 1; i <= 50; ++i) ASSERT_TRUE(sink_->Write(AuditEvents(1, i, 10, 1'000)).ok());
  EXPECT_EQ(NamesIn(folder_ / "out").size(), kTopics);
}

TEST_F(NdjsonSinkTest, AFolderThatCannotBeMadeSaysSo) {
  NdjsonOptions options = Options();
  options.dir = folder_ / "no/such/parent";
  const auto opened = NdjsonSink::Open(options, clock_);
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.message().find(options.dir), std::string::npos) << opened.message();
}

}  // namespace
}  // namespace stillwatch::pipeline
