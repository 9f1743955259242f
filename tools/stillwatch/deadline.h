// Calls a function once when a time has come, on a thread of its own, so that it happens whatever else in the process
// stands still. Set and Clear: any thread, also the function itself.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "base/clock.h"

namespace stillwatch {

class Deadline {
 public:
  // `due` outlives nothing: whoever owns what it touches stops this first.
  explicit Deadline(std::function<void()> due) : due_(std::move(due)), thread_([this] { Run(); }) {}
  ~Deadline() { Stop(); }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  // The place of an earlier time is taken. The same clock as SystemClock::MonotonicNs.
  void Set(int64_t at_ns) {
    {
      std::lock_guard lock(mutex_);
      at_ns_ = at_ns;
    }
    wake_.notify_all();
  }
  void Clear() { Set(0); }
  // The function is not called after this.
  void Stop() {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

 private:
  void Run() {
    std::unique_lock lock(mutex_);
    while (!stop_) {
      if (at_ns_ == 0) {
        wake_.wait(lock);
        continue;
      }
      const int64_t left_ns = at_ns_ - SystemClock().MonotonicNs();
      if (left_ns > 0) {
        wake_.wait_for(lock, std::chrono::nanoseconds(left_ns));
        continue;
      }
      at_ns_ = 0;
      lock.unlock();
      due_();
      lock.lock();
    }
  }

  const std::function<void()> due_;
  std::mutex mutex_;
  std::condition_variable wake_;
  int64_t at_ns_ = 0;  // 0: none
  bool stop_ = false;
  std::thread thread_;  // last: uses all above
};

}  // namespace stillwatch
