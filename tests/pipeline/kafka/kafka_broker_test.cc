// A real broker, killed with -9 in the middle of delivery and started again: every event id is on
// its topic at least once, and each key ends with its newest value.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "pipeline/kafka/kafka_admin.h"
#include "pipeline/kafka/kafka_drain.h"
#include "pipeline/kafka/topic_intake.h"
#include "pipeline/sink/topic_records.h"
#include "tests/pipeline/kafka/real_broker.h"
#include "tests/pipeline/kafka/topic_reader.h"
#include "tests/pipeline/kafka/topic_writer.h"
#include "tests/pipeline/store/events.h"

namespace stillwatch::pipeline {
namespace {

constexpr int64_t kDeadlineS = 90;
constexpr size_t kAccounts = 97;
const SystemClock kClock;

// Event `sequence`: mostly advice for one of the accounts (probability = sequence, so that the
// newest shows), every tenth an audit record, every 31st a tombstone.
Event MixedEvent(uint64_t epoch, uint64_t sequence) {
  if (sequence % 10 == 0) return AuditEvent(epoch, sequence, 200);
  const std::string account = "account-" + std::to_string(sequence % kAccounts);
  if (sequence % 31 == 0) {
    return Event{Topic::kEnforcementAdvice, account, nullptr, EventId("box-a", epoch, sequence)};
  }
  auto advice = std::make_unique<v1::EnforcementAdvice>();
  advice->mutable_meta()->set_event_id(EventId("box-a", epoch, sequence));
  advice->mutable_meta()->set_schema(1);
  advice->set_account(account);
  advice->set_probability(static_cast<uint32_t>(sequence));
  return Event{Topic::kEnforcementAdvice, account, std::move(advice)};
}

bool WaitFor(const std::function<bool()>& condition) {
  const int64_t deadline = kClock.MonotonicNs() + kDeadlineS * kNsPerSecond;
  while (!condition()) {
    if (kClock.MonotonicNs() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

// Commits batches while the drain is at most `kLagMax` events behind, so that there is always
// something in flight.
class Committer {
 public:
  Committer(Outbox& outbox, KafkaDrain& drain) : thread_([&] { Run(outbox, drain); }) {}
  ~Committer() { Finish(); }

  uint64_t committed() const { return committed_; }
  void Finish() {
    enough_ = true;
    if (thread_.joinable()) thread_.join();
  }
  // Events in the outbox above which the committer pauses.
  std::atomic<uint64_t> lag_max{5'000};

 private:
  void Run(Outbox& outbox, KafkaDrain& drain) {
    while (!enough_) {
      if (drain.status().lag_records >= lag_max) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        continue;
      }
      std::vector<Event> events;
      for (uint64_t i = 1; i <= 100; ++i)
        events.push_back(MixedEvent(outbox.epoch(), committed_ + i));
      if (outbox.Commit(events).ok()) committed_ += events.size();
    }
  }

  std::atomic<uint64_t> committed_{0};
  std::atomic<bool> enough_{false};
  std::thread thread_;
};

TEST(KafkaBrokerTest, NothingIsLostThoughTheBrokerIsKilled) {
  const int64_t begin = kClock.MonotonicNs();
  const RealBroker broker;
  const std::string address = broker.Run("start");
  ASSERT_NE(address, "") << "tools/kafka start failed";
  const int64_t started = kClock.MonotonicNs();

  KafkaOptions options;
  options.brokers = address;
  const Status before = CheckKafkaCluster(options, 10'000);
  ASSERT_FALSE(before.ok());
  EXPECT_NE(before.message().find("stillwatch.edge"), std::string::npos) << before.message();
  const Status made = CreateKafkaTopics(options, 1, 30'000);
  ASSERT_TRUE(made.ok()) << made.message();
  ASSERT_TRUE(WaitFor([&] { return CheckKafkaCluster(options, 10'000).ok(); }));

  const TempFolder folder;
  OutboxOptions outbox_options;
  outbox_options.dir = folder / "outbox";
  outbox_options.bytes_max = 128 << 20;
  outbox_options.snapshot_bytes_max = 1 << 20;
  auto outbox = Outbox::Open(outbox_options, kClock);
  ASSERT_TRUE(outbox.ok()) << outbox.message();
  auto drain = KafkaDrain::Make(options, *outbox.value());
  ASSERT_TRUE(drain.ok()) << drain.message();
  drain.value()->Start();
  Committer committer(*outbox.value(), *drain.value());
  ASSERT_TRUE(WaitFor([&] { return drain.value()->status().acknowledged >= 10'000; }));

  broker.Run("kill9");
  const uint64_t at_kill = drain.value()->status().acknowledged;
  committer.lag_max = 15'000;  // the pipeline goes on while the broker is away
  ASSERT_TRUE(WaitFor([&] {
    return !drain.value()->status().connected && drain.value()->status().lag_records >= 15'000;
  }));
  EXPECT_NE(drain.value()->status().last_error.find(address), std::string::npos)
      << drain.value()->status().last_error;
  ASSERT_EQ(broker.Run("start"), address) << "tools/kafka could not start the broker again";
  ASSERT_TRUE(WaitFor([&] { return drain.value()->status().acknowledged >= at_kill + 20'000; }));
  committer.Finish();
  ASSERT_TRUE(WaitFor([&] { return outbox.value()->stats().records == 0; }));
  drain.value()->Stop(10'000);
  const int64_t delivered = kClock.MonotonicNs();

  const uint64_t epoch = outbox.value()->epoch();
  const uint64_t count = committer.committed();
  std::set<uint64_t> missing;
  std::map<std::string, uint64_t> newest;  // by account: sequence of the newest event
  for (uint64_t i = 1; i <= count; ++i) {
    missing.insert(missing.end(), i);
    if (i % 10 != 0) newest["account-" + std::to_string(i % kAccounts)] = i;
  }
  uint64_t records = 0;
  std::map<std::string, uint64_t> last;  // by account: sequence of the last record on the topic
  const auto take = [&](const ReadRecord& record) {
    const auto id = ParseEventId(record.headers.at("event_id"));
    EXPECT_TRUE(id && id->epoch == epoch && id->box == "box-a");
    ++records;
    missing.erase(id->sequence);
    if (record.topic == "stillwatch.enforcement-advice") {
      last[record.key] = id->sequence;
      EXPECT_EQ(record.value.has_value(), id->sequence % 31 != 0);
    }
    return missing.empty() && last == newest;
  };
  TopicReader reader(
      address, {{"stillwatch.audit", FactsOf(Topic::kAudit).partitions},
                {"stillwatch.enforcement-advice", FactsOf(Topic::kEnforcementAdvice).partitions}});
  EXPECT_TRUE(reader.ReadUntil(take, kDeadlineS));
  EXPECT_TRUE(missing.empty()) << missing.size() << " of " << count << " events missing, the first "
                               << *missing.begin();
  EXPECT_EQ(last, newest) << "a key does not end with its newest value";
  std::printf(
      "MEASURED kafka broker: started in %ld ms; %lu events over a kill -9 and restart in %ld ms; "
      "%lu records "
      "read back\n",
      (started - begin) / kNsPerMs, count, (delivered - started) / kNsPerMs, records);
}

// Mutual TLS as users run it: delivered with the client's certificate; without one nothing is, and
// both the check and the drain's status say so.
TEST(KafkaBrokerTest, MutualTlsDeliversAndRefusesStrangers) {
  const RealBroker broker;
  KafkaOptions options;
  options.brokers = broker.Run("start tls");
  ASSERT_NE(options.brokers, "") << "tools/kafka start tls failed";
  const std::string tls = broker.run_folder() + "/tls/";
  options.security = KafkaSecurity::kSsl;
  options.ca_file = tls + "ca.pem";

  const Status stranger = CheckKafkaCluster(options, 10'000);
  ASSERT_FALSE(stranger.ok());
  EXPECT_NE(stranger.message().find("certificate_file"), std::string::npos) << stranger.message();

  const TempFolder folder;
  OutboxOptions outbox_options;
  outbox_options.dir = folder / "outbox";
  auto outbox = Outbox::Open(outbox_options, kClock);
  ASSERT_TRUE(outbox.ok()) << outbox.message();
  ASSERT_TRUE(outbox.value()->Commit(AuditEvents(1, 1, 500)).ok());
  {
    auto drain = KafkaDrain::Make(options, *outbox.value());
    ASSERT_TRUE(drain.ok()) << drain.message();
    drain.value()->Start();
    EXPECT_TRUE(WaitFor([&] {
      return drain.value()->status().last_error.find("certificate_file") != std::string::npos;
    })) << drain.value()->status().last_error;
    EXPECT_EQ(outbox.value()->trimmable(), 0u);
  }
  options.certificate_file = tls + "client.pem";
  options.key_file = tls + "client.key";
  const Status made = CreateKafkaTopics(options, 1, 30'000);
  ASSERT_TRUE(made.ok()) << made.message();
  auto drain = KafkaDrain::Make(options, *outbox.value());
  ASSERT_TRUE(drain.ok()) << drain.message();
  drain.value()->Start();
  EXPECT_TRUE(WaitFor([&] { return outbox.value()->stats().records == 0; }))
      << drain.value()->status().last_error;
  EXPECT_EQ(drain.value()->status().acknowledged, 500u);
}

// Topics that others write: nothing is left out though the broker is killed, and the next life of the box goes on where this one was.
TEST(KafkaBrokerTest, WhatOthersWriteIsTakenThoughTheBrokerIsKilled) {
  const RealBroker broker;
  KafkaOptions options;
  options.brokers = broker.Run("start");
  ASSERT_NE(options.brokers, "") << "tools/kafka start failed";
  ASSERT_TRUE(CreateKafkaTopics(options, 1, 30'000).ok());
  const auto write = [&](int from, int to) {
    TopicWriter writer(options.brokers);
    for (int i = from; i < to; ++i) writer.Write("stillwatch.feedback", "k", std::to_string(i));
  };
  std::mutex mutex;
  std::set<int> taken;
  const auto start = [&] {
    auto consumer = KafkaConsumer::Make(options, "box-a", {"feedback", "intel"});
    CHECK(consumer.ok());
    auto intake = std::make_unique<TopicIntake>(
        std::move(consumer).value(),
        [&](const ConsumedRecord& record) {
          std::lock_guard lock(mutex);
          taken.insert(std::stoi(record.value));
          return TopicIntake::Outcome{};
        },
        kClock);
    intake->Start();
    return intake;
  };
  const auto has_all = [&](size_t count) {
    std::lock_guard lock(mutex);
    return taken.size() == count;
  };
  write(0, 20);
  auto intake = start();
  ASSERT_TRUE(WaitFor([&] { return has_all(20); })) << intake->consumer().last_error();
  broker.Run("kill9");
  ASSERT_TRUE(WaitFor([&] { return !intake->consumer().last_error().empty(); }));
  ASSERT_EQ(broker.Run("start"), options.brokers);
  write(20, 40);
  ASSERT_TRUE(WaitFor([&] { return has_all(40); })) << intake->consumer().last_error();
  const uint64_t committed = intake->consumer().counters().Get(ConsumeCounter::kCommitted);
  ASSERT_TRUE(WaitFor([&] { return intake->consumer().counters().Get(ConsumeCounter::kCommitted) > committed || committed >= 40; }));
  intake.reset();
  taken.clear();
  write(40, 41);
  intake = start();
  ASSERT_TRUE(WaitFor([&] {
    std::lock_guard lock(mutex);
    return taken.contains(40);
  })) << intake->consumer().last_error();
  EXPECT_FALSE(taken.contains(0)) << "the first life's positions are gone";
}

}  // namespace
}  // namespace stillwatch::pipeline
