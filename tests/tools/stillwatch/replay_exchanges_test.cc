// `stillwatch replay` on recorded exchanges: the same files each time, the campaign that a capture of the same scenario
// shows, and one line where a file is not whole or not this box's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "base/endian.h"
#include "tests/tools/json_lines.h"
#include "tests/tools/stillwatch/replay_suite.h"

namespace stillwatch {
namespace {

using ::testing::HasSubstr;
using nlohmann::json;
using testing::LinesOf;
using testing::Ran;
using testing::ReadAll;

class ReplayExchangesTest : public testing::ReplaySuite {
 protected:
  static void SetUpTestSuite() {
    ReplaySuite::SetUpTestSuite();
    std::vector<std::string> world = {"--scenario", "t1", "--split", "dev", "--seed", "1", "--hours", "6"};
    Make("capture", "made.pcap", world);
    world.insert(world.end(), {"--account-key", testing::kReplayAccountKey});
    Make("record", "made.exchanges", world);
  }
  // The first `records` exchanges, and those that follow, as two whole files; numbers go on.
  static void Split(uint64_t records) {
    const std::string bytes = ReadAll(Path("made.exchanges")), head = bytes.substr(0, 32);
    size_t at = head.size();
    for (uint64_t i = 0; i < records; ++i) at += 16 + (LoadLe<uint64_t>(&bytes[at]) + 7) / 8 * 8;
    const uint64_t all = LoadLe<uint64_t>(&bytes[bytes.size() - 8]);
    const auto end = [](uint64_t count) {
      uint8_t words[16] = {};
      StoreLe(words + 8, count);
      return std::string(reinterpret_cast<const char*>(words), sizeof words);
    };
    std::ofstream(Path("first.exchanges"), std::ios::binary) << bytes.substr(0, at) + end(records);
    std::ofstream(Path("second.exchanges"), std::ios::binary)
        << head + bytes.substr(at, bytes.size() - 16 - at) + end(all - records);
  }
};

TEST_F(ReplayExchangesTest, TheSameFilesEachTimeWholeOrInTwo) {
  const std::string file = Path("made.exchanges");
  ASSERT_EQ(Replay("once", {file}).exit, 0);
  ASSERT_EQ(Replay("again", {file}).exit, 0);
  Split(2000);
  const Ran halves = Replay("halves", {Path("first.exchanges"), Path("second.exchanges")});
  ASSERT_EQ(halves.exit, 0) << halves.output;
  EXPECT_THAT(halves.output, HasSubstr(" recorded exchanges read"));
  EXPECT_FALSE(ReadAll(Path("once/campaign-verdict.ndjson")).empty());
  for (const std::string topic : {"campaign-verdict", "campaign-state", "enforcement-advice", "edge", "account-profile", "audit"}) {
    const std::string whole = ReadAll(Path("once/" + topic + ".ndjson"));
    EXPECT_TRUE(whole == ReadAll(Path("again/" + topic + ".ndjson"))) << topic;
    EXPECT_TRUE(whole == ReadAll(Path("halves/" + topic + ".ndjson"))) << topic;
  }
}

// No bytes, so no sizes: a record's answers take other times, some fall to a 429 that did not before, and the two worlds
// drift apart. What was asked stays, and so does who is in the campaign.
TEST_F(ReplayExchangesTest, FindsWhatACaptureOfTheScenarioShows) {
  ASSERT_EQ(Replay("captured", {"--set", "detect.request_sketches=true", Path("made.pcap")}).exit, 0);
  ASSERT_EQ(Replay("recorded", {"--set", "detect.request_sketches=true", Path("made.exchanges")}).exit, 0);

  const auto asked = [](const std::string& folder) {  // by whom, how, and the sketch of the instruction
    std::map<std::string, int> all;
    for (const json& line : LinesOf(folder + "/request-sketch.ndjson")) {
      ++all[json{line["account"], line["dialect"], line["api"], line["model"], line["bands"], line["oph"], line["simhash"]}.dump()];
    }
    return all;
  };
  const auto captured = asked(Path("captured")), recorded = asked(Path("recorded"));
  int same = 0, of = 0;
  for (const auto& [sketch, count] : captured) {
    of += count;
    if (const auto found = recorded.find(sketch); found != recorded.end()) same += std::min(count, found->second);
  }
  EXPECT_GT(of, 5000);
  EXPECT_GE(same * 100, of * 97) << same << " of " << of;

  const auto profiles = [](const std::string& folder) {
    std::map<std::string, json> newest;
    for (const json& line : LinesOf(folder + "/account-profile.ndjson")) newest[line["account"]] = line;
    return newest;
  };
  const auto a = profiles(Path("captured")), b = profiles(Path("recorded"));
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [account, profile] : a) {
    ASSERT_TRUE(b.contains(account)) << account;
    for (const char* field : {"organisation", "dialects", "refusals", "schema"}) EXPECT_EQ(profile[field], b.at(account)[field]) << field;
  }

  const auto advised = [](const std::string& folder) {  // campaign and accounts, at step-up or higher, as last told
    std::map<std::string, std::set<std::string>> groups;
    for (const json& line : LinesOf(folder + "/campaign-verdict.ndjson")) {
      std::set<std::string>& group = groups[line["campaign_id"]];
      group.clear();
      if (line["advice"]["action"] == "observe" || line["state"] == "withdrawn" || line["superseded_by"] != "") continue;
      for (const json& member : line["accounts"]) group.insert(member["id"]);
    }
    std::erase_if(groups, [](const auto& group) { return group.second.empty(); });
    return groups;
  };
  const auto groups = advised(Path("captured"));
  ASSERT_FALSE(groups.empty());
  EXPECT_EQ(groups, advised(Path("recorded")));
}

// --request-hits says of every remembered request whether it counts in a verdict.
TEST_F(ReplayExchangesTest, RequestHitsAreThoseOfTheVerdicts) {
  const Ran ran = Replay("hits", {"--request-hits", Path("hits.csv"), Path("made.exchanges")});
  ASSERT_EQ(ran.exit, 0) << ran.output;
  std::istringstream text(ReadAll(Path("hits.csv")));
  std::string line;
  std::getline(text, line);
  EXPECT_EQ(line, "account,time_s,hit");
  std::map<std::string, size_t> requests, hits;
  while (std::getline(text, line)) {
    const std::string account = line.substr(0, line.find(','));
    ++requests[account];
    if (line.ends_with(",1")) ++hits[account];
  }
  EXPECT_GT(requests.size(), 300u);
  for (const auto& [account, count] : requests) EXPECT_LE(count, 30u) << account;
  std::map<std::string, json> newest;  // by campaign; each has one part here
  for (const json& verdict : LinesOf(Path("hits/campaign-verdict.ndjson"))) newest[verdict["campaign_id"]] = verdict;
  std::map<std::string, size_t> told;
  for (const auto& [id, verdict] : newest) {
    if (verdict["state"] == "withdrawn" || verdict["superseded_by"] != "") continue;
    for (const json& member : verdict["accounts"]) told[member["id"]] = std::max<size_t>(told[member["id"]], member["hits"]);
  }
  ASSERT_GE(told.size(), 60u);
  EXPECT_EQ(hits, told);
}

TEST_F(ReplayExchangesTest, WhatIsNotWholeOrNotThisBoxsIsRefusedInOneLine) {
  const std::string file = Path("made.exchanges"), good = ReadAll(file);
  const auto refused = [&](const std::vector<std::string>& words, const std::string& why) {
    const Ran ran = Replay("never", words);
    EXPECT_EQ(ran.exit, 2) << ran.output;
    EXPECT_EQ(std::count(ran.output.begin(), ran.output.end(), '\n'), 1) << ran.output;
    EXPECT_THAT(ran.output, HasSubstr(why));
  };
  const auto made = [&](const std::string& name, const std::string& bytes) {
    std::ofstream(Path(name), std::ios::binary) << bytes;
    return Path(name);
  };
  std::string damaged = good, older = good;
  damaged[good.size() / 2] ^= 1;
  older[7] = '1';
  refused({"--set", "privacy.salt=hex:0000000000000001", file}, "another privacy.salt");
  refused({"--set", "privacy.account_key=hex:0011", file}, "another privacy.account_key");
  refused({made("cut", good.substr(0, good.size() / 2))}, "cut short");
  refused({made("damaged", damaged)}, "damaged: record ");
  refused({made("older", older)}, "another version");
  refused({made("foreign", "no file of ours, and longer than a head of any kind")}, "foreign");
  refused({file, Path("made.pcap")}, "replay them apart");
  refused({"--keylog", testing::kReplayConfig, file}, "--keylog is for captures");
  Split(2000);
  refused({Path("second.exchanges"), Path("first.exchanges")}, "give files in order of time");
}

}  // namespace
}  // namespace stillwatch
