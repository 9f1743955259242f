// Puts the records of all workers into the one order that does not depend on how many workers there
// are: by the place of the frame or tick that completed them, then by order key. A record is given
// out once no worker can still put an earlier one. One thread: the consumer's. Owns nothing;
// allocates nothing.
#pragma once

#include <memory>
#include <span>

#include "dataplane/engine/lane.h"
#include "dataplane/engine/side_joiner.h"

namespace stillwatch::dataplane {

class ExchangeConsumer {
 public:
  virtual ~ExchangeConsumer() = default;
  // Views and references are valid during the call.
  virtual void OnExchange(const ExchangeView& exchange) = 0;
  virtual void OnFlowRecord(const FlowRecord& record) = 0;
  // Every record completed before `packet` was given out; traffic time is at least `time_ns`. At
  // each tick, after the timeouts that it caused, and once after the last record.
  virtual void OnWatermark(uint64_t packet, int64_t time_ns) = 0;
};

class Merger {
 public:
  // `joiner` may be null: sides of a terminator are then not joined.
  explicit Merger(std::span<const std::unique_ptr<Lane>> lanes, SideJoiner* joiner = nullptr)
      : lanes_(lanes), joiner_(joiner) {}

  // Gives out what is ready, at most `records_max` records. Returns how many.
  size_t Poll(ExchangeConsumer* consumer, size_t records_max = 256);
  // All workers have finished and everything was given out.
  bool at_end();

 private:
  Lane* Next();
  void Deliver(std::span<uint8_t> record, ExchangeConsumer* consumer);
  void Join(std::span<uint8_t> exchange);

  const std::span<const std::unique_ptr<Lane>> lanes_;
  SideJoiner* const joiner_;
  uint64_t notes_lost_ = 0;  // by all lanes
  FlowRecord flow_record_{};
};

}  // namespace stillwatch::dataplane
