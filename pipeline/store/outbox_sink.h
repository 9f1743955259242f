// The Sink in front of the outbox: what Write accepted is durable. Batch thread. The outbox
// outlives it.
#pragma once

#include "pipeline/sink/sink.h"
#include "pipeline/store/outbox.h"

namespace stillwatch::pipeline {

class OutboxSink final : public Sink {
 public:
  explicit OutboxSink(Outbox& outbox) : outbox_(outbox) {}
  Status Write(std::span<const Event> events) override { return outbox_.Commit(events); }
  Status WriteWithState(std::span<const Event> events, std::string_view state) override {
    return outbox_.Commit(events, AsBytes(state));
  }
  Status Flush() override { return {}; }  // every commit is durable already

 private:
  Outbox& outbox_;
};

}  // namespace stillwatch::pipeline
