// The drain against librdkafka's mock cluster: faults, bounds and order. What only a real broker
// can show (durability, restart) is in kafka_broker_test.
#include "pipeline/kafka/kafka_drain.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "pipeline/kafka/kafka_admin.h"
#include "tests/pipeline/kafka/mock_cluster.h"
#include "tests/pipeline/kafka/topic_reader.h"
#include "tests/pipeline/store/events.h"
#include "tests/pipeline/store/temp_folder.h"

namespace stillwatch::pipeline {
namespace {

constexpr int64_t kDeadlineS = 60;
constexpr int kProduceApi = 0;

class KafkaDrainTest : public testing::Test {
 protected:
  void SetUp() override {
    OutboxOptions options;
    options.dir = folder_ / "outbox";
    options.records_max = 50'000;
    options.bytes_max = 64 << 20;
    options.snapshot_bytes_max = 1 << 20;
    auto opened = Outbox::Open(options, clock_);
    ASSERT_TRUE(opened.ok()) << opened.message();
    outbox_ = std::move(opened).value();
  }
  void TearDown() override { drain_.reset(); }

  KafkaOptions Options() const {
    KafkaOptions options;
    options.brokers = cluster_.bootstraps();
    options.retry_min_ms = 50;
    options.retry_max_ms = 200;
    options.properties = {{"reconnect.backoff.ms", "20"},
                          {"reconnect.backoff.max.ms", "200"},
                          {"retry.backoff.ms", "20"}};
    return options;
  }
  void StartDrain(const KafkaOptions& options) {
    auto made = KafkaDrain::Make(options, *outbox_);
    ASSERT_TRUE(made.ok()) << made.message();
    drain_ = std::move(made).value();
    drain_->Start();
  }
  void Commit(uint64_t first, size_t count, size_t filler = 0) {
    const Status status = outbox_->Commit(AuditEvents(1, first, count, filler));
    ASSERT_TRUE(status.ok()) << status.message();
  }
  bool WaitFor(const std::function<bool()>& condition) const {
    const SystemClock wall;
    const int64_t deadline = wall.MonotonicNs() + kDeadlineS * kNsPerSecond;
    while (!condition()) {
      if (wall.MonotonicNs() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }
  bool WaitEmpty() const {
    return WaitFor([&] { return outbox_->stats().records == 0; });
  }
  // Reads audit until each of the events 1..count was seen at least once.
  ::testing::AssertionResult AllOnTopic(uint64_t count) {
    TopicReader reader(cluster_.bootstraps(), {{"stillwatch.audit", 2}});
    std::set<std::string> missing;
    for (uint64_t i = 1; i <= count; ++i) missing.insert(EventId("box-a", 1, i));
    reader.ReadUntil(
        [&](const ReadRecord& record) {
          missing.erase(record.headers.at("event_id"));
          return missing.empty();
        },
        20);
    if (missing.empty()) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure()
           << missing.size() << " events missing, the first " << *missing.begin();
  }

  MockCluster cluster_{1};
  TempFolder folder_;
  FakeClock clock_{100 * kNsPerSecond};
  std::unique_ptr<Outbox> outbox_;
  std::unique_ptr<KafkaDrain> drain_;
};

TEST_F(KafkaDrainTest, DeliversAllAndTrims) {
  Commit(1, 500);
  StartDrain(Options());
  Commit(501, 500);
  ASSERT_TRUE(WaitEmpty());
  EXPECT_TRUE(AllOnTopic(1'000));
  const KafkaStatus status = drain_->status();
  EXPECT_TRUE(status.connected);
  EXPECT_EQ(status.lag_records, 0u);
  EXPECT_EQ(status.acknowledged, 1'000u);
  EXPECT_EQ(status.last_error, "");
}

TEST_F(KafkaDrainTest, KeyValueAndHeadersAreAsPromised) {
  std::vector<Event> events = AuditEvents(1, 1, 1);
  events.push_back(Event{Topic::kEnforcementAdvice, "acct-7", nullptr, "box-a-1-2"});
  ASSERT_TRUE(outbox_->Commit(events).ok());
  StartDrain(Options());
  std::vector<ReadRecord> records;
  TopicReader reader(cluster_.bootstraps(),
                     {{"stillwatch.audit", 2}, {"stillwatch.enforcement-advice", 2}});
  ASSERT_TRUE(reader.ReadUntil(
      [&](const ReadRecord& record) {
        records.push_back(record);
        return records.size() == 2;
      },
      kDeadlineS));
  if (records[0].topic != "stillwatch.audit") std::swap(records[0], records[1]);
  EXPECT_EQ(records[0].key, "box-a");
  ASSERT_TRUE(records[0].value.has_value());
  EXPECT_EQ(*records[0].value, AuditEvent(1, 1).message->SerializeAsString());
  EXPECT_EQ(records[0].headers["event_id"], "box-a-1-1");
  EXPECT_EQ(records[0].headers["schema"], "1");
  EXPECT_EQ(records[0].headers["content-type"],
            "application/x-protobuf; messageType=\"stillwatch.v1.Audit\"");
  EXPECT_EQ(records[1].key, "acct-7");
  EXPECT_FALSE(records[1].value.has_value());
  EXPECT_EQ(records[1].headers["event_id"], "box-a-1-2");
}

// Nothing leaves the outbox before a broker has it. The broker is down, so nothing may be trimmed
// however long the producer holds the events; the status says so; when it comes back all arrives.
TEST_F(KafkaDrainTest, WhileTheBrokerIsAwayTheOutboxKeepsEverything) {
  ASSERT_EQ(rd_kafka_mock_broker_set_down(cluster_.get(), 1), RD_KAFKA_RESP_ERR_NO_ERROR);
  Commit(1, 300);
  StartDrain(Options());
  ASSERT_TRUE(WaitFor([&] { return drain_->counters().Get(KafkaCounter::kSent) >= 300; }));
  ASSERT_TRUE(WaitFor([&] { return !drain_->status().last_error.empty(); }));
  Commit(301, 300);  // the pipeline goes on
  EXPECT_EQ(outbox_->trimmable(), 0u);
  EXPECT_EQ(outbox_->stats().records, 600u);
  const KafkaStatus away = drain_->status();
  EXPECT_FALSE(away.connected);
  EXPECT_EQ(away.lag_records, 600u);
  EXPECT_NE(away.last_error.find(cluster_.bootstraps()), std::string::npos) << away.last_error;
  ASSERT_EQ(rd_kafka_mock_broker_set_up(cluster_.get(), 1), RD_KAFKA_RESP_ERR_NO_ERROR);
  ASSERT_TRUE(WaitEmpty());
  EXPECT_TRUE(AllOnTopic(600));
}

// A full producer queue holds up the drain alone.
TEST_F(KafkaDrainTest, AFullQueueNeverHoldsUpCommit) {
  ASSERT_EQ(rd_kafka_mock_broker_set_down(cluster_.get(), 1), RD_KAFKA_RESP_ERR_NO_ERROR);
  KafkaOptions options = Options();
  options.queue_records_max = 50;
  StartDrain(options);
  for (uint64_t i = 0; i < 20; ++i) Commit(1 + 100 * i, 100);
  ASSERT_TRUE(WaitFor([&] { return drain_->counters().Get(KafkaCounter::kQueueFull) > 0; }));
  EXPECT_LE(drain_->status().in_flight, 50u);
  Commit(2'001, 100);
  ASSERT_EQ(rd_kafka_mock_broker_set_up(cluster_.get(), 1), RD_KAFKA_RESP_ERR_NO_ERROR);
  ASSERT_TRUE(WaitEmpty());
  EXPECT_TRUE(AllOnTopic(2'100));
}

TEST_F(KafkaDrainTest, AfterAFatalProducerEverythingUnacknowledgedIsSentAgain) {
  ASSERT_EQ(rd_kafka_mock_broker_set_rtt(cluster_.get(), 1, 300), RD_KAFKA_RESP_ERR_NO_ERROR);
  Commit(1, 200);
  StartDrain(Options());
  ASSERT_TRUE(WaitFor([&] { return drain_->counters().Get(KafkaCounter::kSent) >= 200; }));
  ASSERT_EQ(outbox_->trimmable(), 0u);
  drain_->InjectFatal();
  ASSERT_TRUE(WaitFor([&] { return drain_->counters().Get(KafkaCounter::kFatal) == 1; }));
  Commit(201, 100);
  ASSERT_EQ(rd_kafka_mock_broker_set_rtt(cluster_.get(), 1, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
  ASSERT_TRUE(WaitEmpty());
  EXPECT_GE(drain_->counters().Get(KafkaCounter::kProducersMade), 2u);
  EXPECT_TRUE(AllOnTopic(300));
}

// librdkafka before 2.3.0: one Produce is answered "timed out", the four behind it "out of order",
// and the idempotent producer is FATAL. Every event must arrive all the same, in any version. All
// five have the same round trip: without it the retry eats a left-over error.
TEST_F(KafkaDrainTest, TheOutOfOrderRegressionLosesNothing) {
  constexpr int kRttMs = 500;
  ASSERT_EQ(rd_kafka_mock_broker_push_request_error_rtts(
                cluster_.get(), 1, kProduceApi, 5, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, kRttMs,
                RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, kRttMs,
                RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, kRttMs,
                RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, kRttMs,
                RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, kRttMs),
            RD_KAFKA_RESP_ERR_NO_ERROR);
  Commit(1, 6);
  KafkaOptions options = Options();
  options.linger_ms = 0;
  options.properties.emplace_back("batch.num.messages", "1");
  StartDrain(options);
  ASSERT_TRUE(WaitEmpty());
  EXPECT_TRUE(AllOnTopic(6));
  if (rd_kafka_version() < 0x02030000) {
    EXPECT_GE(drain_->counters().Get(KafkaCounter::kFatal), 1u) << "the fault was not provoked";
  }
}

TEST_F(KafkaDrainTest, ARecordThatCannotBeDeliveredDoesNotHoldUpTheRest) {
  KafkaOptions options = Options();
  options.message_bytes_max = 10'000;
  Commit(1, 3);
  Commit(4, 1, 50'000);
  Commit(5, 3);
  StartDrain(options);
  ASSERT_TRUE(WaitEmpty());
  EXPECT_EQ(drain_->counters().Get(KafkaCounter::kRefused), 1u);
  EXPECT_EQ(drain_->counters().Get(KafkaCounter::kAcknowledged), 6u);
}

// What was sent and not answered at Stop is sent by the next start: more than once, never lost.
TEST_F(KafkaDrainTest, StoppingInTheMiddleLosesNothing) {
  ASSERT_EQ(rd_kafka_mock_broker_set_rtt(cluster_.get(), 1, 200), RD_KAFKA_RESP_ERR_NO_ERROR);
  Commit(1, 400);
  StartDrain(Options());
  ASSERT_TRUE(WaitFor([&] { return drain_->counters().Get(KafkaCounter::kSent) >= 400; }));
  drain_->Stop(0);
  ASSERT_EQ(rd_kafka_mock_broker_set_rtt(cluster_.get(), 1, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
  StartDrain(Options());
  ASSERT_TRUE(WaitEmpty());
  EXPECT_TRUE(AllOnTopic(400));
}

TEST_F(KafkaDrainTest, StopWithTimeWaitsForAnswers) {
  Commit(1, 100);
  StartDrain(Options());
  ASSERT_TRUE(WaitFor([&] { return drain_->counters().Get(KafkaCounter::kSent) >= 100; }));
  drain_->Stop(static_cast<int>(kDeadlineS) * 1'000);
  EXPECT_EQ(outbox_->stats().records, 0u);
}

}  // namespace
}  // namespace stillwatch::pipeline
