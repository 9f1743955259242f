// What the merger gives out goes to the pipeline.
#pragma once

#include "dataplane/engine/merger.h"
#include "pipeline/pipeline.h"

namespace stillwatch {

class PipelineConsumer final : public dataplane::ExchangeConsumer {
 public:
  explicit PipelineConsumer(pipeline::Pipeline* pipeline) : pipeline_(pipeline) {}

  void OnExchange(const dataplane::ExchangeView& exchange) override {
    ++exchanges_;
    pipeline_->OnExchange(exchange);
  }
  void OnFlowRecord(const dataplane::FlowRecord& record) override { pipeline_->OnFlowRecord(record); }
  void OnWatermark(uint64_t packet, int64_t time_ns) override {
    packet_ = packet;
    time_ns_ = time_ns;
    pipeline_->OnWatermark(packet, time_ns);
  }

  uint64_t exchanges() const { return exchanges_; }
  uint64_t packet() const { return packet_; }
  int64_t time_ns() const { return time_ns_; }

 private:
  pipeline::Pipeline* const pipeline_;
  uint64_t exchanges_ = 0, packet_ = 0;
  int64_t time_ns_ = 0;
};

}  // namespace stillwatch
