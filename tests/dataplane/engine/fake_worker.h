// A worker whose output is a pure function of its frames and ticks: flows are the first byte of a
// frame; the second says how many exchanges it completes and how often it wants to be continued.
// Idle flows end at ticks with a record.
#pragma once

#include <algorithm>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "dataplane/engine/merger.h"
#include "dataplane/worker.h"

namespace stillwatch::dataplane {

inline constexpr int64_t kFakeIdleNs = 700 * kNsPerMs;

inline uint64_t FakeFlowHash(Bytes frame, Salt salt, bool* = nullptr) { return Mix64(frame[0] + 1 + salt.value); }

class FakeWorker final : public Worker {
 public:
  explicit FakeWorker(WorkerOutput* output) : output_(output) {}

  LookResult Look(const Frame& frame) override {
    frame_ = frame;
    exchanges_left_ = frame.bytes[1] % 4;
    more_left_ = frame.bytes[1] / 4 % 3;
    Flow& flow = flows_[FakeFlowHash(frame.bytes, {})];
    flow.last_ns = frame.time_ns;
    flow.packets++;
    return Continue();
  }
  LookResult Continue() override {
    Flow& flow = flows_[FakeFlowHash(frame_.bytes, {})];
    if (exchanges_left_ > 0) {
      --exchanges_left_;
      Emit(flow);
    }
    if (more_left_ > 0) {
      --more_left_;
      return LookResult::kMore;
    }
    for (; exchanges_left_ > 0; --exchanges_left_) Emit(flow);
    return LookResult::kDone;
  }
  void Tick(uint64_t packet, int64_t time_ns) override {
    EndFlows(packet, time_ns, time_ns - kFakeIdleNs);
  }
  void Finish(uint64_t packet, int64_t time_ns) override { EndFlows(packet, time_ns, time_ns); }
  void RegisterCounters(CounterRegistry*) override {}

 private:
  struct Flow {
    int64_t last_ns = 0;
    uint64_t packets = 0, index = 0;
  };

  void Emit(Flow& flow) {
    std::vector<uint64_t> block(sizeof(ExchangeHeader) / 8 + flow.packets % 200);
    auto* header = new (block.data()) ExchangeHeader;
    header->order = {frame_.number, FakeFlowHash(frame_.bytes, {}), flow.index++};
    header->request_start_ns = frame_.time_ns;
    header->prefix_chain_count = static_cast<uint32_t>(flow.packets % 200);
    for (uint64_t i = 0; i < flow.packets % 200; ++i)
      block[sizeof(ExchangeHeader) / 8 + i] = i * flow.packets;
    output_->OnExchange(
        ExchangeView({reinterpret_cast<const uint8_t*>(block.data()), block.size() * 8}));
  }
  void EndFlows(uint64_t packet, int64_t time_ns, int64_t before_ns) {
    for (auto at = flows_.begin(); at != flows_.end();) {  // by flow hash
      if (at->second.last_ns > before_ns) {
        ++at;
        continue;
      }
      FlowRecord record{};
      record.order = {packet, at->first, at->second.index};
      record.first_ns = at->second.last_ns;
      record.last_ns = time_ns;
      record.steps_count = static_cast<uint32_t>(at->second.packets % (kFlowRecordSteps + 1));
      for (uint32_t i = 0; i < record.steps_count; ++i) record.steps[i].size_bytes = i + 1;
      output_->OnFlowRecord(record);
      at = flows_.erase(at);
    }
  }

  WorkerOutput* output_;
  Frame frame_{};
  int exchanges_left_ = 0, more_left_ = 0;
  std::map<uint64_t, Flow> flows_;
};

// Writes everything down.
class Transcript final : public ExchangeConsumer, public WorkerOutput {
 public:
  void OnExchange(const ExchangeView& exchange) override {
    Key("exchange", exchange.header().order);
    uint64_t sum = 0;
    for (const uint64_t word : exchange.prefix_chain()) sum = Mix64(sum + word);
    text_ << exchange.header().request_start_ns << ' ' << exchange.prefix_chain().size() << ' '
          << sum << '\n';
    ++exchanges;
  }
  void OnFlowRecord(const FlowRecord& record) override {
    Key("flow", record.order);
    uint64_t sum = 0;
    for (const FlowStep& step : record.steps) sum = Mix64(sum + step.size_bytes);
    text_ << record.first_ns << ' ' << record.last_ns << ' ' << record.steps_count << ' ' << sum
          << '\n';
    ++flow_records;
  }
  void OnWatermark(uint64_t packet, int64_t time_ns) override {
    text_ << "watermark " << packet << ' ' << time_ns << '\n';
    ++watermarks;
  }
  std::string text() const { return text_.str(); }

  size_t exchanges = 0, flow_records = 0, watermarks = 0;

 private:
  void Key(const char* kind, const OrderKey& order) {
    text_ << kind << ' ' << order.packet << ' ' << order.flow_hash << ' ' << order.index << ' ';
  }
  std::ostringstream text_;
};

}  // namespace stillwatch::dataplane
