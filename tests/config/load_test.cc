#include "config/allowed_owner.h"
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

std::string ProblemOf(std::string_view text, std::vector<std::string> sets = {}) {
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
    EXPECT_EQ(ProblemOf("", {std::string(key.path) + "=" + std::string(key.default_value)}), "");
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
  EXPECT_THAT(ProblemOf("[flow]\nflow_max = 5000\n"),
              HasSubstr("box.toml:2:1: unknown key flow.flow_max; did you mean flow.flows_max?"));
  EXPECT_THAT(ProblemOf("[flow]\nflows_max = 5\n"), HasSubstr("box.toml:2:13: flow.flows_max = 5 is out of range"));
  EXPECT_THAT(ProblemOf("[flow]\nflows_max = \"5000\"\n"), HasSubstr("must be a whole number"));
  EXPECT_THAT(ProblemOf("[flow]\nflows_max = 5000.0\n"), HasSubstr("must be a whole number"));
  EXPECT_THAT(ProblemOf("[ports]\nmode = \"bridge\"\n"), HasSubstr("use one of \"inline\", \"mirror\", \"replay\""));
  EXPECT_THAT(ProblemOf("[ports]\na = \"x\"\na = \"y\"\n"), HasSubstr("box.toml:3:"));
  EXPECT_THAT(ProblemOf("[ports\n"), HasSubstr("box.toml:1:"));
  EXPECT_THAT(ProblemOf("[ports]\nignore_checksums = 1\n"), HasSubstr("true or false"));
  EXPECT_THAT(ProblemOf("[policy]\nallow_owners = [1]\n"), HasSubstr("list of strings"));
  EXPECT_THAT(ProblemOf("[policy]\nallow_owners = [\"lab; until soon; x\"]\n"), HasSubstr("; until 2027-06-30;"));
  EXPECT_THAT(ProblemOf("[detect]\nresellers = [\"gateway; until soon\"]\n"), HasSubstr("; until 2027-06-30;"));
  EXPECT_THAT(ProblemOf("nonsense = 1\n"), HasSubstr("box.toml:1:1: unknown key nonsense"));
  EXPECT_THAT(ProblemOf("flow = 3\n"), HasSubstr("unknown key flow"));
}

TEST(LoadTest, ReportsAllMistakesAtOnce) {
  const std::string problem = ProblemOf("[flow]\nflows_max = 1\nidle_timeout_s = 0\n");
  EXPECT_THAT(problem, HasSubstr("flows_max"));
  EXPECT_THAT(problem, HasSubstr("idle_timeout_s"));
}

TEST(LoadTest, ChecksWhatGoesTogether) {
  EXPECT_THAT(ProblemOf("[ports]\ndescriptors = 1000\n"), HasSubstr("power of two"));
  EXPECT_THAT(ProblemOf("[kafka]\nenabled = true\n"), HasSubstr("kafka.brokers"));
  EXPECT_THAT(ProblemOf("[sharing]\npartners = [\"a hex:1a\", \"b hex:1b\", \"c hex:1c\", \"d hex:1d\", \"e hex:1e\"]\n"), HasSubstr("names more than 4"));
  EXPECT_THAT(ProblemOf("[policy]\nstep_up_permille = 900\nthrottle_permille = 800\n"), HasSubstr("ladder"));
  EXPECT_THAT(ProblemOf("[policy]\ndegrade_permille = 940\n"), HasSubstr("policy.throttle_permille; the ladder"));
  EXPECT_THAT(ProblemOf("[policy]\nblock_permille = 960\n"), HasSubstr("policy.degrade_permille; the ladder"));
}

TEST(LoadTest, ChecksWhatStringsSay) {
  const auto refused = [](const std::string& line, const std::string& why) {
    const size_t value = line.find('=') + 3;
    EXPECT_THAT(ProblemOf("\n" + line + "\n"), HasSubstr("box.toml:2:" + std::to_string(value) + ": " + why)) << line;
  };
  for (const char* cpu : {"abc", "-3", "", "1 ", "1024"}) {
    refused("threads.cpus = [\"0\", \"" + std::string(cpu) + "\"]", "threads.cpus = \"" + std::string(cpu) + "\" cannot be used; write processor numbers");
  }
  refused("fail_open.interest_ports = [\"abc\"]", "fail_open.interest_ports = \"abc\"");
  refused("fail_open.interest_ports = [\"9-8\"]", "fail_open.interest_ports = \"9-8\"");
  refused("fail_open.interest_prefixes = [\"300.1/99\"]", "fail_open.interest_prefixes = \"300.1/99\"");
  refused("fail_open.interest_prefixes = [\"10.0.0.0/33\"]", "fail_open.interest_prefixes");
  for (const char* broker : {"nonsense", ":9092", "host:", "host:0", "host:99999", "a:1,b:2"}) {
    refused("kafka.brokers = [\"" + std::string(broker) + "\"]", "kafka.brokers = \"" + std::string(broker) + "\"");
  }
  for (const char* secret : {"hex:", "hex:12345", "hex:zz", "file:", "0011"}) {
    refused("privacy.account_key = \"" + std::string(secret) + "\"", "privacy.account_key cannot be used");
    refused("privacy.salt = \"" + std::string(secret) + "\"", "privacy.salt cannot be used");
  }
  for (const char* partner : {"lab", "lab hex:", "lab hex:zz", "a/b hex:00112233", " hex:00112233", "lab 00112233"}) {
    refused("sharing.partners = [\"" + std::string(partner) + "\"]", "sharing.partners cannot be used; write a partner as");
  }
  for (const char* tunnels : {"", "vni", "vxlan 5", "vni 5-3", "vni 16777216", "vlan 4095", "vni 5 each 6", "vni 5x", "teid -1"}) {
    refused("flow.tunnel_classes = [\"vni 1\", \"" + std::string(tunnels) + "\"]", "flow.tunnel_classes = \"" + std::string(tunnels) + "\" cannot be used; write a class as");
  }
  EXPECT_EQ(ProblemOf("flow.tunnel_classes = [\"vni 5001 5002-5010\", \"vlan 100-199 each\", \"teid 4294967295\", \"gre 7\"]\n"), "");
  refused("box.name = \"\"", "box.name = \"\" cannot be used; give the box a name");
  refused("box.state_dir = \"\"", "box.state_dir");
  refused("control.socket = \"\"", "control.socket");
  refused("control.socket = \"" + std::string(108, 's') + "\"", "control.socket");
  EXPECT_THAT(ProblemOf("", {"threads.cpus=[\"abc\"]"}), HasSubstr("--set threads.cpus=[\"abc\"]: threads.cpus = \"abc\""));
  EXPECT_EQ(ProblemOf("threads.cpus = [\"0\"]\nfail_open.interest_ports = [\"443\", \"80-90\"]\n"
                    "fail_open.interest_prefixes = [\"10.0.0.0/8\", \"2001:db8::/32\", \"192.0.2.1\"]\n"
                    "kafka.brokers = [\"[::1]:9092\", \"broker.example:9092\"]\nprivacy.salt = \"file:/etc/salt\"\n"), "");
}

TEST(LoadTest, WhatDoesNotFitTogetherIsNamedWithItsPlace) {
  EXPECT_THAT(ProblemOf("\n[ports]\ndescriptors = 1000\n"), HasSubstr("box.toml:3:15: ports.descriptors must be a power of two"));
  EXPECT_THAT(ProblemOf("ports.mode = \"inline\"\nkafka.enabled = true\nkafka.brokers = [\"a:1\"]\n"),
              HasSubstr("box.toml:2:17: kafka.enabled and output.ndjson are both true"));
  EXPECT_THAT(ProblemOf("ports.mode = \"mirror\"\noutput.ndjson = false\n"), HasSubstr("verdicts would go nowhere"));
  EXPECT_EQ(ProblemOf("kafka.enabled = true\nkafka.brokers = [\"a:1\"]\n"), "");  // replay writes to both
}

TEST(LoadTest, ALiveBoxNeedsSecretsOfSomeLength) {
  const auto problems = [](const std::string& key, const std::string& salt) {
    std::string text;
    const std::vector<std::string> sets{"ports.mode=mirror", "ports.a=eth0", "privacy.account_key=" + key, "privacy.salt=" + salt};
    for (const Problem& problem : LiveProblems(ParseConfig("", "f", sets).value())) text += TextOf(problem) + "\n";
    return text;
  };
  EXPECT_EQ(problems("hex:" + std::string(32, '0'), "hex:" + std::string(16, '0')), "");
  EXPECT_THAT(problems("hex:" + std::string(30, '0'), "hex:00"), HasSubstr("privacy.account_key has 15 bytes, at least 16 are needed"));
  EXPECT_THAT(problems("hex:" + std::string(30, '0'), "hex:00"), HasSubstr("privacy.salt has 1 bytes, at least 8 are needed"));
  EXPECT_THAT(problems("", ""), HasSubstr("privacy.account_key is empty; make one with `openssl rand -hex 32`"));
  EXPECT_THAT(problems("file:/nowhere/key", ""), HasSubstr("privacy.account_key /nowhere/key cannot be read"));
}

// Inline af_packet changes what passes unless the kernel decides first.
TEST(LoadTest, APortThatAltersFramesIsTakenByAWordOfItsOwnOnly) {
  const auto problems = [](std::vector<std::string> more) {
    std::vector<std::string> sets{"ports.mode=inline", "ports.a=eth0", "ports.b=eth1", "privacy.account_key=hex:" + std::string(32, '1'),
                                  "privacy.salt=hex:" + std::string(16, '1')};
    sets.insert(sets.end(), more.begin(), more.end());
    std::string text;
    for (const Problem& problem : LiveProblems(ParseConfig("", "f", sets).value())) text += TextOf(problem) + "\n";
    return text;
  };
  EXPECT_EQ(problems({}), "");
  EXPECT_EQ(problems({"ports.driver=af_packet"}),
            "ports.driver \"af_packet\" alone alters frames: 802.1ad tags (QinQ) leave as 802.1Q, IPv4 fragments as whole datagrams; "
            "set fail_open.traffic_control = true, or ports.driver = \"af_xdp\" where the interfaces carry XDP; "
            "ports.accept_altered_frames = true takes it as it is\n");
  EXPECT_EQ(problems({"ports.driver=af_packet", "fail_open.traffic_control=true"}), "");
  EXPECT_EQ(problems({"ports.driver=af_packet", "ports.accept_altered_frames=true"}), "");
  EXPECT_EQ(problems({"ports.driver=af_packet", "ports.mode=mirror"}), "");
}

TEST(LoadTest, SetsWinOverTheFile) {
  const std::vector<std::string> sets{"box.name=edge-7", "threads.workers=3",
                                      "kafka.brokers=[\"127.0.0.1:1\"]"};
  const Config config = ParseConfig("[threads]\nworkers = 1\n", "f", sets).value();
  EXPECT_EQ(config.box.name, "edge-7");
  EXPECT_EQ(config.threads.workers, 3);
  EXPECT_EQ(config.kafka.brokers.size(), 1u);
  EXPECT_THAT(ProblemOf("", {"threads.worker=3"}), HasSubstr("did you mean threads.workers?"));
  EXPECT_THAT(ProblemOf("", {"threads.workers"}), HasSubstr("KEY=VALUE"));
}

TEST(LoadTest, ExamplesLoad) {
  for (const char* name : {"inline", "mirror", "replay"}) {
    const std::vector<std::string> here{"privacy.account_key=hex:" + std::string(32, '1'), "privacy.salt=hex:" + std::string(16, '1')};
    const Result<Config> config =
        LoadConfig(std::string(STILLWATCH_SOURCE_DIR "/config/examples/") + name + ".toml", here);
    ASSERT_TRUE(config.ok()) << config.message();
    EXPECT_EQ(config.value().ports.mode, name);
    EXPECT_TRUE(LiveProblems(config.value()).empty());
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
  const Config partner = ParseConfig("[sharing]\npartners = [\"lab hex:1177\"]\n", "f", {}).value();
  EXPECT_THAT(RefusalOf(Diff(before, partner)), HasSubstr("sharing.partners"));
  EXPECT_THAT(RefusalOf(Diff(before, partner)), ::testing::Not(HasSubstr("1177")));
}

TEST(AllowedOwnerTest, HasAnEndAndAReasonOrNot) {
  const AllowedOwnerText plain = ParseAllowedOwner("a lab; with a bar;").value();
  EXPECT_EQ(plain.owner + "," + plain.reason, "a lab,with a bar;");
  EXPECT_EQ(plain.until_ns, INT64_MAX);
  const AllowedOwnerText full = ParseAllowedOwner("lab; until 1970-01-02; contract 4711").value();
  EXPECT_EQ(full.owner + "," + full.reason, "lab,contract 4711");
  EXPECT_EQ(full.until_ns, 2 * 86'400'000'000'000) << "the end of that day";
  EXPECT_EQ(ParseAllowedOwner("lab; until 1970-01-02").value().reason, "");
  for (const char* bad : {"", "; until 1970-01-02", "lab; until 1970-13-02", "lab; until ", "lab; a; b", "lab; until 1970-01-02; a; b"}) {
    EXPECT_FALSE(ParseAllowedOwner(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace stillwatch::config
