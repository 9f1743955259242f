// Topics that others write: feedback and intel. Each record is handed to the detection thread, which takes one between two batches;
// the intake's thread waits until what followed from it is in the outbox.
#include <google/protobuf/util/json_util.h>

#include "base/clock.h"
#include "base/log.h"
#include "tools/stillwatch/daemon.h"
#include "tools/stillwatch/partner_claims.h"

namespace stillwatch {

namespace {

using Outcome = pipeline::TopicIntake::Outcome;
using What = Outcome::What;

constexpr char kFeedbackTopic[] = "feedback", kIntelTopic[] = "intel";
constexpr char kActor[] = "topic intel";
constexpr size_t kIntelEntriesMax = 1'000'000;

// Protobuf, or JSON where the record's header says so.
bool Read(const pipeline::ConsumedRecord& record, google::protobuf::Message* out) {
  if (record.value.empty()) return false;
  if (record.content_type == "application/json") return google::protobuf::util::JsonStringToMessage(record.value, out).ok();
  return out->ParseFromString(record.value);
}

}  // namespace

Status Daemon::StartIntake() {
  if (!config_.kafka.consume) return {};
  Result<pipeline::KafkaOptions> options = KafkaOptionsOf(config_);
  if (!options.ok()) return Error{options.message()};
  auto consumer = pipeline::KafkaConsumer::Make(options.value(), config_.box.name, {kFeedbackTopic, kIntelTopic});
  if (!consumer.ok()) return Error{consumer.message()};
  intake_ = std::make_unique<pipeline::TopicIntake>(
      std::move(consumer).value(), [this](const pipeline::ConsumedRecord& record) { return TakeRecord(record); }, clock_, [this] { MergeIntel(); });
  registry_.Register(intake_->consumer().counters());
  intake_->Start();
  return {};
}

Outcome Daemon::TakeRecord(const pipeline::ConsumedRecord& record) {
  if (record.topic == kIntelTopic) return TakeIntel(record);
  v1::Feedback feedback;
  if (!Read(record, &feedback)) return {What::kMalformed, "no v1::Feedback, or above 64 KiB"};
  Status taken;
  bool durable = false;
  OnDetectionThread([&] {
    taken = pipeline_->TakeFeedbackRecord(feedback, clock_.UnixNs());
    durable = !pipeline_->holds_events();
  });
  if (!taken.ok()) return {What::kMalformed, taken.message()};
  return {durable ? What::kDurable : What::kNotYet, ""};
}

// Read whole at every start, so nothing of it is committed.
Outcome Daemon::TakeIntel(const pipeline::ConsumedRecord& record) {
  const auto malformed = [](std::string why) { return Outcome{What::kMalformed, std::move(why), true}; };
  if (record.tombstone) {
    const size_t slash = record.key.find('/');
    if (slash != std::string::npos) {
      OnDetectionThread([&] { pipeline_->WithdrawClaim(record.key.substr(0, slash), record.key.substr(slash + 1)); });
    } else {
      std::lock_guard lock(intel_mutex_);
      intel_changed_ |= intel_entries_.erase(record.key) != 0;
    }
    return {What::kDurable, "", true};
  }
  v1::Intel intel;
  if (!Read(record, &intel)) return malformed("no v1::Intel, or above 64 KiB");
  if (intel.has_partner_claim()) {
    std::string json;
    if (!google::protobuf::util::MessageToJsonString(intel.partner_claim(), &json).ok()) return malformed("a claim that is no text");
    const Result<v1::PartnerClaim> claim = ReadClaim(json, secrets_);
    if (!claim.ok()) return malformed("partner_claim: " + claim.message());
    // What the book refuses is audited there.
    OnDetectionThread([&] { (void)pipeline_->TakeClaim(claim.value(), kActor, clock_.UnixNs()).ok(); });
    return {What::kDurable, "", true};
  }
  if (!intel.has_directory_entry()) return malformed("neither a directory entry nor a partner's claim");
  const v1::DirectoryEntry& entry = intel.directory_entry();
  const auto checked = pipeline::AccountDirectory::With(nullptr, {&entry, 1}, secrets_.salt);
  if (!checked.ok()) return malformed("directory_entry: " + checked.message());
  std::lock_guard lock(intel_mutex_);
  if (intel_entries_.size() >= kIntelEntriesMax && !intel_entries_.contains(entry.key_id())) return malformed("more than 1,000,000 entries; use detect.directory_file");
  intel_entries_[entry.key_id()] = entry;
  intel_changed_ = true;
  return {What::kDurable, "", true};
}

std::shared_ptr<const pipeline::AccountDirectory> Daemon::WithIntel(std::shared_ptr<const pipeline::AccountDirectory> base) {
  std::lock_guard lock(intel_mutex_);
  base_directory_ = base;
  intel_changed_ = false;
  if (intel_entries_.empty()) return base;
  std::vector<v1::DirectoryEntry> records;
  for (const auto& [key, entry] : intel_entries_) records.push_back(entry);
  auto merged = pipeline::AccountDirectory::With(base.get(), records, secrets_.salt);
  if (merged.ok()) return std::move(merged).value();
  Log(LogLevel::kError, "topic intel: " + merged.message() + "; the file's directory alone is used");
  return base;
}

void Daemon::MergeIntel() {
  std::shared_ptr<const pipeline::AccountDirectory> base;
  {
    std::lock_guard lock(intel_mutex_);
    if (!intel_changed_) return;
    base = base_directory_;
  }
  const auto merged = WithIntel(std::move(base));
  OnDetectionThread([&] { pipeline_->SwapDirectory(merged); });
}

}  // namespace stillwatch
