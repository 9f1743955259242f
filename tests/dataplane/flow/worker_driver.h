// Drives one worker with built TCP segments and keeps what came out of it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "dataplane/worker.h"
#include "tests/dataplane/frame_builder.h"
#include "tests/dataplane/null_http.h"

namespace stillwatch::testing {

// One direction of one flow.
struct SeenStream {
  std::string bytes;                 // a hole shows as "[N]"
  uint64_t gap_bytes = 0;
  bool ended = false;
};
struct SeenFlow {
  uint64_t id = 0;
  uint16_t client_port = 0, server_port = 0;
  SeenStream client, server;
};

class FlowObserver final : public dataplane::StreamObserver {
 public:
  void OnStreamBytes(const dataplane::StreamContext& at, bool from_client, uint64_t skipped, Bytes data) override {
    SeenStream& stream = Of(at, from_client);
    if (skipped != 0) stream.bytes += "[" + std::to_string(skipped) + "]";
    stream.gap_bytes += skipped;
    stream.bytes += AsText(data);
  }
  void OnStreamEnd(const dataplane::StreamContext& at, bool from_client) override { Of(at, from_client).ended = true; }
  const std::vector<SeenFlow>& flows() const { return flows_; }

 private:
  SeenStream& Of(const dataplane::StreamContext& at, bool from_client) {
    const auto [entry, fresh] = index_.try_emplace(at.flow_id, flows_.size());
    if (fresh) flows_.push_back({at.flow_id, at.client_port, at.server_port, {}, {}});
    SeenFlow& flow = flows_[entry->second];
    return from_client ? flow.client : flow.server;
  }
  std::map<uint64_t, size_t> index_;
  std::vector<SeenFlow> flows_;
};

class RecordKeeper final : public dataplane::WorkerOutput {
 public:
  void OnExchange(const dataplane::ExchangeView&) override {}
  void OnFlowRecord(const dataplane::FlowRecord& record) override { records.push_back(record); }
  bool OnUninteresting(const dataplane::FlowEnds& ends, int64_t) override {
    if (takes) passed.push_back(ends);
    return takes;
  }
  std::vector<dataplane::FlowRecord> records;
  std::vector<dataplane::FlowEnds> passed;
  bool takes = true;  // flows of no interest
};

inline constexpr uint8_t kF = 1, kS = 2, kR = 4, kA = 16;

class WorkerDriver {
 public:
  explicit WorkerDriver(dataplane::WorkerOptions options = SmallOptions(), dataplane::HttpObserver* http = nullptr) {
    worker_ = dataplane::MakeWorker(options, http == nullptr ? &http_ : http, &output_, &observer_);
    worker_->RegisterCounters(&registry_);
  }
  static dataplane::WorkerOptions SmallOptions() {
    dataplane::WorkerOptions options;
    options.flows_max = 64;
    options.parsers_max = 32;
    options.decoders_max = 4;
    options.window_bytes_max = 1u << 20;
    options.reassembly_bytes_max = 4u << 20;
    options.tls.connections_max = 32, options.tls.buffers_max = 16, options.tls.wait_bytes_max = 1u << 20;
    return options;
  }

  void Frame(const std::vector<uint8_t>& bytes) {
    const dataplane::Frame frame{bytes, static_cast<uint32_t>(bytes.size()), 0, ++number_, now_ns_};
    dataplane::LookResult more = worker_->Look(frame);
    while (more == dataplane::LookResult::kMore) more = worker_->Continue();
  }
  // Client (port) to server 80, and back.
  void C(uint8_t flags, uint32_t seq, uint32_t ack, std::string_view payload = {}, uint16_t port = 40000) {
    Frame(BuildFrame({.src_port = port, .seq = seq, .ack = ack, .flags = flags, .payload = payload}));
  }
  void S(uint8_t flags, uint32_t seq, uint32_t ack, std::string_view payload = {}, uint16_t port = 40000) {
    Frame(BuildFrame({.src = 0x0a000002, .dst = 0x0a000001, .src_port = 80, .dst_port = port, .seq = seq, .ack = ack,
                      .flags = flags, .payload = payload}));
  }
  // The client's and the server's first bytes have `client_isn` + 1 and `server_isn` + 1.
  void Handshake(uint32_t client_isn = 1000, uint32_t server_isn = 5000, uint16_t port = 40000) {
    C(kS, client_isn, 0, {}, port);
    S(kS | kA, server_isn, client_isn + 1, {}, port);
    C(kA, client_isn + 1, server_isn + 1, {}, port);
  }
  // Time goes on; ticks come each 100 ms, as the engine sends them.
  void Wait(int64_t ns) {
    const int64_t until = now_ns_ + ns;
    while (now_ns_ < until) {
      now_ns_ = std::min(until, now_ns_ + 100 * kNsPerMs);
      worker_->Tick(number_ + 1, now_ns_);
    }
  }
  void Finish() { worker_->Finish(number_ + 1, now_ns_); }

  uint64_t Counter(const std::string& name) const { return registry_.Snapshot().at(name); }
  const std::vector<SeenFlow>& flows() const { return observer_.flows(); }
  const std::vector<dataplane::FlowRecord>& records() const { return output_.records; }
  const std::vector<dataplane::FlowEnds>& passed() const { return output_.passed; }
  void TakePassed(bool takes) { output_.takes = takes; }
  dataplane::Worker& worker() { return *worker_; }
  int64_t now_ns() const { return now_ns_; }
  uint64_t number() const { return number_; }

 private:
  NullHttp http_;
  RecordKeeper output_;
  FlowObserver observer_;
  CounterRegistry registry_;
  std::unique_ptr<dataplane::Worker> worker_;
  uint64_t number_ = 0;
  int64_t now_ns_ = 1'700'000'000 * kNsPerSecond;
};

}  // namespace stillwatch::testing
