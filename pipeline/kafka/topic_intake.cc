#include "pipeline/kafka/topic_intake.h"

#include "base/log.h"
#include "base/mutant.h"

namespace stillwatch::pipeline {

namespace {
constexpr int kPollMs = 200;
constexpr auto kNotYet = std::chrono::milliseconds(200);
constexpr int64_t kTellNs = 60 * kNsPerSecond;
}  // namespace

TopicIntake::TopicIntake(std::unique_ptr<KafkaConsumer> consumer, Handler handler, const Clock& clock, std::function<void()> idle)
    : consumer_(std::move(consumer)), handler_(std::move(handler)), clock_(clock), idle_(std::move(idle)) {}

void TopicIntake::Start() {
  thread_ = std::thread([this] {
    Run();
    stopped_ = true;
  });
}

void TopicIntake::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool TopicIntake::Wait() {
  std::unique_lock lock(mutex_);
  return !wake_.wait_for(lock, kNotYet, [this] { return stopping_; });
}

void TopicIntake::Run() {
  for (;;) {
    {
      std::lock_guard lock(mutex_);
      if (stopping_) return;
    }
    const std::optional<ConsumedRecord> record = consumer_->Poll(kPollMs);
    if (!record.has_value()) {
      if (idle_) idle_();
      continue;
    }
    Outcome outcome = handler_(*record);
    if (MutantIs("consume.commits_early")) consumer_->Commit(*record);
    while (outcome.what == Outcome::What::kNotYet) {
      consumer_->counters().Add(ConsumeCounter::kWaits);
      if (!Wait()) return;  // it comes again
      outcome = handler_(*record);
    }
    if (outcome.what == Outcome::What::kMalformed) {
      consumer_->counters().Add(ConsumeCounter::kMalformed);
      if (const int64_t now_ns = clock_.MonotonicNs(); told_ns_ == 0 || now_ns - told_ns_ > kTellNs) {
        told_ns_ = now_ns;
        Log(LogLevel::kWarning, "topic " + record->topic + ", partition " + std::to_string(record->partition) + ", offset " +
                                    std::to_string(record->offset) + " is passed over: " + outcome.why + " (others in the next minute are only counted)");
      }
    }
    if (!outcome.read_at_start) consumer_->Commit(*record);
  }
}

}  // namespace stillwatch::pipeline
