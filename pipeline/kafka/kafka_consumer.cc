#include "pipeline/kafka/kafka_consumer.h"

#include <algorithm>
#include <utility>

#include "base/mutant.h"
#include "pipeline/kafka/kafka_client.h"

namespace stillwatch::pipeline {

struct KafkaConsumer::Handle {
  RdKafkaPtr rk;

  static void OnError(rd_kafka_t*, int code, const char* reason, void* opaque) {
    auto& consumer = *static_cast<KafkaConsumer*>(opaque);
    consumer.NoteError(ExplainKafkaError(consumer.options_, static_cast<rd_kafka_resp_err_t>(code), reason));
  }

  static void OnCommit(rd_kafka_t*, rd_kafka_resp_err_t error, rd_kafka_topic_partition_list_t*, void* opaque) {
    auto& consumer = *static_cast<KafkaConsumer*>(opaque);
    if (error == RD_KAFKA_RESP_ERR__NO_OFFSET) return;  // at the end, where nothing was left to commit
    consumer.counters_.Add(error == RD_KAFKA_RESP_ERR_NO_ERROR ? ConsumeCounter::kCommitted : ConsumeCounter::kCommitFailed);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) consumer.NoteError(ExplainKafkaError(consumer.options_, error, rd_kafka_err2str(error)));
  }
};

KafkaConsumer::KafkaConsumer(const KafkaOptions& options) : options_(options), handle_(std::make_unique<Handle>()) {}

KafkaConsumer::~KafkaConsumer() {
  if (handle_->rk != nullptr) rd_kafka_consumer_close(handle_->rk.get());  // leaves the group
}

void KafkaConsumer::NoteError(std::string why) {
  std::lock_guard lock(mutex_);
  last_error_ = std::move(why);
}

std::string KafkaConsumer::last_error() const {
  std::lock_guard lock(mutex_);
  return last_error_;
}

Result<std::unique_ptr<KafkaConsumer>> KafkaConsumer::Make(const KafkaOptions& options, const std::string& box, const std::vector<std::string>& topics) {
  auto conf = MakeKafkaConf(options);
  if (!conf.ok()) return conf.error();
  for (const auto& [name, value] : std::initializer_list<std::pair<std::string, std::string>>{
           {"group.id", "stillwatch-" + box},
           {"enable.auto.commit", "false"},
           {"enable.auto.offset.store", "false"},
           {"auto.offset.reset", "earliest"},
           {"isolation.level", "read_committed"},
           {"topic.metadata.refresh.interval.ms", "10000"},  // a topic that is made later is found so soon
           {"session.timeout.ms", "10000"},  // a box that was killed comes back to its own partitions so soon
           {"queued.max.messages.kbytes", "1024"},
           {"fetch.message.max.bytes", "262144"}}) {
    if (Status status = SetKafkaProperty(conf.value().get(), name, value); !status.ok()) return Error{status.message()};
  }
  std::unique_ptr<KafkaConsumer> consumer(new KafkaConsumer(options));
  rd_kafka_conf_set_opaque(conf.value().get(), consumer.get());
  rd_kafka_conf_set_error_cb(conf.value().get(), Handle::OnError);
  rd_kafka_conf_set_offset_commit_cb(conf.value().get(), Handle::OnCommit);
  char reason[512];
  rd_kafka_t* handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf.value().get(), reason, sizeof reason);
  if (handle == nullptr) return Error{std::string("kafka: no consumer: ") + reason + "; check the kafka section of the config"};
  (void)std::move(conf).value().release();  // the handle owns it now
  consumer->handle_->rk.reset(handle);
  rd_kafka_poll_set_consumer(handle);
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(static_cast<int>(topics.size()));
  for (const std::string& topic : topics) rd_kafka_topic_partition_list_add(list, (options.topic_prefix + topic).c_str(), RD_KAFKA_PARTITION_UA);
  const rd_kafka_resp_err_t subscribed = rd_kafka_subscribe(handle, list);
  rd_kafka_topic_partition_list_destroy(list);
  if (subscribed != RD_KAFKA_RESP_ERR_NO_ERROR) return Error{ExplainKafkaError(options, subscribed, rd_kafka_err2str(subscribed))};
  return consumer;
}

std::optional<ConsumedRecord> KafkaConsumer::Poll(int wait_ms) {
  const std::unique_ptr<rd_kafka_message_t, void (*)(rd_kafka_message_t*)> message(rd_kafka_consumer_poll(handle_->rk.get(), wait_ms), rd_kafka_message_destroy);
  if (message == nullptr) return std::nullopt;
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    NoteError(ExplainKafkaError(options_, message->err, rd_kafka_message_errstr(message.get())));
    return std::nullopt;
  }
  NoteError("");
  counters_.Add(ConsumeCounter::kRecords);
  ConsumedRecord record;
  record.topic = std::string(rd_kafka_topic_name(message->rkt)).substr(options_.topic_prefix.size());
  record.partition = message->partition;
  record.offset = message->offset;
  record.tombstone = message->payload == nullptr;
  record.key.assign(static_cast<const char*>(message->key), std::min(message->key_len, ConsumedRecord::kKeyBytesMax));
  if (message->payload != nullptr && message->len <= ConsumedRecord::kValueBytesMax) record.value.assign(static_cast<const char*>(message->payload), message->len);
  rd_kafka_headers_t* headers = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  if (rd_kafka_message_headers(message.get(), &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
      rd_kafka_header_get_last(headers, "content-type", &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR && value != nullptr) {
    record.content_type.assign(static_cast<const char*>(value), size);
  }
  return record;
}

void KafkaConsumer::Commit(const ConsumedRecord& record) {
  if (MutantIs("consume.commits_nothing")) return;
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, (options_.topic_prefix + record.topic).c_str(), record.partition)->offset = record.offset + 1;
  const rd_kafka_resp_err_t asked = rd_kafka_commit(handle_->rk.get(), list, 1);
  rd_kafka_topic_partition_list_destroy(list);
  if (asked != RD_KAFKA_RESP_ERR_NO_ERROR) Handle::OnCommit(handle_->rk.get(), asked, nullptr, this);
}

}  // namespace stillwatch::pipeline
