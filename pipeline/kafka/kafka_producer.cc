#include "pipeline/kafka/kafka_producer.h"

#include <cstring>
#include <string_view>
#include <utility>

#include "pipeline/kafka/kafka_client.h"
#include "pipeline/sink/topic_records.h"

namespace stillwatch::pipeline {
namespace {

// Errors that a resend cannot mend.
bool IsRefusal(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || code == RD_KAFKA_RESP_ERR_INVALID_RECORD ||
         code == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE;
}

rd_kafka_vu_t Header(const char* name, std::string_view value) {
  rd_kafka_vu_t vu;
  vu.vtype = RD_KAFKA_VTYPE_HEADER;
  vu.u.header.name = name;
  vu.u.header.val = value.data();
  vu.u.header.size = static_cast<ssize_t>(value.size());
  return vu;
}

}  // namespace

struct KafkaProducer::Handle {
  RdKafkaPtr rk;

  static void OnDelivery(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
    auto& producer = *static_cast<KafkaProducer*>(opaque);
    --producer.in_flight_;
    Delivery delivery;
    delivery.position = reinterpret_cast<uintptr_t>(message->_private);
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      delivery.outcome = Delivery::Outcome::kStored;
      producer.connected_ = true;
      producer.authentication_failed_ = false;
      producer.last_error_.clear();
    } else {
      delivery.outcome =
          IsRefusal(message->err) ? Delivery::Outcome::kRefused : Delivery::Outcome::kUnknown;
      delivery.reason =
          ExplainKafkaError(producer.options_, message->err, rd_kafka_err2str(message->err));
    }
    producer.delivered_.push_back(std::move(delivery));
  }

  static void OnError(rd_kafka_t*, int code, const char* reason, void* opaque) {
    auto& producer = *static_cast<KafkaProducer*>(opaque);
    const auto error = static_cast<rd_kafka_resp_err_t>(code);
    if (error == RD_KAFKA_RESP_ERR__FATAL) return;  // asked for by FatalReason
    if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
      producer.connected_ = false;
      if (!producer.last_error_.empty()) return;  // says less than the error before it
    }
    producer.authentication_failed_ = error == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
                                      error == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED;
    producer.last_error_ = ExplainKafkaError(producer.options_, error, reason);
  }

  static int OnStatistics(rd_kafka_t*, char* json, size_t length, void* opaque) {
    auto& producer = *static_cast<KafkaProducer*>(opaque);
    producer.connected_ =
        std::string_view(json, length).find("\"state\":\"UP\"") != std::string_view::npos;
    if (producer.connected_) producer.authentication_failed_ = false;
    return 0;
  }
};

KafkaProducer::KafkaProducer(const KafkaOptions& options)
    : options_(options), handle_(std::make_unique<Handle>()) {}

// Destroying a librdkafka producer waits for its threads only; what is unanswered was purged.
KafkaProducer::~KafkaProducer() {
  if (handle_->rk != nullptr) Purge();
}

Result<std::unique_ptr<KafkaProducer>> KafkaProducer::Make(const KafkaOptions& options) {
  auto conf = MakeKafkaConf(options);
  if (!conf.ok()) return conf.error();
  for (const auto& [name, value] : std::initializer_list<std::pair<std::string, std::string>>{
           {"enable.idempotence", "true"},
           {"acks", "all"},
           {"message.timeout.ms", "0"},
           {"linger.ms", std::to_string(options.linger_ms)},
           {"queue.buffering.max.messages", std::to_string(options.queue_records_max)},
           {"queue.buffering.max.kbytes", std::to_string(options.queue_kbytes_max)},
           {"message.max.bytes", std::to_string(options.message_bytes_max)},
           {"statistics.interval.ms", "1000"}}) {
    if (Status status = SetKafkaProperty(conf.value().get(), name, value); !status.ok()) {
      return Error{status.message()};
    }
  }
  // The user may tune these two by kafka.properties.
  for (const auto& [name, value] :
       {std::pair{"compression.codec", "lz4"}, std::pair{"batch.size", "1000000"}}) {
    bool set = false;
    for (const auto& property : options.properties) {
      set |= property.first == name || (property.first == "compression.type" &&
                                        std::string_view(name) == "compression.codec");
    }
    if (set) continue;
    if (Status status = SetKafkaProperty(conf.value().get(), name, value); !status.ok()) {
      return Error{status.message()};
    }
  }
  std::unique_ptr<KafkaProducer> producer(new KafkaProducer(options));
  rd_kafka_conf_set_opaque(conf.value().get(), producer.get());
  rd_kafka_conf_set_dr_msg_cb(conf.value().get(), Handle::OnDelivery);
  rd_kafka_conf_set_error_cb(conf.value().get(), Handle::OnError);
  rd_kafka_conf_set_stats_cb(conf.value().get(), Handle::OnStatistics);
  auto handle = MakeProducerHandle(std::move(conf).value());
  if (!handle.ok()) return handle.error();
  producer->handle_->rk = std::move(handle).value();
  return producer;
}

std::string KafkaProducer::Topic(const OutboxRecord& record) const {
  return options_.topic_prefix + std::string(NameOf(record.topic));
}

KafkaProducer::Taken KafkaProducer::Produce(const OutboxRecord& record, std::string* reason) {
  static_assert(sizeof(void*) >= sizeof(uint64_t));
  const std::string topic = Topic(record);
  const std::string schema = std::to_string(record.schema);
  const std::string content_type =
      "application/x-protobuf; messageType=\"" + RecordOf(record.topic)->full_name() + "\"";
  rd_kafka_vu_t vus[9];
  size_t count = 0;
  vus[count].vtype = RD_KAFKA_VTYPE_TOPIC;
  vus[count++].u.cstr = topic.c_str();
  vus[count].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  vus[count++].u.i = RD_KAFKA_MSG_F_COPY;
  vus[count].vtype = RD_KAFKA_VTYPE_KEY;
  vus[count].u.mem.ptr = const_cast<char*>(record.key.data());
  vus[count++].u.mem.size = record.key.size();
  vus[count].vtype = RD_KAFKA_VTYPE_VALUE;  // null for a tombstone
  vus[count].u.mem.ptr = record.tombstone ? nullptr : const_cast<char*>(record.payload.data());
  vus[count++].u.mem.size = record.payload.size();
  vus[count].vtype = RD_KAFKA_VTYPE_OPAQUE;
  vus[count++].u.ptr = reinterpret_cast<void*>(record.position);
  vus[count++] = Header("event_id", record.event_id);
  vus[count++] = Header("content-type", content_type);
  if (!record.tombstone) vus[count++] = Header("schema", schema);

  rd_kafka_error_t* error = rd_kafka_produceva(handle_->rk.get(), vus, count);
  if (error == nullptr) {
    ++in_flight_;
    return Taken::kQueued;
  }
  const rd_kafka_resp_err_t code = rd_kafka_error_code(error);
  *reason = ExplainKafkaError(options_, code, rd_kafka_error_string(error));
  rd_kafka_error_destroy(error);
  if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) return Taken::kFull;
  return IsRefusal(code) ? Taken::kRefused : Taken::kFailed;
}

void KafkaProducer::Poll(int wait_ms, std::vector<Delivery>* deliveries) {
  rd_kafka_poll(handle_->rk.get(), wait_ms);
  deliveries->insert(deliveries->end(), std::make_move_iterator(delivered_.begin()),
                     std::make_move_iterator(delivered_.end()));
  delivered_.clear();
}

void KafkaProducer::Purge() {
  rd_kafka_purge(handle_->rk.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
}

std::string KafkaProducer::FatalReason() const {
  char reason[512];
  const auto code = rd_kafka_fatal_error(handle_->rk.get(), reason, sizeof reason);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return "";
  return "kafka: " + options_.brokers +
         ": the producer is lost and made anew, what was not acknowledged is sent again (" +
         rd_kafka_err2name(code) + ": " + reason + ")";
}

void KafkaProducer::InjectFatal() {
  rd_kafka_test_fatal_error(handle_->rk.get(), RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                            "injected by a test");
}

}  // namespace stillwatch::pipeline
