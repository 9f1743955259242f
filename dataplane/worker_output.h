// Where a worker puts what it understood. Called on the worker's thread; must not block longer than the
// implementation's contract says (live: never; replay: it may wait for room).
#pragma once

#include "dataplane/llm/connection_note.h"
#include "dataplane/llm/exchange.h"
#include "dataplane/llm/flow_record.h"
#include "dataplane/port/flow_ends.h"

namespace stillwatch::dataplane {

// A connection younger than that is not told as uninteresting: the kernel takes what began a moment ago for another one.
inline constexpr int64_t kPassAgeNs = 1'000'000'000;

class WorkerOutput {
 public:
  virtual ~WorkerOutput() = default;
  // The view is valid during the call.
  virtual void OnExchange(const ExchangeView& exchange) = 0;
  virtual void OnFlowRecord(const FlowRecord& record) = 0;
  // Only where WorkerOptions::tell_connections asks for it.
  virtual void OnConnection(const ConnectionNote&) {}
  // Nothing of interest will come on this connection any more, as far as it was looked at: up to the frame received at `time_ns`.
  // Only where WorkerOptions::pass_uninteresting asks for it. False: not taken; the worker may ask again.
  virtual bool OnUninteresting(const FlowEnds&, int64_t /*time_ns*/) { return false; }
};

}  // namespace stillwatch::dataplane
