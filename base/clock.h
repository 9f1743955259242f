// Time. Two kinds never mix:
//   traffic time: int64 nanoseconds since the Unix epoch, from packet timestamps; all of detection
//     runs on it, so a replay gives what live gave.
//   wall time: the Clock seam, for heartbeats, deadlines and sleeping.
#pragma once

#include <chrono>
#include <cstdint>

namespace stillwatch {

inline constexpr int64_t kNsPerMs = 1'000'000;
inline constexpr int64_t kNsPerSecond = 1'000'000'000;
inline constexpr int64_t kNsPerHour = 3'600 * kNsPerSecond;
inline constexpr int64_t kNsPerDay = 24 * kNsPerHour;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t MonotonicNs() const = 0;  // never steps back
  virtual int64_t UnixNs() const = 0;       // wall clock, may step
};

class SystemClock final : public Clock {
 public:
  int64_t MonotonicNs() const override {
    return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
  }
  int64_t UnixNs() const override {
    return std::chrono::system_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
  }
};

// For tests: stands still until told.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(int64_t now_ns = 0) : now_ns_(now_ns) {}
  void Advance(int64_t ns) { now_ns_ += ns; }
  int64_t MonotonicNs() const override { return now_ns_; }
  int64_t UnixNs() const override { return now_ns_; }

 private:
  int64_t now_ns_;
};

}  // namespace stillwatch
