#include "pipeline/sink/topic_records.h"

#include "base/check.h"

namespace stillwatch::pipeline {
namespace {

constexpr int64_t kDayMs = 24LL * 3600 * 1000;

constexpr TopicFacts kFacts[kTopics] = {
    {Topic::kRequestSketch, "account", "delete", 1 * kDayMs, 12, false,
     "One for each understood exchange: its sketches, for the join across boxes."},
    {Topic::kAccountProfile, "account", "compact", -1, 6, true,
     "The present profile of an account."},
    {Topic::kEdge, "account_a, account_b and layer, joined by '/'", "compact", -1, 6, true,
     "One layer's evidence that two accounts belong together."},
    {Topic::kCampaignVerdict, "campaign_id", "delete", 90 * kDayMs, 3, false,
     "What is believed of a campaign, why, and what it would cost to act."},
    {Topic::kCampaignState, "campaign_id and part, joined by '/'", "compact", -1, 3, true,
     "What another box, or this one after a restart, needs to go on with a campaign."},
    {Topic::kEnforcementAdvice, "account", "compact,delete", 30 * kDayMs, 3, true,
     "The action advised for one account, until it expires."},
    {Topic::kBoxStatus, "box", "compact", -1, 1, false, "Health and counters of one box."},
    {Topic::kAudit, "box", "delete", 400 * kDayMs, 1, false,
     "Who did what to the box, and what the box decided by itself."},
};

}  // namespace

const TopicFacts& FactsOf(Topic topic) {
  const TopicFacts& facts = kFacts[static_cast<size_t>(topic)];
  CHECK(facts.topic == topic);
  return facts;
}

std::unique_ptr<google::protobuf::Message> NewRecord(Topic topic) {
  switch (topic) {
    case Topic::kRequestSketch:
      return std::make_unique<v1::RequestSketch>();
    case Topic::kAccountProfile:
      return std::make_unique<v1::AccountProfile>();
    case Topic::kEdge:
      return std::make_unique<v1::Edge>();
    case Topic::kCampaignVerdict:
      return std::make_unique<v1::CampaignVerdict>();
    case Topic::kCampaignState:
      return std::make_unique<v1::CampaignStateRecord>();
    case Topic::kEnforcementAdvice:
      return std::make_unique<v1::EnforcementAdvice>();
    case Topic::kBoxStatus:
      return std::make_unique<v1::BoxStatus>();
    case Topic::kAudit:
      return std::make_unique<v1::Audit>();
  }
  CHECK(false);
  return nullptr;
}

const google::protobuf::Descriptor* RecordOf(Topic topic) {
  return NewRecord(topic)->GetDescriptor();
}

const v1::Meta& MetaOf(const google::protobuf::Message& record) {
  const auto* field = record.GetDescriptor()->FindFieldByName("meta");
  CHECK(field != nullptr && field->message_type() == v1::Meta::descriptor());
  return static_cast<const v1::Meta&>(record.GetReflection()->GetMessage(record, field));
}

}  // namespace stillwatch::pipeline
