// `stillwatch replay --edges`: the campaign assembler alone, from recorded edges and profiles, gives the verdicts of the
// run that was recorded; a recording is private, and a damaged one is refused in one line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <regex>

#include "tests/tools/stillwatch/replay_suite.h"

namespace stillwatch {
namespace {

using ::testing::HasSubstr;
using testing::Ran;
using testing::ReadAll;

// A topic's file without what must differ: the number that each event gets.
std::string Records(const std::string& folder, const std::string& topic) {
  static const std::regex event_id("\"event_id\":\"[^\"]*\"");
  return std::regex_replace(ReadAll(folder + "/" + topic + ".ndjson"), event_id, "");
}

class ReplayEdgesTest : public testing::ReplaySuite {
 protected:
  static void SetUpTestSuite() {
    ReplaySuite::SetUpTestSuite();
    // A campaign that sweeps templates within hours, and a slow one over ten days.
    Record("t1", {"--scenario", "t1", "--seed", "1"});
    Record("t6", {"--mix", "chat=60,agent=20,t6=1x60", "--days", "10", "--seed", "5"});
  }
  static void Record(const std::string& name, const std::vector<std::string>& words) {
    Make("capture", name + ".pcap", words);
    const Ran recorded = Replay(name, {"--record-edges", Path(name + ".edges"), Path(name + ".pcap")});
    ASSERT_EQ(recorded.exit, 0) << recorded.output;
  }

  static void ExpectRefused(const std::string& bytes, const std::string& why) {
    std::ofstream(Path("bad.edges"), std::ios::binary | std::ios::trunc) << bytes;
    const Ran ran = Replay("bad", {"--edges", Path("bad.edges")});
    EXPECT_EQ(ran.exit, 2) << ran.output;
    EXPECT_EQ(std::count(ran.output.begin(), ran.output.end(), '\n'), 1) << ran.output;
    EXPECT_THAT(ran.output, ::testing::StartsWith("stillwatch: " + Path("bad.edges") + ": "));
    EXPECT_THAT(ran.output, HasSubstr(why));
  }
};

TEST_F(ReplayEdgesTest, TheAssemblerAloneGivesTheSameVerdicts) {
  for (const std::string name : {"t1", "t6"}) {
    const Ran ran = Replay(name + ".alone", {"--edges", Path(name + ".edges")});
    ASSERT_EQ(ran.exit, 0) << ran.output;
    EXPECT_FALSE(Records(Path(name), "campaign-verdict").empty()) << name << " has nothing to compare";
    for (const std::string topic : {"campaign-verdict", "campaign-state", "enforcement-advice"}) {
      EXPECT_TRUE(Records(Path(name), topic) == Records(Path(name + ".alone"), topic)) << name << " " << topic;
    }
  }
}

TEST_F(ReplayEdgesTest, RecordingChangesNoRecord) {
  ASSERT_EQ(Replay("plain", {Path("t1.pcap")}).exit, 0);
  for (const std::string topic : {"campaign-verdict", "edge", "account-profile", "enforcement-advice"}) {
    EXPECT_TRUE(ReadAll(Path("plain/" + topic + ".ndjson")) == ReadAll(Path("t1/" + topic + ".ndjson"))) << topic;
  }
}

TEST_F(ReplayEdgesTest, ARecordingIsPrivateAndSaysWhatItHolds) {
  // Also where the file was there before, open to all.
  std::ofstream(Path("old.edges")) << "x";
  ASSERT_EQ(chmod(Path("old.edges").c_str(), 0644), 0);
  ASSERT_EQ(Replay("again", {"--record-edges", Path("old.edges"), Path("t1.pcap")}).exit, 0);
  for (const std::string name : {"t1.edges", "old.edges"}) {
    struct stat status;
    ASSERT_EQ(stat(Path(name).c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u) << name;
  }
  const std::string bytes = ReadAll(Path("old.edges"));
  EXPECT_THAT(bytes.substr(0, bytes.find('\n')), HasSubstr("personal data"));
  EXPECT_TRUE(bytes == ReadAll(Path("t1.edges")));
}

TEST_F(ReplayEdgesTest, WhatIsCutOrDamagedIsRefused) {
  const std::string bytes = ReadAll(Path("t1.edges"));
  const size_t head = bytes.find('\n') + 1;
  ExpectRefused("", "is no file of");
  ExpectRefused("{\"event_id\":\"replay-1-1\"}\n" + bytes, "is no file of");
  for (const size_t size : {head, head + 5, head + 40, bytes.size() / 3, bytes.size() - 1}) {
    ExpectRefused(bytes.substr(0, size), "is cut short");
  }
  ExpectRefused(bytes + "x", "goes on after its end");
  for (const size_t at : {head + 20, bytes.size() / 2, bytes.size() - 3}) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    ExpectRefused(damaged, "");
  }
  // A length that no file fills takes no such memory.
  std::string endless = bytes.substr(0, head + 4);
  endless[head + 3] = 0x0f;
  ExpectRefused(endless + bytes.substr(head + 4), "is cut short");
  endless[head + 3] = 0x7f;
  ExpectRefused(endless + bytes.substr(head + 4), "is damaged");
}

TEST_F(ReplayEdgesTest, OtherMistakesAreSaidInOneLine) {
  const auto expect = [&](const std::vector<std::string>& words, int exit, const std::string& text) {
    const Ran ran = Replay("never", words);
    EXPECT_EQ(ran.exit, exit) << ran.output;
    EXPECT_EQ(std::count(ran.output.begin(), ran.output.end(), '\n'), 1) << ran.output;
    EXPECT_THAT(ran.output, HasSubstr(text));
  };
  expect({"--edges", "/no/such.edges"}, 2, "/no/such.edges");
  expect({"--edges", Path("")}, 2, "is no file of");
  expect({"--edges", Path("t1.edges"), "--set", "privacy.salt=hex:0000000000000001"}, 2, "another privacy.salt");
  expect({"--record-edges", "/no/such/folder/edges", Path("t1.pcap")}, 2, "/no/such/folder/edges");
  expect({"--edges", Path("t1.edges"), Path("t1.pcap")}, 64, "--edges FILE");
  expect({"--edges", Path("t1.edges"), "--record-edges", Path("more.edges")}, 64, "--edges FILE");
}

}  // namespace
}  // namespace stillwatch
