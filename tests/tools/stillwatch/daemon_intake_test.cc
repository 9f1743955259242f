// A live box that reads the topics feedback and intel: what a record does, what is passed over, and what comes again after a restart.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>

#include "base/clock.h"
#include "config/control.h"
#include "pipeline/proto/stillwatch.pb.h"
#include "pipeline/sharing/pattern.h"
#include "pipeline/sink/json_writer.h"
#include "tests/pipeline/kafka/mock_cluster.h"
#include "tests/pipeline/kafka/topic_writer.h"
#include "tests/e2e/lab_test.h"
#include "tests/tools/stillwatch/daemon_process.h"
#include "tests/tools/stix/a_campaign.h"
#include "tools/stillwatch/partner_claims.h"
#include "tools/stix/bundle.h"

namespace stillwatch {
namespace {

using ::testing::HasSubstr;
using e2e::DaemonProcess;
using e2e::NetLab;
using nlohmann::json;
using testing::WaitFor;

constexpr char kFeedback[] = "stillwatch.feedback", kIntel[] = "stillwatch.intel";
constexpr char kCampaign[] = "0123456789abcdef0123456789abcdef";

class DaemonIntakeTest : public e2e::LabTest {
 protected:
  void SetUp() override {
    e2e::LabTest::SetUp();
    if (IsSkipped()) return;
    lab_->appliance.Call([&] {
      cluster_ = std::make_unique<pipeline::MockCluster>(1);
      for (const char* topic : {kFeedback, kIntel}) CHECK(rd_kafka_mock_topic_create(cluster_->get(), topic, 1, 1) == RD_KAFKA_RESP_ERR_NO_ERROR);
      writer_ = std::make_unique<pipeline::TopicWriter>(cluster_->bootstraps());
    });
    daemon_ = std::make_unique<DaemonProcess>(*lab_);
    config_ = daemon_->WriteConfig("box.toml", {"kafka.consume = true", "kafka.brokers = [\"" + cluster_->bootstraps() + "\"]"});
  }
  std::vector<std::string> Audited(const std::string& action) const {
    std::vector<std::string> found;
    for (const json& record : daemon_->Records("audit")) {
      if (record["action"] == action) found.push_back(record["actor"]);
    }
    return found;
  }

  std::unique_ptr<pipeline::MockCluster> cluster_;
  std::unique_ptr<pipeline::TopicWriter> writer_;
  std::unique_ptr<DaemonProcess> daemon_;
  std::string config_;
};

TEST_F(DaemonIntakeTest, TakesWhatItReadsOnceAndPassesOverTheRest) {
  v1::Feedback feedback;
  feedback.set_feedback_id("case-1");
  feedback.set_campaign_id(kCampaign);
  feedback.set_word(v1::FEEDBACK_WORD_REJECT);
  feedback.set_actor("desk 4");
  writer_->Write(kFeedback, kCampaign, feedback.SerializeAsString());
  writer_->Write(kFeedback, kCampaign, json{{"feedbackId", "case-1"}, {"campaignId", kCampaign}, {"word", "FEEDBACK_WORD_REJECT"}}.dump(), "application/json");
  writer_->Write(kFeedback, kCampaign, json{{"feedbackId", "case-2"}, {"campaignId", kCampaign}, {"word", "FEEDBACK_WORD_CONFIRM"}}.dump(), "application/json");
  writer_->Write(kFeedback, kCampaign, "{", "application/json");
  const std::string key(32, 'a');
  writer_->Write(kIntel, key, json{{"directoryEntry", {{"keyId", key}, {"account", "acct-1"}, {"organisation", "org-1"}}}}.dump(), "application/json");
  writer_->Write(kIntel, "b", json{{"directoryEntry", {{"keyId", "b"}}}}.dump(), "application/json");
  writer_->Write(kIntel, "lab/c", json{{"partnerClaim", {{"partner", "lab"}, {"campaignId", kCampaign}}}}.dump(), "application/json");

  ASSERT_TRUE(daemon_->Start(config_));
  ASSERT_TRUE(WaitFor([&] { return daemon_->Counter("consume.records") == 7; })) << daemon_->Ask({"status"}).dump();
  ASSERT_TRUE(WaitFor([&] { return daemon_->Counter("consume.committed") == 4; }));
  EXPECT_EQ(daemon_->Counter("consume.malformed"), 3u);
  EXPECT_EQ(daemon_->Counter("feedback.unknown_campaign"), 2u);
  EXPECT_EQ(daemon_->Counter("feedback.repeated"), 1u);
  EXPECT_EQ(daemon_->Ask({"status"})["intake"]["malformed"], 3);
  EXPECT_THAT(daemon_->log(), HasSubstr("is passed over"));
  EXPECT_EQ(daemon_->Stop(), 0);
  EXPECT_EQ(Audited("feedback_reject_refused"), std::vector<std::string>{"topic feedback: desk 4"});
  EXPECT_EQ(Audited("feedback_confirm_refused"), std::vector<std::string>{"topic feedback: "});

  // Another life: intel is read whole again, feedback goes on where it was; and an id that was taken stays taken.
  writer_->Write(kFeedback, kCampaign, feedback.SerializeAsString());
  ASSERT_TRUE(daemon_->Start(config_));
  ASSERT_TRUE(WaitFor([&] { return daemon_->Counter("consume.records") == 4; })) << daemon_->Ask({"status"}).dump();
  ASSERT_TRUE(WaitFor([&] { return daemon_->Counter("consume.committed") == 1; }));
  EXPECT_EQ(daemon_->Counter("feedback.repeated"), 1u);
  EXPECT_EQ(daemon_->Counter("feedback.unknown_campaign"), 0u);
  EXPECT_EQ(daemon_->Stop(), 0);
}

// What another box signed, by hand here; the same through a whole export in replay_share_test.
TEST_F(DaemonIntakeTest, ImportsAPartnersBundleAndRemembersIt) {
  const std::string config = daemon_->WriteConfig("partner.toml", {"sharing.partners = [\"lab hex:0a112233445566778899aabbccddeeff\"]"});
  Secrets secrets;
  secrets.partners.push_back({"lab", std::string("\x0a\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 16)});
  v1::PartnerClaim claim;
  claim.set_partner("lab");
  claim.set_campaign_id(kCampaign);
  claim.set_state("confirmed");
  claim.set_accounts(90);
  claim.set_pattern(pipeline::PatternText({PartnerKeyId(secrets.partners[0].key), {{{1, 2, 3, 4, 5}, 2}}}));
  SignClaim(SystemClock().UnixNs() + 24 * kNsPerHour, secrets, &claim);
  std::string text;
  pipeline::AppendRecord(claim, &text);
  const std::string bundle = stix::Bundle(stix::ACampaign(), json::parse(text), "fra-1", "2026-01-03T00:00:00.000000000Z").dump();
  std::ofstream(*daemon_ / "bundle.json") << bundle;
  std::string changed = bundle;
  changed.replace(changed.find("00000005"), 8, "00000006");
  std::ofstream(*daemon_ / "changed.json") << changed;

  ASSERT_TRUE(daemon_->Start(config));
  EXPECT_EQ(daemon_->Ctl({"import", *daemon_ / "changed.json"}).exit, config::kExitRefused);
  const testing::Ran ran = daemon_->Ctl({"import", *daemon_ / "bundle.json"});
  EXPECT_EQ(ran.exit, 0) << ran.output;
  const json imports = daemon_->Ask({"imports"});
  ASSERT_EQ(imports.size(), 1u);
  EXPECT_EQ(imports[0]["partner"], "lab");
  EXPECT_EQ(imports[0]["campaign_there"], kCampaign);
  EXPECT_EQ(imports[0]["accounts_here"], 0);
  EXPECT_THAT(daemon_->Ctl({"imports"}).output, HasSubstr("confirmed"));
  EXPECT_EQ(daemon_->Ask({"campaigns"}), json::array()) << "nobody here sends it";
  EXPECT_EQ(daemon_->Stop(), 0);
  EXPECT_EQ(Audited("import").size(), 1u);
  EXPECT_EQ(Audited("import_refused").size(), 1u);
  ASSERT_TRUE(daemon_->Start(config));
  EXPECT_EQ(daemon_->Ask({"imports"}), imports);
  EXPECT_EQ(daemon_->Stop(), 0);
}

TEST_F(DaemonIntakeTest, WithoutABrokerItRunsAndSaysSo) {
  const std::string config = daemon_->WriteConfig("away.toml", {"kafka.consume = true", "kafka.brokers = [\"127.0.0.1:1\"]"});
  ASSERT_TRUE(daemon_->Start(config));
  EXPECT_TRUE(WaitFor([&] { return !daemon_->Ask({"status"})["intake"]["last_error"].get<std::string>().empty(); }));
  EXPECT_EQ(daemon_->Stop(), 0);
}

}  // namespace
}  // namespace stillwatch
