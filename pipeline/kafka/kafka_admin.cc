#include "pipeline/kafka/kafka_admin.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <vector>

#include "pipeline/kafka/kafka_client.h"
#include "pipeline/sink/topic_records.h"

namespace stillwatch::pipeline {
namespace {

struct RdKafkaAdminDeleter {
  void operator()(rd_kafka_NewTopic_t* topic) const { rd_kafka_NewTopic_destroy(topic); }
  void operator()(rd_kafka_AdminOptions_t* options) const {
    rd_kafka_AdminOptions_destroy(options);
  }
  void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
  void operator()(rd_kafka_event_t* event) const { rd_kafka_event_destroy(event); }
};
using NewTopicPtr = std::unique_ptr<rd_kafka_NewTopic_t, RdKafkaAdminDeleter>;

// The newest error of a handle, in words; the metadata call itself says only "broker transport
// failure".
struct LastError {
  rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
  std::string reason;
};

void OnError(rd_kafka_t*, int code, const char* reason, void* opaque) {
  auto& last = *static_cast<LastError*>(opaque);
  if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && !last.reason.empty()) return;
  last.code = static_cast<rd_kafka_resp_err_t>(code);
  last.reason = reason;
}

Result<RdKafkaPtr> MakeHandle(const KafkaOptions& options, LastError* last) {
  auto conf = MakeKafkaConf(options);
  if (!conf.ok()) return conf.error();
  rd_kafka_conf_set_opaque(conf.value().get(), last);
  rd_kafka_conf_set_error_cb(conf.value().get(), OnError);
  return MakeProducerHandle(std::move(conf).value());
}

Error Unreachable(const KafkaOptions& options, rd_kafka_t* handle, rd_kafka_resp_err_t code,
                  const LastError& last) {
  rd_kafka_poll(handle, 0);
  if (!last.reason.empty()) return Error{ExplainKafkaError(options, last.code, last.reason)};
  return Error{ExplainKafkaError(options, code, rd_kafka_err2str(code))};
}

// The names of the topics there are.
Result<std::set<std::string>> ExistingTopics(const KafkaOptions& options, rd_kafka_t* handle,
                                             const LastError& last, int timeout_ms) {
  const rd_kafka_metadata_t* metadata = nullptr;
  const auto code = rd_kafka_metadata(handle, 1, nullptr, &metadata, timeout_ms);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return Unreachable(options, handle, code, last);
  std::set<std::string> names;
  for (int i = 0; i < metadata->topic_cnt; ++i) names.insert(metadata->topics[i].topic);
  rd_kafka_metadata_destroy(metadata);
  return names;
}

std::string FullName(const KafkaOptions& options, Topic topic) {
  return options.topic_prefix + std::string(NameOf(topic));
}

// What a topic is made with.
struct Settings {
  std::string_view cleanup_policy;
  int64_t retention_ms;
  int partitions;
};

// Those that others write to and boxes read (kafka.consume). One partition: what is said of one campaign stays in order.
constexpr int64_t kDayMs = 24LL * 3600 * 1000;
constexpr std::pair<std::string_view, Settings> kInputs[] = {{"feedback", {"delete", 90 * kDayMs, 1}}, {"intel", {"compact", -1, 1}}};

Result<NewTopicPtr> NewTopicOf(const std::string& name, const Settings& facts, int replication_factor) {
  char reason[256];
  NewTopicPtr made(rd_kafka_NewTopic_new(name.c_str(), facts.partitions,
                                         replication_factor, reason, sizeof reason));
  if (made == nullptr) return Error{"kafka: topic " + name + ": " + reason};
  rd_kafka_NewTopic_set_config(made.get(), "cleanup.policy",
                               std::string(facts.cleanup_policy).c_str());
  if (facts.retention_ms >= 0) {
    rd_kafka_NewTopic_set_config(made.get(), "retention.ms",
                                 std::to_string(facts.retention_ms).c_str());
  }
  rd_kafka_NewTopic_set_config(made.get(), "compression.type", "producer");
  rd_kafka_NewTopic_set_config(made.get(), "unclean.leader.election.enable", "false");
  if (replication_factor >= 3) rd_kafka_NewTopic_set_config(made.get(), "min.insync.replicas", "2");
  return made;
}

Status RunCreate(rd_kafka_t* handle, std::vector<NewTopicPtr>& topics, int timeout_ms) {
  std::vector<rd_kafka_NewTopic_t*> raw;
  for (const NewTopicPtr& topic : topics) raw.push_back(topic.get());
  const std::unique_ptr<rd_kafka_AdminOptions_t, RdKafkaAdminDeleter> admin(
      rd_kafka_AdminOptions_new(handle, RD_KAFKA_ADMIN_OP_CREATETOPICS));
  char reason[256];
  if (rd_kafka_AdminOptions_set_request_timeout(admin.get(), timeout_ms, reason, sizeof reason) !=
      RD_KAFKA_RESP_ERR_NO_ERROR) {
    return Error{std::string("kafka: cannot create topics: ") + reason};
  }
  const std::unique_ptr<rd_kafka_queue_t, RdKafkaAdminDeleter> queue(rd_kafka_queue_new(handle));
  rd_kafka_CreateTopics(handle, raw.data(), raw.size(), admin.get(), queue.get());
  const std::unique_ptr<rd_kafka_event_t, RdKafkaAdminDeleter> event(
      rd_kafka_queue_poll(queue.get(), timeout_ms + 1'000));
  if (event == nullptr || rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return Error{std::string("kafka: cannot create topics: ") +
                 (event ? rd_kafka_event_error_string(event.get()) : "no answer")};
  }
  size_t count = 0;
  const auto** results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  for (size_t i = 0; i < count; ++i) {
    const auto code = rd_kafka_topic_result_error(results[i]);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
      continue;
    return Error{std::string("kafka: cannot create topic ") +
                 rd_kafka_topic_result_name(results[i]) + ": " +
                 rd_kafka_topic_result_error_string(results[i])};
  }
  return {};
}

}  // namespace

Status CheckKafkaCluster(const KafkaOptions& options, int timeout_ms) {
  LastError last;
  auto handle = MakeHandle(options, &last);
  if (!handle.ok()) return Error{handle.message()};
  auto names = ExistingTopics(options, handle.value().get(), last, timeout_ms);
  if (!names.ok()) return Error{names.message()};
  std::string missing;
  for (size_t i = 0; i < kTopics; ++i) {
    const std::string name = FullName(options, TopicAt(i));
    if (!names.value().contains(name)) missing += (missing.empty() ? "" : ", ") + name;
  }
  if (missing.empty()) return {};
  return Error{
      ExplainKafkaError(options, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, "no topic " + missing)};
}

Status CreateKafkaTopics(const KafkaOptions& options, int replication_factor, int timeout_ms) {
  LastError last;
  auto handle = MakeHandle(options, &last);
  if (!handle.ok()) return Error{handle.message()};
  auto names = ExistingTopics(options, handle.value().get(), last, timeout_ms);
  if (!names.ok()) return Error{names.message()};
  std::vector<NewTopicPtr> topics;
  std::vector<std::pair<std::string, Settings>> wanted;
  for (size_t i = 0; i < kTopics; ++i) {
    const TopicFacts& facts = FactsOf(TopicAt(i));
    wanted.push_back({FullName(options, facts.topic), {facts.cleanup_policy, facts.retention_ms, facts.partitions}});
  }
  for (const auto& [name, settings] : kInputs) wanted.push_back({options.topic_prefix + std::string(name), settings});
  for (const auto& [name, settings] : wanted) {
    if (names.value().contains(name)) continue;
    auto topic = NewTopicOf(name, settings, replication_factor);
    if (!topic.ok()) return Error{topic.message()};
    topics.push_back(std::move(topic).value());
  }
  return topics.empty() ? Status() : RunCreate(handle.value().get(), topics, timeout_ms);
}

}  // namespace stillwatch::pipeline
