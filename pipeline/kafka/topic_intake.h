// The thread that takes what others write to topics, one record after another: hands it to who knows what it asks for, waits until that is
// durable, then lets the group go on. A record that is none is counted, told in the log once a minute, and passed over: there
// is no dead-letter topic, its place (topic, partition, offset) is in the log.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.h"
#include "pipeline/kafka/kafka_consumer.h"

namespace stillwatch::pipeline {

class TopicIntake {
 public:
  struct Outcome {
    enum class What { kDurable, kNotYet, kMalformed };
    What what = What::kDurable;
    std::string why;            // of kMalformed
    bool read_at_start = false;  // a topic that is read whole at every start: its position is not kept
  };
  // On the intake's thread. kNotYet: asked again with the same record a moment later.
  using Handler = std::function<Outcome(const ConsumedRecord& record)>;

  // `idle`: called when no record came for a moment; may be empty.
  TopicIntake(std::unique_ptr<KafkaConsumer> consumer, Handler handler, const Clock& clock, std::function<void()> idle = {});
  ~TopicIntake() { Stop(); }

  void Start();
  void Stop();  // returns when the record in hand is done with
  bool stopped() const { return stopped_; }
  KafkaConsumer& consumer() { return *consumer_; }

 private:
  void Run();
  bool Wait();  // a moment; false: stopping

  const std::unique_ptr<KafkaConsumer> consumer_;
  const Handler handler_;
  const Clock& clock_;
  const std::function<void()> idle_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::atomic<bool> stopped_{false};
  int64_t told_ns_ = 0;
  std::thread thread_;
};

}  // namespace stillwatch::pipeline
