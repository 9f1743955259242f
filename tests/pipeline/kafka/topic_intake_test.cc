// What others write is taken at least once and in order: a record whose effect is not durable yet holds the rest back, one that
// was done with does not come again after a restart, one that was not does, and one that is none is passed over.
#include "pipeline/kafka/topic_intake.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <vector>

#include "tests/pipeline/kafka/mock_cluster.h"
#include "tests/pipeline/kafka/topic_writer.h"

namespace stillwatch::pipeline {
namespace {

using ::testing::ElementsAre;
using What = TopicIntake::Outcome::What;

constexpr char kTopic[] = "stillwatch.feedback";
const SystemClock kClock;

// One life of a box that reads the topic.
class Reader {
 public:
  Reader(const std::string& brokers, const std::string& box, std::function<TopicIntake::Outcome(const ConsumedRecord&)> decide = {})
      : decide_(std::move(decide)) {
    KafkaOptions options;
    options.brokers = brokers;
    auto consumer = KafkaConsumer::Make(options, box, {"feedback"});
    CHECK(consumer.ok());
    intake_ = std::make_unique<TopicIntake>(
        std::move(consumer).value(),
        [this](const ConsumedRecord& record) {
          std::lock_guard lock(mutex_);
          taken_.push_back(record.value.substr(0, 8) + (record.content_type.empty() ? "" : " " + record.content_type));
          return decide_ ? decide_(record) : TopicIntake::Outcome{};
        },
        kClock);
    intake_->Start();
  }
  std::vector<std::string> taken() const {
    std::lock_guard lock(mutex_);
    return taken_;
  }
  uint64_t Count(ConsumeCounter counter) const { return intake_->consumer().counters().Get(counter); }
  bool WaitFor(ConsumeCounter counter, uint64_t count) const {
    const int64_t deadline = kClock.MonotonicNs() + 60 * kNsPerSecond;
    while (Count(counter) < count) {
      if (kClock.MonotonicNs() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }

 private:
  const std::function<TopicIntake::Outcome(const ConsumedRecord&)> decide_;
  mutable std::mutex mutex_;
  std::vector<std::string> taken_;
  std::unique_ptr<TopicIntake> intake_;
};

class TopicIntakeTest : public ::testing::Test {
 protected:
  TopicIntakeTest() { CHECK(rd_kafka_mock_topic_create(cluster_.get(), kTopic, 1, 1) == RD_KAFKA_RESP_ERR_NO_ERROR); }
  MockCluster cluster_{1};
  TopicWriter writer_{cluster_.bootstraps()};
};

TEST_F(TopicIntakeTest, WhatWasDoneWithDoesNotComeAgainAndNothingIsLeftOut) {
  for (const char* value : {"a", "b", "c"}) writer_.Write(kTopic, "k", value, value[0] == 'b' ? "application/json" : "");
  {
    const Reader first(cluster_.bootstraps(), "box-1");
    ASSERT_TRUE(first.WaitFor(ConsumeCounter::kCommitted, 3));
    EXPECT_THAT(first.taken(), ElementsAre("a", "b application/json", "c"));
  }
  writer_.Write(kTopic, "k", "d");
  const Reader second(cluster_.bootstraps(), "box-1");
  ASSERT_TRUE(second.WaitFor(ConsumeCounter::kCommitted, 1));
  EXPECT_THAT(second.taken(), ElementsAre("d"));
  const Reader other(cluster_.bootstraps(), "box-2");  // every box reads all
  ASSERT_TRUE(other.WaitFor(ConsumeCounter::kCommitted, 4));
  EXPECT_EQ(other.taken().size(), 4u);
}

TEST_F(TopicIntakeTest, ARecordWhoseEffectIsNotDurableComesAgainAfterARestart) {
  for (const char* value : {"a", "b", "c"}) writer_.Write(kTopic, "k", value);
  {
    const Reader first(cluster_.bootstraps(), "box-1", [](const ConsumedRecord& record) {
      return TopicIntake::Outcome{record.value == "b" ? What::kNotYet : What::kDurable, "", false};
    });
    ASSERT_TRUE(first.WaitFor(ConsumeCounter::kWaits, 3));
    for (const std::string& value : first.taken()) EXPECT_NE(value, "c") << "overtook one that waits";
  }
  const Reader second(cluster_.bootstraps(), "box-1");
  ASSERT_TRUE(second.WaitFor(ConsumeCounter::kCommitted, 2));
  EXPECT_THAT(second.taken(), ElementsAre("b", "c"));
}

TEST_F(TopicIntakeTest, WhatIsNoRecordIsCountedAndPassedOver) {
  writer_.Write(kTopic, "k", "bad");
  writer_.Write(kTopic, "k", std::string(ConsumedRecord::kValueBytesMax + 1, 'x'));
  writer_.Write(kTopic, "k", "good");
  const Reader reader(cluster_.bootstraps(), "box-1", [](const ConsumedRecord& record) {
    return TopicIntake::Outcome{record.value == "good" ? What::kDurable : What::kMalformed, "is no record", false};
  });
  ASSERT_TRUE(reader.WaitFor(ConsumeCounter::kCommitted, 3));
  EXPECT_THAT(reader.taken(), ElementsAre("bad", "", "good")) << "what is too large is not even held";
  EXPECT_EQ(reader.Count(ConsumeCounter::kMalformed), 2u);
}

TEST_F(TopicIntakeTest, ATopicThatIsReadWholeAtEveryStartIsNotCommitted) {
  writer_.Write(kTopic, "k", "a");
  for (int life = 0; life < 2; ++life) {
    const Reader reader(cluster_.bootstraps(), "box-1", [](const ConsumedRecord&) { return TopicIntake::Outcome{What::kDurable, "", true}; });
    ASSERT_TRUE(reader.WaitFor(ConsumeCounter::kRecords, 1)) << life;
    EXPECT_EQ(reader.Count(ConsumeCounter::kCommitted), 0u);
  }
}

}  // namespace
}  // namespace stillwatch::pipeline
