// stillctl against a daemon's control socket with known answers: exit codes, tables, JSON.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "config/control.h"
#include "tests/tools/stix/a_campaign.h"
#include "tests/tools/program.h"

namespace stillwatch {
namespace {

using ::testing::HasSubstr;
using config::ControlAnswer;
using config::ControlRequest;
using testing::BinPath;
using testing::Ran;
using testing::RunProgram;

class StillctlTest : public ::testing::Test {
 protected:
  StillctlTest() {
    server_ = config::ControlServer::Start(folder_ / "c.sock", [](const ControlRequest& request) {
                if (request.command == "status") return ControlAnswer{0, "", R"({"box":"b1","generation":3})"};
                if (request.command == "counters") return ControlAnswer{0, "", R"({"tcp.gaps":7})"};
                if (request.command == "campaigns") return ControlAnswer{0, "", "[]"};
                if (request.command == "feedback" && request.args.at(1) == "known") {
                  std::string said = "\"";
                  for (const std::string& arg : request.args) said += "[" + arg + "]";
                  return ControlAnswer{0, "", said + "\""};
                }
                if (request.command == "export" && request.args.at(1) == "other lab") {
                  return ControlAnswer{0, "", nlohmann::json{{"box", "b1"}, {"time", "2026-01-03T00:00:00.000000000Z"}, {"campaign", stix::ACampaign()}, {"claim", stix::AClaim()}, {"why_no_claim", ""}}.dump()};
                }
                if (request.command == "import") return ControlAnswer{0, "", nlohmann::json(request.args.at(0)).dump()};
                if (request.command == "imports") return ControlAnswer{0, "", "[]"};
                if (request.command == "reload") return ControlAnswer{config::kExitBusy, "another reload runs", ""};
                return ControlAnswer{config::kExitRefused, "no campaign " + request.args.at(0), ""};
              }).value();
  }
  Ran Ctl(std::vector<std::string> words) {
    words.insert(words.begin(), {BinPath("stillctl"), "--socket", folder_ / "c.sock"});
    return RunProgram(words);
  }
  testing::TempFolder folder_;
  std::unique_ptr<config::ControlServer> server_;
};

TEST_F(StillctlTest, PrintsTablesAndJson) {
  const Ran table = Ctl({"status"});
  EXPECT_EQ(table.exit, 0);
  EXPECT_THAT(table.output, HasSubstr("generation"));
  EXPECT_THAT(Ctl({"--json", "counters"}).output, HasSubstr("\"tcp.gaps\": 7"));
  EXPECT_THAT(Ctl({"campaigns"}).output, HasSubstr("no campaign so far"));
}

TEST_F(StillctlTest, ExitCodesSayWhatHappened) {
  EXPECT_EQ(Ctl({"campaign", "abc"}).exit, config::kExitRefused);
  EXPECT_EQ(Ctl({"reload"}).exit, config::kExitBusy);
  EXPECT_EQ(Ctl({"dance"}).exit, config::kExitUsage);
  EXPECT_EQ(Ctl({}).exit, config::kExitUsage);
  EXPECT_EQ(RunProgram({BinPath("stillctl"), "--socket", "/tmp/nobody.sock", "status"}).exit, config::kExitUnreachable);
}

TEST_F(StillctlTest, FeedbackCarriesReasonAndAccounts) {
  EXPECT_THAT(Ctl({"--json", "feedback", "split", "known", "a", "b", "--reason", "ticket 17"}).output, HasSubstr("[split][known][ticket 17][a][b]"));
  EXPECT_THAT(Ctl({"--json", "feedback", "reject", "known"}).output, HasSubstr("[reject][known][]"));
  EXPECT_EQ(Ctl({"feedback", "reject", "unknown"}).exit, config::kExitRefused);
  EXPECT_EQ(Ctl({"feedback", "reject"}).exit, config::kExitUsage);
  EXPECT_EQ(Ctl({"status", "--reason", "x"}).exit, config::kExitUsage);
}

TEST_F(StillctlTest, ExportPrintsABundleForANamedPartner) {
  const Ran ran = Ctl({"export", "known", "--partner", "other lab"});
  EXPECT_EQ(ran.exit, 0);
  EXPECT_EQ(nlohmann::json::parse(ran.output)["type"], "bundle");
  EXPECT_EQ(Ctl({"export", "known"}).exit, config::kExitUsage) << "for whom?";
}

TEST_F(StillctlTest, ImportSendsTheClaimOfAnExportedBundle) {
  const std::string path = folder_ / "bundle.json";
  std::ofstream(path) << Ctl({"export", "known", "--partner", "other lab"}).output;
  const Ran ran = Ctl({"import", path});
  EXPECT_EQ(ran.exit, 0) << ran.output;
  EXPECT_EQ(nlohmann::json::parse(ran.output)["mac"], stix::AClaim()["mac"]);
  EXPECT_THAT(Ctl({"imports"}).output, HasSubstr("nothing imported"));
  std::ofstream(path) << "{}";
  const Ran bad = Ctl({"import", path});
  EXPECT_EQ(bad.exit, config::kExitBadFile);
  EXPECT_THAT(bad.output, HasSubstr("bundle.json: this is no STIX bundle"));
  EXPECT_EQ(Ctl({"import"}).exit, config::kExitUsage);
}

TEST_F(StillctlTest, CheckSaysFileLineAndMend) {
  const std::string path = folder_ / "bad.toml";
  std::ofstream(path) << "[flow]\nflow_max = 1\n";
  const Ran ran = RunProgram({BinPath("stillctl"), "check", path});
  EXPECT_EQ(ran.exit, config::kExitBadFile);
  EXPECT_THAT(ran.output, HasSubstr("bad.toml:2:1: unknown key flow.flow_max; did you mean flow.flows_max?"));
}

}  // namespace
}  // namespace stillwatch
