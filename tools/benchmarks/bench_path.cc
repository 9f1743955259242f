// bench_path [--only NAME]... CAPTURE: runs the path over a capture in passes, each with one stage more than the one
// before, each in a process of its own (so that its CPU time and peak memory are its own). Prints JSON. What is done once, before
// the first frame (tables, the window's memory), is counted apart, as it is of the peers.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "config/load.h"
#include "dataplane/engine/lane.h"
#include "dataplane/port/capture_file.h"
#include "pipeline/pipeline.h"
#include "tools/stillwatch/settings.h"

namespace stillwatch::benchmarks {
namespace {

using namespace dataplane;

struct Measured {
  uint64_t frames = 0, frame_bytes = 0, requests = 0;
  double setup_s = 0, cpu_s = 0;  // processor time before the first frame, and from there on
  uint64_t peak_bytes = 0;
};

double ProcessorSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Declines every transaction, or takes all bodies and drops them.
class CountingHttp final : public HttpObserver {
 public:
  explicit CountingHttp(bool take_bodies) : handle_(take_bodies ? this : nullptr) {}
  Handle OnRequestHead(const StreamContext&, uint64_t, const HttpRequestHead&) override {
    ++requests_;
    return handle_;
  }
  void OnRequestBody(const StreamContext&, Handle, Bytes) override {}
  void OnRequestEnd(const StreamContext&, Handle) override {}
  Handle OnResponseHead(const StreamContext&, Handle, uint64_t, const HttpResponseHead&) override { return handle_; }
  void OnResponseBody(const StreamContext&, Handle, Bytes) override {}
  void OnTransactionEnd(const StreamContext&, Handle, HttpEnd, const HttpTransactionInfo&) override {}
  uint64_t requests() const { return requests_; }

 private:
  Handle const handle_;
  uint64_t requests_ = 0;
};

class CountingOutput final : public WorkerOutput {
 public:
  void OnExchange(const ExchangeView&) override { ++exchanges_; }
  void OnFlowRecord(const FlowRecord&) override {}
  uint64_t exchanges() const { return exchanges_; }

 private:
  uint64_t exchanges_ = 0;
};

// Batches instructions and sketches them, as the pipeline does, and nothing more.
class SketchingOutput final : public WorkerOutput {
 public:
  explicit SketchingOutput(gpu::Backend* backend) : backend_(backend) { offsets_.push_back(0); }
  void OnExchange(const ExchangeView& exchange) override {
    ++exchanges_;
    const auto instruction = exchange.tokens(Part::kInstruction);
    tokens_.insert(tokens_.end(), instruction.begin(), instruction.end());
    offsets_.push_back(static_cast<uint32_t>(tokens_.size()));
    cuts_.push_back(0);
    ids_.push_back(exchanges_);
    if (cuts_.size() == 4096) Close();
  }
  void OnFlowRecord(const FlowRecord&) override {}
  void Close() {
    sketches_.resize(cuts_.size());
    CHECK(backend_->ComputeSketches({tokens_, offsets_, cuts_}, sketches_).ok());
    CHECK(backend_->ProbeAndInsert(sketches_, ids_, &candidates_).ok());
    tokens_.clear();
    offsets_.assign(1, 0);
    cuts_.clear();
    ids_.clear();
    candidates_.clear();
  }
  uint64_t exchanges() const { return exchanges_; }

 private:
  gpu::Backend* const backend_;
  uint64_t exchanges_ = 0;
  std::vector<uint32_t> tokens_, offsets_, cuts_;
  std::vector<uint64_t> ids_;
  std::vector<gpu::Sketch> sketches_;
  std::vector<gpu::Candidate> candidates_;
};

class PipelineOutput final : public WorkerOutput {
 public:
  explicit PipelineOutput(pipeline::Pipeline* pipeline) : pipeline_(pipeline) {}
  void OnExchange(const ExchangeView& exchange) override {
    ++exchanges_;
    pipeline_->OnExchange(exchange);
  }
  void OnFlowRecord(const FlowRecord& record) override { pipeline_->OnFlowRecord(record); }
  uint64_t exchanges() const { return exchanges_; }

 private:
  pipeline::Pipeline* const pipeline_;
  uint64_t exchanges_ = 0;
};

class NullSink final : public pipeline::Sink {
 public:
  Status Write(std::span<const pipeline::Event>) override { return {}; }
  Status Flush() override { return {}; }
};

// All frames through `worker` (null: only touched), announced a burst at a time as its lane does, with ticks each 100 ms of traffic
// time.
void Play(Port* port, Worker* worker, const std::function<void(uint64_t, int64_t)>& on_tick, Measured* measured) {
  measured->setup_s = ProcessorSeconds();
  Frame frames[kBurstMax];
  int64_t next_tick = 0, now = 0;
  uint64_t touched = 0;
  while (!port->at_end()) {
    const size_t count = port->Receive(frames);
    for (size_t i = 0; i < count; ++i) {
      if (worker != nullptr && i % kLookBurst == 0) {
        for (size_t next = i; next < std::min(i + kLookBurst, count); ++next) worker->Expect(frames[next]);
      }
      const Frame& frame = frames[i];
      ++measured->frames;
      measured->frame_bytes += frame.bytes.size();
      now = frame.time_ns;
      if (worker == nullptr) {
        touched += frame.bytes[0];
        continue;
      }
      if (now >= next_tick) {
        worker->Tick(frame.number, now);
        on_tick(frame.number, now);
        next_tick = now - now % (100 * kNsPerMs) + 100 * kNsPerMs;
      }
      for (LookResult more = worker->Look(frame); more == LookResult::kMore; more = worker->Continue()) {
      }
    }
    port->Release({frames, count});
  }
  if (worker != nullptr) worker->Finish(measured->frames + 1, now);
  CHECK(touched != 1);
}

struct Pass {
  const char *key, *name, *adds;
  std::function<void(Port*, const config::Config&, const Secrets&, Measured*)> run;
};

const auto kNoTick = [](uint64_t, int64_t) {};

std::vector<Pass> Passes() {
  return {
      {"read", "capture reader", "capture reader",
       [](Port* port, const config::Config&, const Secrets&, Measured* m) { Play(port, nullptr, kNoTick, m); }},
      {"heads", "streams and HTTP heads", "decode, flows, TCP, HTTP heads",
       [](Port* port, const config::Config& config, const Secrets& secrets, Measured* m) {
         CountingHttp http(false);
         CountingOutput output;
         Play(port, MakeWorker(WorkerOptionsOf(config, secrets), &http, &output).get(), kNoTick, m);
         m->requests = http.requests();
       }},
      {"bodies", "HTTP bodies", "HTTP bodies",
       [](Port* port, const config::Config& config, const Secrets& secrets, Measured* m) {
         CountingHttp http(true);
         CountingOutput output;
         Play(port, MakeWorker(WorkerOptionsOf(config, secrets), &http, &output).get(), kNoTick, m);
         m->requests = http.requests();
       }},
      {"exchange", "exchanges with token hashes", "JSON, dialect, key HMAC, tokens",
       [](Port* port, const config::Config& config, const Secrets& secrets, Measured* m) {
         CountingOutput output;
         const auto worker = DecoderFactory(WorkerOptionsOf(config, secrets), LlmOptionsOf(config, secrets))(0, &output);
         Play(port, worker.get(), kNoTick, m);
         m->requests = output.exchanges();
       }},
      {"sketches", "all sketches and the window", "OPH, SimHash, embedding, window",
       [](Port* port, const config::Config& config, const Secrets& secrets, Measured* m) {
         const auto backend = std::move(gpu::MakeCpuBackend(BackendOptionsOf(config, secrets))).value();
         SketchingOutput output(backend.get());
         const auto worker = DecoderFactory(WorkerOptionsOf(config, secrets), LlmOptionsOf(config, secrets))(0, &output);
         Play(port, worker.get(), kNoTick, m);
         output.Close();
         m->requests = output.exchanges();
       }},
      {"pipeline", "the whole pipeline", "profiles, evidence, campaigns",
       [](Port* port, const config::Config& config, const Secrets& secrets, Measured* m) {
         const auto backend = std::move(gpu::MakeCpuBackend(BackendOptionsOf(config, secrets))).value();
         NullSink sink;
         CounterRegistry registry;
         pipeline::Pipeline pipeline(PipelineOptionsOf(config, secrets, 1, 1), backend.get(), &sink, &registry);
         PipelineOutput output(&pipeline);
         const auto worker = DecoderFactory(WorkerOptionsOf(config, secrets), LlmOptionsOf(config, secrets))(0, &output);
         Play(port, worker.get(), [&](uint64_t packet, int64_t time_ns) { pipeline.OnWatermark(packet, time_ns); }, m);
         CHECK(pipeline.Finish().ok());
         m->requests = output.exchanges();
       }},
  };
}

// Runs one pass in a child; its own CPU seconds and peak memory come back through a pipe.
Measured RunPass(const Pass& pass, const std::string& capture, const config::Config& config, const Secrets& secrets) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    Measured measured;
    auto port = OpenCaptures(std::vector<std::string>{capture});
    if (!port.ok()) {
      std::fprintf(stderr, "bench_path: %s\n", port.message().c_str());
      _exit(2);
    }
    pass.run(port.value().get(), config, secrets, &measured);
    measured.cpu_s = ProcessorSeconds() - measured.setup_s;
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    measured.peak_bytes = static_cast<uint64_t>(usage.ru_maxrss) << 10;
    _exit(write(ends[1], &measured, sizeof measured) == sizeof measured ? 0 : 1);
  }
  Measured measured;
  close(ends[1]);
  const bool got = read(ends[0], &measured, sizeof measured) == sizeof measured;
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (!got || status != 0) {
    std::fprintf(stderr, "bench_path: pass '%s' failed\n", pass.name);
    std::exit(1);
  }
  return measured;
}

int Main(int argc, char** argv) {
  std::set<std::string> only;
  std::string capture;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--only") == 0 && i + 1 < argc) only.insert(argv[++i]);
    else capture = argv[i];
  }
  if (capture.empty()) {
    std::fprintf(stderr, "bench_path [--only NAME]... CAPTURE\n");
    return 64;
  }
  const config::Config config = config::ParseConfig("", "(defaults)", std::vector<std::string>{}).value();
  const Secrets secrets = ReadSecrets(config).value();
  Measured last;
  std::string rows;
  for (const Pass& pass : Passes()) {
    if (!only.empty() && !only.contains(pass.key)) continue;
    last = RunPass(pass, capture, config, secrets);
    char row[512];
    std::snprintf(row, sizeof row,
                  R"(%s{"key":"%s","name":"%s","adds":"%s","setup_s":%.6f,"cpu_s":%.6f,"exchanges":%llu,"peak_bytes":%llu})",
                  rows.empty() ? "" : ",", pass.key, pass.name, pass.adds, last.setup_s, last.cpu_s,
                  static_cast<unsigned long long>(last.requests), static_cast<unsigned long long>(last.peak_bytes));
    rows += row;
  }
  std::printf(R"({"requests":%llu,"frames":%llu,"frame_bytes":%llu,"passes":[%s]})" "\n",
              static_cast<unsigned long long>(last.requests), static_cast<unsigned long long>(last.frames),
              static_cast<unsigned long long>(last.frame_bytes), rows.c_str());
  return 0;
}

}  // namespace
}  // namespace stillwatch::benchmarks

int main(int argc, char** argv) { return stillwatch::benchmarks::Main(argc, argv); }
