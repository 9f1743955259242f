// The embedded default's end of the outbox: a thread of its own reads events, writes them to a sink
// (NDJSON files), makes them durable there and only then acknowledges them. So a slow or full disk
// under the files never holds up the pipeline, and a crash writes the last few again (same event
// ids): at least once. A failing sink is retried for ever with a growing pause, and said once a
// minute.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/counters.h"
#include "pipeline/sink/sink.h"
#include "pipeline/store/outbox.h"

namespace stillwatch::pipeline {

enum class DrainCounter {
  kWritten,     // events written, durable in the sink and acknowledged
  kRetried,     // attempts that the sink refused; its events were kept and tried again
  kUnreadable,  // stored events that no parser takes, skipped; written by a newer version?
  kCount
};
inline constexpr CounterNames<DrainCounter> kDrainCounterNames{"drain.written", "drain.retried",
                                                               "drain.unreadable"};

struct DrainStatus {
  uint64_t lag_records = 0;
  uint64_t lag_bytes = 0;
  bool failing = false;
  std::string last_error;
};

class NdjsonDrain {
 public:
  // Both outlive the drain; from Start to Stop the sink is this thread's alone.
  NdjsonDrain(Outbox& outbox, Sink& sink);
  ~NdjsonDrain();  // Stop

  void Start();
  // Lets the present attempt end, then stops. What is not written stays in the outbox.
  void Stop();

  // One attempt from the calling thread, for tests and for draining at shutdown: writes up to one
  // batch. Returns how many events were delivered, 0 when there is none.
  Result<size_t> DrainOnce();

  DrainStatus status() const;
  const CounterBlock<DrainCounter>& counters() const { return counters_; }

 private:
  void Run();

  Outbox& outbox_;
  Sink& sink_;
  uint64_t position_;  // delivered up to here
  std::thread thread_;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::string last_error_;  // under mutex_; "" when the last attempt went well
  CounterBlock<DrainCounter> counters_{kDrainCounterNames};
};

}  // namespace stillwatch::pipeline
