#include "pipeline/store/outbox_record.h"

#include "base/endian.h"
#include "base/hash.h"
#include "pipeline/sink/topic_records.h"
#include "pipeline/sink/utf8.h"

namespace stillwatch::pipeline {
namespace {

constexpr size_t kHeadBytes = 20;
constexpr uint8_t kTombstoneFlag = 1;

uint32_t ChecksumOf(Bytes bytes) { return static_cast<uint32_t>(KeyedHash64(bytes, Salt{})); }

}  // namespace

OutboxRecord RecordOfEvent(const Event& event) {
  OutboxRecord record;
  record.topic = event.topic;
  record.key = event.key;
  if (event.message == nullptr) {
    record.tombstone = true;
    record.event_id = event.tombstone_id;
    return record;
  }
  const auto repaired = RepairedCopy(*event.message);
  const google::protobuf::Message& message = repaired ? *repaired : *event.message;
  record.schema = MetaOf(message).schema();
  record.event_id = MetaOf(message).event_id();
  message.SerializeToString(&record.payload);
  return record;
}

void EncodeRecord(const OutboxRecord& record, std::string* out) {
  out->assign(kHeadBytes, '\0');
  char* head = out->data();
  head[4] = static_cast<char>(record.topic);
  head[5] = static_cast<char>(record.tombstone ? kTombstoneFlag : 0);
  StoreLe(head + 8, record.schema);
  StoreLe(head + 12, static_cast<uint32_t>(record.key.size()));
  StoreLe(head + 16, static_cast<uint32_t>(record.event_id.size()));
  out->append(record.key).append(record.event_id).append(record.payload);
  StoreLe(out->data(), ChecksumOf(AsBytes(*out).subspan(4)));
}

bool DecodeRecord(Bytes stored, OutboxRecord* record) {
  if (stored.size() < kHeadBytes) return false;
  if (LoadLe<uint32_t>(stored.data()) != ChecksumOf(stored.subspan(4))) return false;
  if (stored[4] >= kTopics || stored[5] > kTombstoneFlag) return false;
  const uint64_t key = LoadLe<uint32_t>(stored.data() + 12);
  const uint64_t event_id = LoadLe<uint32_t>(stored.data() + 16);
  std::string_view rest = AsText(stored.subspan(kHeadBytes));
  if (key + event_id > rest.size()) return false;
  record->topic = static_cast<Topic>(stored[4]);
  record->tombstone = stored[5] == kTombstoneFlag;
  record->schema = LoadLe<uint32_t>(stored.data() + 8);
  record->key = rest.substr(0, key);
  record->event_id = rest.substr(key, event_id);
  record->payload = rest.substr(key + event_id);
  return true;
}

bool EventOfRecord(const OutboxRecord& record, Event* event) {
  event->topic = record.topic;
  event->key = record.key;
  event->tombstone_id = record.tombstone ? record.event_id : "";
  event->message = nullptr;
  if (record.tombstone) return true;
  auto message = NewRecord(record.topic);
  if (!message->ParseFromString(record.payload)) return false;
  event->message = std::move(message);
  return true;
}

}  // namespace stillwatch::pipeline
