// A worker behind a mirror port: looks at each packet once, though the mirror delivers it twice. Both copies have one flow
// hash, so one worker sees both. Never for ports that forward.
#pragma once

#include <array>
#include <memory>

#include "dataplane/packet/duplicate_filter.h"
#include "dataplane/worker.h"

namespace stillwatch::dataplane {

class MirrorWorker final : public Worker {
 public:
  MirrorWorker(std::unique_ptr<Worker> worker, int64_t window_ns, Salt salt)
      : worker_(std::move(worker)), filter_(window_ns, salt) {}

  void Expect(const Frame& frame) override {
    if (end_ - begin_ == announced_.size()) return;
    const bool copy = filter_.IsCopy(frame.bytes, frame.wire_length, frame.time_ns);
    announced_[end_++ % announced_.size()] = {frame.number, copy};
    if (!copy) worker_->Expect(frame);
  }
  LookResult Look(const Frame& frame) override { return IsCopy(frame) ? LookResult::kDone : worker_->Look(frame); }
  LookResult Continue() override { return worker_->Continue(); }
  void Tick(uint64_t packet, int64_t time_ns) override { worker_->Tick(packet, time_ns); }
  void Finish(uint64_t packet, int64_t time_ns) override { worker_->Finish(packet, time_ns); }
  void RegisterCounters(CounterRegistry* registry) override {
    worker_->RegisterCounters(registry);
    registry->Register(filter_.counters());
  }

 private:
  // What was told of a frame when it was announced: each frame is asked about once.
  struct Announced {
    uint64_t number = 0;
    bool copy = false;
  };

  bool IsCopy(const Frame& frame) {
    if (begin_ != end_ && announced_[begin_ % announced_.size()].number == frame.number) {
      return announced_[begin_++ % announced_.size()].copy;
    }
    return filter_.IsCopy(frame.bytes, frame.wire_length, frame.time_ns);
  }

  const std::unique_ptr<Worker> worker_;
  DuplicateFilter filter_;
  std::array<Announced, 16> announced_;  // a ring
  uint32_t begin_ = 0, end_ = 0;         // free running
};

}  // namespace stillwatch::dataplane
