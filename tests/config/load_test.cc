#include "config/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "config/diff.h"
#include "config/schema.h"

namespace stillwatch::config {
namespace {

using ::testing::HasSubstr;

std::string Problem(std::string_view text, std::vector<std::string> sets = {}) {
  const Result<Config> config = ParseConfig(text, "box.toml", sets);
  return config.ok() ? "" : config.message();
}

TEST(SchemaTest, EveryKeyHasItsDefaultAndAMeaning) {
  const Config config = ParseConfig("", "x", {}).value();
  for (const Key& key : Schema()) {
    EXPECT_EQ(Print(key, config), key.default_value) << key.path;
    EXPECT_FALSE(key.meaning.empty()) << key.path;
    EXPECT_EQ(FindKey(key.path), &key) << key.path << " is listed twice";
  }
}

TEST(SchemaTest, EveryKeyCanBeSetOnTheCommandLine) {
  for (const Key& key : Schema()) {
    EXPECT_EQ(Problem("", {std::string(key.path) + "=" + std::string(key.default_value)}), "");
  }
}

TEST(SchemaTest, ReferencePageIsThatOfTheSchema) {
  std::ifstream file(STILLWATCH_SOURCE_DIR "/docs/config.md");
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), SchemaMarkdown()) << "run: stillwatch config-reference > docs/config.md";
}

TEST(LoadTest, ReadsValuesOfEveryKind) {
  const Config config = ParseConfig(R"(
[ports]
mode = "inline"
a = "eth0"
ignore_checksums = true
[flow]
flows_max = 4_096
[policy]
allow_owners = ["org-1", "org-2"]
)", "box.toml", {}).value();
  EXPECT_EQ(config.ports.mode, "inline");
  EXPECT_TRUE(config.ports.ignore_checksums);
  EXPECT_EQ(config.flow.flows_max, 4096);
  EXPECT_EQ(config.policy.allow_owners, (std::vector<std::string>{"org-1", "org-2"}));
  EXPECT_EQ(config.flow.idle_timeout_s, 600);
}

TEST(LoadTest, NamesPlaceAndMendOfEveryMistake) {
  EXPECT_THAT(Problem("[flow]\nflow_max = 5000\n"),
              HasSubstr("box.toml:2:1: unknown key flow.flow_max; did you mean flow.flows_max?"));
  EXPECT_THAT(Problem("[flow]\nflows_max = 5\n"), HasSubstr("box.toml:2:13: flow.flows_max = 5 is out of range"));
  EXPECT_THAT(Problem("[flow]\nflows_max = \"5000\"\n"), HasSubstr("must be a whole number"));
  EXPECT_THAT(Problem("[flow]\nflows_max = 5000.0\n"), HasSubstr("must be a whole number"));
  EXPECT_THAT(Problem("[ports]\nmode = \"bridge\"\n"), HasSubstr("use one of \"inline\", \"mirror\", \"replay\""));
  EXPECT_THAT(Problem("[ports]\na = \"x\"\na = \"y\"\n"), HasSubstr("box.toml:3:"));
  EXPECT_THAT(Problem("[ports\n"), HasSubstr("box.toml:1:"));
  EXPECT_THAT(Problem("[ports]\nignore_checksums = 1\n"), HasSubstr("true or false"));
  EXPECT_THAT(Problem("[policy]\nallow_owners = [1]\n"), HasSubstr("list of strings"));
  EXPECT_THAT(Problem("nonsense = 1\n"), HasSubstr("box.toml:1:1: unknown key nonsense"));
  EXPECT_THAT(Problem("flow = 3\n"), HasSubstr("unknown key flow"));
}

TEST(LoadTest, ReportsAllMistakesAtOnce) {
  const std::string problem = Problem("[flow]\nflows_max = 1\nidle_timeout_s = 0\n");
  EXPECT_THAT(problem, HasSubstr("flows_max"));
  EXPECT_THAT(problem, HasSubstr("idle_timeout_s"));
}

TEST(LoadTest, ChecksWhatGoesTogether) {
  EXPECT_THAT(Problem("[ports]\ndescriptors = 1000\n"), HasSubstr("power of two"));
  EXPECT_THAT(Problem("[kafka]\nenabled = true\n"), HasSubstr("kafka.brokers"));
  EXPECT_THAT(Problem("[policy]\nstep_up_permille = 900\nthrottle_permille = 800\n"), HasSubstr("ladder"));
}

TEST(LoadTest, SetsWinOverTheFile) {
  const std::vector<std::string> sets{"box.name=edge-7", "threads.workers=3",
                                      "kafka.brokers=[\"127.0.0.1:1\"]"};
  const Config config = ParseConfig("[threads]\nworkers = 1\n", "f", sets).value();
  EXPECT_EQ(config.box.name, "edge-7");
  EXPECT_EQ(config.threads.workers, 3);
  EXPECT_EQ(config.kafka.brokers.size(), 1u);
  EXPECT_THAT(Problem("", {"threads.worker=3"}), HasSubstr("did you mean threads.workers?"));
  EXPECT_THAT(Problem("", {"threads.workers"}), HasSubstr("KEY=VALUE"));
}

TEST(LoadTest, ExamplesLoad) {
  for (const char* name : {"inline", "mirror", "replay"}) {
    const Result<Config> config =
        LoadConfig(std::string(STILLWATCH_SOURCE_DIR "/config/examples/") + name + ".toml", {});
    ASSERT_TRUE(config.ok()) << config.message();
    EXPECT_EQ(config.value().ports.mode, name);
    if (config.value().ports.mode != "replay") {
      EXPECT_TRUE(LiveProblems(config.value()).empty());
    }
  }
  EXPECT_FALSE(LoadConfig("/nowhere/box.toml", {}).ok());
}

TEST(SecretTest, ReadsHexAndRefusesTheRest) {
  EXPECT_EQ(ReadSecret("k", "hex:6162").value(), "ab");
  EXPECT_FALSE(ReadSecret("k", "hex:616").ok());
  EXPECT_FALSE(ReadSecret("k", "secret").ok());
  EXPECT_THAT(ReadSecret("k", "file:/nowhere/key").message(), HasSubstr("/nowhere/key"));
}

TEST(DiffTest, RestartKeysRefuseTheWholeReload) {
  const Config before = ParseConfig("", "f", {}).value();
  const Config hot = ParseConfig("[policy]\nversion = \"2\"\n", "f", {}).value();
  EXPECT_EQ(Diff(before, hot).size(), 1u);
  EXPECT_EQ(RefusalOf(Diff(before, hot)), "");
  const Config cold = ParseConfig("[policy]\nversion = \"2\"\n[ports]\na = \"eth9\"\n", "f", {}).value();
  EXPECT_THAT(RefusalOf(Diff(before, cold)), HasSubstr("ports.a"));
  const Config secret = ParseConfig("[privacy]\nsalt = \"hex:11\"\n", "f", {}).value();
  EXPECT_THAT(RefusalOf(Diff(before, secret)), ::testing::Not(HasSubstr("hex:11")));
}

}  // namespace
}  // namespace stillwatch::config
