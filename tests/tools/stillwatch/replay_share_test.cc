// Two boxes with salts of their own and one key of the pair: what `replay --export` tells of a capture, `replay --import` knows again in
// exchanges that were recorded elsewhere; and one line where a bundle is not a partner's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "tests/tools/json_lines.h"
#include "tests/tools/stillwatch/replay_suite.h"

namespace stillwatch {
namespace {

using ::testing::HasSubstr;
using nlohmann::json;
using testing::LinesOf;
using testing::Ran;
using testing::ReadAll;

const std::string kPair = "hex:00112233445566778899aabbccddeeff";
const std::string kSaltB = "hex:bbbbbbbbbbbbbbbb";

class ReplayShareTest : public testing::ReplaySuite {
 protected:
  static void SetUpTestSuite() {
    ReplaySuite::SetUpTestSuite();
    std::vector<std::string> world = {"--scenario", "t1", "--split", "dev", "--seed", "1", "--hours", "6"};
    Make("capture", "a.pcap", world);
    world.insert(world.end(), {"--account-key", testing::kReplayAccountKey, "--salt", kSaltB, "--partner-key", kPair});
    Make("record", "b.exchanges", world);
    const Ran ran = Replay("a", {"--set", "privacy.salt=hex:aaaaaaaaaaaaaaaa", "--set", "sharing.partners=[\"b " + kPair + "\"]", "--export",
                                 Path("bundles"), Path("a.pcap")});
    ASSERT_EQ(ran.exit, 0) << ran.output;
    for (const auto& file : std::filesystem::directory_iterator(Path("bundles"))) bundle_ = file.path();
    ASSERT_FALSE(bundle_.empty()) << ran.output;
  }
  static Ran ReplayB(const std::string& out, std::vector<std::string> words, const std::string& key = kPair) {
    words.insert(words.begin(), {"--set", "privacy.salt=" + kSaltB, "--set", "sharing.partners=[\"a " + key + "\"]"});
    words.push_back(Path("b.exchanges"));
    return Replay(out, words);
  }
  // The bundle with one text in the place of another.
  static std::string Changed(const std::string& from, const std::string& to) {
    std::string text = ReadAll(bundle_);
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    if (at != std::string::npos) text.replace(at, from.size(), to);
    std::ofstream(Path("changed.json"), std::ios::binary) << text;
    return Path("changed.json");
  }

  static std::string bundle_;
};
std::string ReplayShareTest::bundle_;

TEST_F(ReplayShareTest, TheOtherBoxObservesItBeforeItFindsItByItself) {
  ASSERT_EQ(ReplayB("alone", {}).exit, 0);
  const Ran ran = ReplayB("told", {"--import", bundle_});
  ASSERT_EQ(ran.exit, 0) << ran.output;
  const std::vector<json> told = LinesOf(Path("told/campaign-verdict.ndjson")), alone = LinesOf(Path("alone/campaign-verdict.ndjson"));
  ASSERT_FALSE(told.empty());
  ASSERT_FALSE(alone.empty());
  const json& first = told.front();
  EXPECT_EQ(first["advice"]["action"], "observe");
  EXPECT_EQ(first["advice"]["reason_code"], "partner_claim");
  EXPECT_GE(first["accounts"].size(), 3u);
  EXPECT_THAT(first["evidence"][0]["text"].get<std::string>(), HasSubstr("partner a names"));
  EXPECT_EQ(first["evidence"][0]["weight"], 0);
  EXPECT_LT(first["event_time"].get<std::string>(), alone.front()["event_time"].get<std::string>());
  std::printf("observed after %s exchanges, found after %s\n", first["coverage"]["exchanges_seen"].dump().c_str(),
              alone.front()["coverage"]["exchanges_seen"].dump().c_str());
  // Nobody is advised otherwise for it.
  const auto advice = [&](const std::string& out) {
    std::vector<json> lines = LinesOf(Path(out + "/enforcement-advice.ndjson"));
    for (json& line : lines) line.erase("event_id");
    return lines;
  };
  EXPECT_EQ(advice("told"), advice("alone"));
  EXPECT_FALSE(advice("told").empty());
}

TEST_F(ReplayShareTest, WhatIsNoPartnersBundleIsRefusedInOneLine) {
  const auto refusal = [&](const std::string& file, const std::string& key = kPair) {
    const Ran ran = ReplayB("refused", {"--import", file}, key);
    EXPECT_EQ(ran.exit, 2) << ran.output;
    return ran.output;
  };
  EXPECT_THAT(refusal(Path("nowhere.json")), HasSubstr("cannot be read"));
  EXPECT_THAT(refusal(bundle_, "hex:ffffffffffffffffffffffffffffffff"), HasSubstr("under no key of sharing.partners"));
  EXPECT_THAT(refusal(Changed("\"valid_until\": \"2", "\"valid_until\": \"3")), HasSubstr("not signed with the key"));
  EXPECT_THAT(refusal(Changed("\"pattern\": \"stillwatch-fragments/1", "\"pattern\": \"stillwatch-fragments/7")), HasSubstr("another kind"));
  EXPECT_THAT(refusal(Changed("\"pattern_type\": \"stillwatch\"", "\"pattern_type\": \"stix\"")), HasSubstr("no indicator"));
  EXPECT_THAT(refusal(Changed("{", "")), HasSubstr("no JSON"));
}

}  // namespace
}  // namespace stillwatch
