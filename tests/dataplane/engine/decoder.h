// A decoder with its observer, as one worker of an engine.
#pragma once

#include <memory>

#include "dataplane/engine/engine.h"
#include "dataplane/llm/llm_observer.h"

namespace stillwatch::dataplane {

class Decoder final : public Worker {
 public:
  explicit Decoder(WorkerOutput* output, const WorkerOptions& worker = {}, const LlmOptions& llm = {})
      : observer_(MakeLlmObserver(llm, output)), worker_(MakeWorker(worker, observer_.get(), output)) {}
  LookResult Look(const Frame& frame) override { return worker_->Look(frame); }
  LookResult Continue() override { return worker_->Continue(); }
  void Tick(uint64_t packet, int64_t time_ns) override { worker_->Tick(packet, time_ns); }
  void Finish(uint64_t packet, int64_t time_ns) override { worker_->Finish(packet, time_ns); }
  void RegisterCounters(CounterRegistry* registry) override { worker_->RegisterCounters(registry); }

 private:
  std::unique_ptr<LlmObserver> observer_;
  std::unique_ptr<Worker> worker_;
};

}  // namespace stillwatch::dataplane
