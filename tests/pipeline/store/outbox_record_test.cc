#include "pipeline/store/outbox_record.h"

#include <gtest/gtest.h>

#include "pipeline/sink/topic_records.h"
#include "tests/pipeline/store/events.h"

namespace stillwatch::pipeline {
namespace {

TEST(OutboxRecordTest, ComesBackAsItWas) {
  std::string stored;
  EncodeRecord(RecordOfEvent(AuditEvent(7, 3, 100)), &stored);
  OutboxRecord record;
  ASSERT_TRUE(DecodeRecord(AsBytes(stored), &record));
  EXPECT_EQ(record.event_id, "box-a-7-3");
  EXPECT_EQ(record.key, "box-a");
  EXPECT_EQ(record.schema, 1u);
  Event event;
  ASSERT_TRUE(EventOfRecord(record, &event));
  EXPECT_EQ(event.message->SerializeAsString(), AuditEvent(7, 3, 100).message->SerializeAsString());
}

TEST(OutboxRecordTest, TombstonesKeepTheirId) {
  std::string stored;
  EncodeRecord(RecordOfEvent(Event{Topic::kEnforcementAdvice, "acct", nullptr, "box-1-9"}),
               &stored);
  OutboxRecord record;
  ASSERT_TRUE(DecodeRecord(AsBytes(stored), &record));
  EXPECT_TRUE(record.tombstone);
  Event event;
  ASSERT_TRUE(EventOfRecord(record, &event));
  EXPECT_EQ(event.message, nullptr);
  EXPECT_EQ(event.tombstone_id, "box-1-9");
  EXPECT_EQ(event.topic, Topic::kEnforcementAdvice);
}

// Every flipped bit and every cut is noticed.
TEST(OutboxRecordTest, DamageIsNoticed) {
  std::string stored;
  EncodeRecord(RecordOfEvent(AuditEvent(7, 3)), &stored);
  OutboxRecord record;
  for (size_t bit = 0; bit < stored.size() * 8; ++bit) {
    std::string damaged = stored;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(DecodeRecord(AsBytes(damaged), &record)) << "bit " << bit;
  }
  for (size_t size = 0; size < stored.size(); ++size) {
    EXPECT_FALSE(DecodeRecord(AsBytes(stored).first(size), &record)) << "cut at " << size;
  }
}

TEST(OutboxRecordTest, TextFromTheWireIsMendedBeforeParsersRefuseIt) {
  Event event = AuditEvent(1, 1);
  static_cast<v1::Audit&>(*event.message).set_detail("model \xff\xc3 name");
  Event back;
  ASSERT_TRUE(EventOfRecord(RecordOfEvent(event), &back));
  EXPECT_EQ(static_cast<v1::Audit&>(*back.message).detail(), "model \xef\xbf\xbd\xef\xbf\xbd name");
}

}  // namespace
}  // namespace stillwatch::pipeline
