#include "tools/stillwatch/replay_source.h"

#include <algorithm>
#include <atomic>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "dataplane/llm/exchange_file.h"
#include "dataplane/port/capture_file.h"
#include "tools/stillwatch/args.h"

namespace stillwatch {

namespace {

// As often as the engine's ticks.
constexpr int64_t kTickNs = 100 * kNsPerMs;

class CaptureSource final : public ReplaySource {
 public:
  CaptureSource(const config::Config& config, const Secrets& secrets, std::unique_ptr<dataplane::CapturePort> port,
                std::unique_ptr<dataplane::KeyFeed> keys)
      : port_(std::move(port)), keys_(std::move(keys)),
        engine_(EngineOptionsOf(config, secrets, nullptr), port_.get(),
                DecoderFactory(WorkerOptionsOf(config, secrets), Llm(config, secrets), keys_.get())) {}

  void RegisterCounters(CounterRegistry* registry) override {
    registry_ = registry;
    engine_.RegisterCounters(registry);
    port_->RegisterCounters(registry);
    if (keys_ != nullptr) registry->Register(keys_->counters());
  }
  Status Feed(PipelineConsumer* consumer) override {
    if (Status started = engine_.Start(); !started.ok()) return started;
    engine_.Drain(consumer);
    packets_ = registry_->Snapshot()["capture.packets"];
    return {};
  }
  int exit_on_error() const override { return kExitFailed; }
  uint64_t read() const override { return packets_; }
  const char* unit() const override { return "packets"; }

 private:
  static dataplane::LlmOptions Llm(const config::Config& config, const Secrets& secrets) {
    static constexpr std::atomic<uint64_t> kGeneration{1};
    dataplane::LlmOptions llm = LlmOptionsOf(config, secrets);
    llm.generation = &kGeneration;
    return llm;
  }

  std::unique_ptr<dataplane::CapturePort> port_;
  std::unique_ptr<dataplane::KeyFeed> keys_;
  dataplane::Engine engine_;
  CounterRegistry* registry_ = nullptr;
  uint64_t packets_ = 0;
};

class ExchangeSource final : public ReplaySource {
 public:
  struct File {
    std::string path;
    dataplane::ExchangeFileReader reader;
  };
  explicit ExchangeSource(std::vector<File> files) : files_(std::move(files)) {}

  void RegisterCounters(CounterRegistry*) override {}
  Status Feed(PipelineConsumer* consumer) override {
    for (File& file : files_) {
      for (bool first = true;; first = false) {
        const Result<Bytes> block = file.reader.Next();
        if (!block.ok()) return block.error();
        if (block.value().empty()) break;
        const dataplane::ExchangeView exchange(block.value());
        const int64_t time_ns = exchange.header().response_end_ns;
        if (first && read_ > 0 && time_ns < newest_ns_) {
          return Error{file.path + ": begins before the file that was given before it ends; give files in order of time"};
        }
        ++read_;
        consumer->OnExchange(exchange);
        newest_ns_ = std::max(newest_ns_, time_ns);
        if (newest_ns_ < next_tick_ns_) continue;
        consumer->OnWatermark(read_, newest_ns_);
        next_tick_ns_ = newest_ns_ + kTickNs;
      }
    }
    if (read_ > 0) consumer->OnWatermark(read_ + 1, newest_ns_);
    return {};
  }
  int exit_on_error() const override { return kExitUnreadable; }
  uint64_t read() const override { return read_; }
  const char* unit() const override { return "recorded exchanges"; }

 private:
  std::vector<File> files_;
  uint64_t read_ = 0;
  int64_t newest_ns_ = INT64_MIN, next_tick_ns_ = INT64_MIN;
};

}  // namespace

Result<std::unique_ptr<ReplaySource>> OpenReplaySource(const config::Config& config, const Secrets& secrets,
                                                       std::span<const std::string> paths, const std::string& key_log) {
  const auto recorded = std::count_if(paths.begin(), paths.end(), dataplane::ExchangeFileReader::Recognises);
  if (recorded == 0) {
    Result<std::unique_ptr<dataplane::CapturePort>> port = dataplane::OpenCaptures(paths);
    if (!port.ok()) return port.error();
    Result<std::unique_ptr<dataplane::KeyFeed>> keys = CaptureKeys(config, key_log.empty() ? config.tls.keylog_file : key_log);
    if (!keys.ok()) return keys.error();
    return std::unique_ptr<ReplaySource>(
        std::make_unique<CaptureSource>(config, secrets, std::move(port).value(), std::move(keys).value()));
  }
  if (!key_log.empty()) return Error{"--keylog is for captures: recorded exchanges have no session to decrypt"};
  std::vector<ExchangeSource::File> files;
  for (const std::string& path : paths) {
    if (!dataplane::ExchangeFileReader::Recognises(path)) {
      return Error{path + ": is no file of recorded exchanges, another file given is; replay them apart"};
    }
    auto reader = dataplane::ExchangeFileReader::Open(path, dataplane::MarksOf(secrets.salt, secrets.account_key));
    if (!reader.ok()) return reader.error();
    files.push_back({path, std::move(reader).value()});
  }
  return std::unique_ptr<ReplaySource>(std::make_unique<ExchangeSource>(std::move(files)));
}

}  // namespace stillwatch
