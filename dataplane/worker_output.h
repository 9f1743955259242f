// Where a worker puts what it understood. Called on the worker's thread; must not block longer than the
// implementation's contract says (live: never; replay: it may wait for room).
#pragma once

#include "dataplane/llm/connection_note.h"
#include "dataplane/llm/exchange.h"
#include "dataplane/llm/flow_record.h"

namespace stillwatch::dataplane {

class WorkerOutput {
 public:
  virtual ~WorkerOutput() = default;
  // The view is valid during the call.
  virtual void OnExchange(const ExchangeView& exchange) = 0;
  virtual void OnFlowRecord(const FlowRecord& record) = 0;
  // Only where WorkerOptions::tell_connections asks for it.
  virtual void OnConnection(const ConnectionNote&) {}
};

}  // namespace stillwatch::dataplane
