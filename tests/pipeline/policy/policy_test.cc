// What an operator's policy does to the records that consumers read, on a crowd with a campaign in it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/clock.h"
#include "pipeline/campaign/calibration.h"
#include "pipeline/pipeline.h"
#include "pipeline/sink/memory_sink.h"
#include "tests/pipeline/detect/crowd.h"

namespace stillwatch::pipeline {
namespace {

using ::testing::HasSubstr;

const crowd::Crowd& TheCrowd() {
  static const crowd::Crowd crowd = crowd::MakeCrowd({.seed = 3, .chat_accounts = 200, .app_accounts = 5, .framework_accounts = 40,
                                                      .classes = 1, .harnesses = 1, .batch_jobs = 1, .pack_users = 10, .t1 = true, .t4 = false});
  return crowd;
}

struct Played {
  MemorySink sink;
  std::unique_ptr<Pipeline> pipeline;

  explicit Played(const PolicyOptions& policy) {
    PipelineOptions options;
    options.token_hash = crowd::TokenOf;
    options.tunables.profiles_max = 4096;
    options.tunables.fragment_rows_max = 1 << 15;
    options.tunables.doorkeeper_rows = 1 << 17;
    options.policy = policy;
    pipeline = std::make_unique<Pipeline>(std::move(options), nullptr, &sink, nullptr);
    dataplane::ExchangeBuilder builder;
    uint64_t order = 0;
    for (const crowd::Request& request : TheCrowd().requests) {
      pipeline->OnExchange(crowd::BuildExchange(TheCrowd(), request, order++, &builder));
    }
    EXPECT_TRUE(pipeline->Finish().ok());
  }
  // The first record of each account.
  std::map<std::string, const v1::EnforcementAdvice*> FirstAdvice() const {
    std::map<std::string, const v1::EnforcementAdvice*> first;
    for (const auto* record : sink.Records<v1::EnforcementAdvice>()) first.try_emplace(record->account(), record);
    return first;
  }
  std::multimap<std::string, const v1::Audit*> Audits() const {
    std::multimap<std::string, const v1::Audit*> audits;
    for (const auto* record : sink.Records<v1::Audit>()) audits.emplace(record->action(), record);
    return audits;
  }
};

// Nobody declared owners in this crowd; lifted, so that there is a throttle to look at.
PolicyOptions Lifted() {
  PolicyOptions policy;
  policy.owner_unknown_lifts = true;
  policy.throttle_permille = policy.step_up_permille;
  policy.innocents_permille = 1'000;
  return policy;
}

int64_t End() { return TheCrowd().requests.back().time_ns; }

TEST(Policy, AnAllowedOwnerIsSparedUntilTheEntryEnds) {
  const Played plain{PolicyOptions{}};
  const auto advised = plain.FirstAdvice();
  ASSERT_GE(advised.size(), 3u);
  const std::string allowed = advised.begin()->first, lapsed = std::next(advised.begin())->first;
  PolicyOptions policy;
  policy.allow_owners = {AllowedOwner(allowed, End() + kNsPerHour, "contract 4711"), AllowedOwner(lapsed, 1, "contract 4712")};
  const Played run(policy);
  EXPECT_FALSE(run.FirstAdvice().contains(allowed));
  EXPECT_TRUE(run.FirstAdvice().contains(lapsed));
  const auto audits = run.Audits();
  ASSERT_GE(audits.count("allow_list_hit"), 1u);
  EXPECT_LT(audits.count("allow_list_hit"), run.pipeline->counters().Get(PipelineCounter::kEvaluations) / 2) << "not at every look";
  EXPECT_EQ(audits.find("allow_list_hit")->second->subject(), allowed);
  EXPECT_THAT(audits.find("allow_list_hit")->second->detail(), HasSubstr("contract 4711"));
  ASSERT_GE(audits.count("allow_list_expired"), 1u);
  EXPECT_EQ(audits.find("allow_list_expired")->second->subject(), lapsed);
  // A second entry that still holds wins over one that lapsed.
  policy.allow_owners.emplace_back(lapsed);
  const Played renewed(policy);
  EXPECT_FALSE(renewed.FirstAdvice().contains(lapsed));
  EXPECT_EQ(renewed.Audits().count("allow_list_expired"), 0u);
}

TEST(Policy, CalibrationMovesWhatIsSaidOfPooledAndNothingElse) {
  PolicyOptions plain;
  plain.calibrated = false;
  const Played stated(plain), calibrated{PolicyOptions{}};
  ASSERT_EQ(stated.sink.events().size(), calibrated.sink.events().size());
  size_t moved = 0;
  for (size_t i = 0; i < stated.sink.events().size(); ++i) {
    const Event &a = stated.sink.events()[i], &b = calibrated.sink.events()[i];
    ASSERT_EQ(a.key, b.key);
    const auto* of_a = dynamic_cast<const v1::CampaignVerdict*>(a.message.get());
    if (of_a == nullptr) {
      if (a.message != nullptr) EXPECT_EQ(a.message->SerializeAsString(), b.message->SerializeAsString()) << NameOf(a.topic);
      continue;
    }
    v1::CampaignVerdict of_b = dynamic_cast<const v1::CampaignVerdict&>(*b.message);
    moved += of_a->labels().pooled() != of_b.labels().pooled();
    EXPECT_EQ(of_b.labels().pooled(), CalibratedPooled(of_a->labels().pooled()));
    of_b.mutable_labels()->set_pooled(of_a->labels().pooled());
    EXPECT_EQ(of_a->SerializeAsString(), of_b.SerializeAsString());
  }
  EXPECT_GT(moved, 0u);
  EXPECT_LE(CalibratedPooled(0), CalibratedPooled(1));
  EXPECT_GT(CalibratedPooled(0), 0u);
  EXPECT_LT(CalibratedPooled(65'536), 65'536u);
}

TEST(Policy, AThrottledGroupSharesOneBudget) {
  PolicyOptions policy = Lifted();
  policy.throttle_budget_percent = 50;
  const Played run(policy);
  std::map<std::string, std::set<std::string>> budgets;  // by campaign
  int throttled = 0;
  for (const auto* record : run.sink.Records<v1::EnforcementAdvice>()) {
    const v1::SharedBudget& budget = record->advice().shared_budget();
    if (record->advice().action() < v1::ACTION_THROTTLE) {
      EXPECT_EQ(budget.exchanges_24h(), 0u);
      continue;
    }
    ++throttled;
    EXPECT_EQ(budget.group(), record->campaign_id());
    EXPECT_GT(budget.exchanges_24h(), 0u);
    budgets[budget.group()].insert(budget.ShortDebugString());
  }
  ASSERT_GT(throttled, 5);
  for (const auto& [campaign, each] : budgets) {
    // One for the whole group, which does not shrink as they obey; after a withdrawal it is taken anew.
    size_t withdrawn = 0;
    for (const auto* told : run.sink.Records<v1::CampaignVerdict>()) {
      withdrawn += told->campaign_id() == campaign && told->state() == v1::CAMPAIGN_STATE_WITHDRAWN;
    }
    EXPECT_LE(each.size(), 1 + withdrawn);
    const auto verdict = run.pipeline->FindCampaign(campaign);
    EXPECT_LE(verdict->advice().shared_budget().exchanges_24h(), verdict->blast_radius().exchanges() / 2 + 1);
  }
}

TEST(Policy, DelayedAdviceComesByChanceAndSaysWhenItWasDecided) {
  PolicyOptions policy;
  const auto at_once = Played(policy).FirstAdvice().size();
  policy.advice_delay_max_hours = 168;
  const Played never(policy);  // a crowd of minutes
  EXPECT_EQ(never.sink.Records<v1::EnforcementAdvice>().size(), 0u);
  EXPECT_GT(at_once, 0u);
  for (const v1::CampaignVerdict& verdict : never.pipeline->Campaigns()) {
    if (verdict.advice().action() >= v1::ACTION_STEP_UP) return;  // analysts see it all the same
  }
  FAIL() << "no verdict";
}

TEST(Policy, TheRungsFollowTheFile) {
  Judgement judgement;
  judgement.families = 2, judgement.distillation_like = 65'536 * 975 / 1'000;
  PolicyOptions policy;
  policy.action_max = Rung::kBlock;
  const auto rung = [&] { return Advise(judgement, 100, true, policy).rung; };
  EXPECT_EQ(rung(), Rung::kDegrade);
  policy.degrade_permille = 980;
  EXPECT_EQ(rung(), Rung::kThrottle);
  policy.degrade_permille = policy.block_permille = 970;
  EXPECT_EQ(rung(), Rung::kBlock);
  EXPECT_TRUE(Advise(judgement, 100, true, policy).needs_human);
  judgement.innocents_high_q16 = 3 << 16;
  EXPECT_EQ(rung(), Rung::kStepUp);
  policy.innocents_permille = 30;
  EXPECT_EQ(rung(), Rung::kBlock);
}

}  // namespace
}  // namespace stillwatch::pipeline
