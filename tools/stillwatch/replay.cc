#include "tools/stillwatch/replay.h"

#include <cstdio>

#include "base/clock.h"
#include "config/load.h"
#include "dataplane/port/capture_file.h"
#include "pipeline/sink/ndjson_sink.h"
#include "pipeline/store/epoch.h"
#include "tools/stillwatch/args.h"
#include "tools/stillwatch/pipeline_consumer.h"
#include "tools/stillwatch/settings.h"

namespace stillwatch {

namespace {

constexpr char kUsage[] = "replay --config FILE [--set KEY=VALUE]... [--keylog FILE] --out DIR CAPTURE...";

std::string Thousands(uint64_t number) {
  std::string text = std::to_string(number);
  for (int at = static_cast<int>(text.size()) - 3; at > 0; at -= 3) text.insert(static_cast<size_t>(at), ",");
  return text;
}

void PrintCampaigns(const pipeline::Pipeline& pipeline) {
  const std::vector<v1::CampaignVerdict> campaigns = pipeline.Campaigns();
  if (campaigns.empty()) {
    std::printf("no campaign found\n");
    return;
  }
  for (const auto& campaign : campaigns) {
    std::string action = v1::Action_Name(campaign.advice().action()).substr(7);
    for (char& c : action) c = static_cast<char>(std::tolower(c));
    std::printf("campaign %s: %s accounts, %s exchanges, pooled %.1f %%, distillation_like %.1f %%, advice %s\n",
                campaign.campaign_id().c_str(), Thousands(campaign.blast_radius().accounts()).c_str(),
                Thousands(campaign.blast_radius().exchanges()).c_str(), campaign.labels().pooled() / 655.36,
                campaign.labels().distillation_like() / 655.36, action.c_str());
    for (const auto& evidence : campaign.evidence()) {
      std::printf("  %5.1f nat  %s\n", evidence.weight() / 256.0, evidence.text().c_str());
    }
  }
}

int Replay(const config::Config& config, const std::string& out_dir, const std::string& key_log,
           const std::vector<std::string>& captures) {
  Result<Secrets> secrets = ReadSecrets(config);
  if (!secrets.ok()) return Complain(kExitUnreadable, secrets.message());
  Result<std::unique_ptr<dataplane::CapturePort>> port = dataplane::OpenCaptures(captures);
  if (!port.ok()) return Complain(kExitUnreadable, port.message());
  Result<std::unique_ptr<gpu::Backend>> backend = gpu::MakeCpuBackend(BackendOptionsOf(config, secrets.value()));
  if (!backend.ok()) return Complain(kExitUnreadable, backend.message());
  Result<std::unique_ptr<dataplane::KeyFeed>> keys = CaptureKeys(config, key_log);
  if (!keys.ok()) return Complain(kExitUnreadable, keys.message());
  const SystemClock clock;
  pipeline::NdjsonOptions ndjson;
  ndjson.dir = out_dir;
  Result<std::unique_ptr<pipeline::NdjsonSink>> sink = pipeline::NdjsonSink::Open(ndjson, clock);
  if (!sink.ok()) return Complain(kExitUnreadable, sink.message());

  CounterRegistry registry;
  pipeline::Pipeline pipeline(PipelineOptionsOf(config, secrets.value(), pipeline::kReplayEpoch, 1),
                              backend.value().get(), sink.value().get(), &registry);
  PipelineConsumer consumer(&pipeline);
  dataplane::Engine engine(EngineOptionsOf(config, secrets.value(), nullptr), port.value().get(),
                           DecoderFactory(WorkerOptionsOf(config, secrets.value()), LlmOptionsOf(config, secrets.value()),
                                          keys.value().get()));
  engine.RegisterCounters(&registry);
  port.value()->RegisterCounters(&registry);
  if (keys.value() != nullptr) registry.Register(keys.value()->counters());
  if (Status started = engine.Start(); !started.ok()) return Complain(kExitFailed, started.message());
  engine.Drain(&consumer);
  if (Status finished = pipeline.Finish(); !finished.ok()) return Complain(kExitFailed, finished.message());

  for (const std::string& warning : port.value()->warnings()) Complain(0, "warning: " + warning);
  std::map<std::string, uint64_t> counters = registry.Snapshot();
  std::printf("%s packets read, %s exchanges with model APIs understood, %s accounts\n",
              Thousands(counters["capture.packets"]).c_str(), Thousands(consumer.exchanges()).c_str(),
              Thousands(pipeline.profiles().size()).c_str());
  PrintCampaigns(pipeline);
  std::printf("verdicts and evidence: %s\n",
              sink.value()->PathOf(pipeline::Topic::kCampaignVerdict).c_str());
  FILE* file = std::fopen((out_dir + "/counters.txt").c_str(), "w");
  if (file == nullptr) return Complain(kExitFailed, out_dir + "/counters.txt cannot be written");
  for (const auto& [name, value] : counters) std::fprintf(file, "%s %llu\n", name.c_str(), static_cast<unsigned long long>(value));
  std::fclose(file);
  return kExitDone;
}

}  // namespace

int ReplayMain(std::span<char*> words) {
  const Result<Args> args = ParseArgs(words);
  if (!args.ok()) return Complain(kExitBadUsage, args.message());
  if (args.value().config_file.empty() || args.value().out_dir.empty() || args.value().words.empty()) {
    return Complain(kExitBadUsage, kUsage);
  }
  const Result<config::Config> config = config::LoadConfig(args.value().config_file, args.value().sets);
  if (!config.ok()) return Complain(kExitUnreadable, config.message());
  const std::string& key_log = args.value().key_log.empty() ? config.value().tls.keylog_file : args.value().key_log;
  return Replay(config.value(), args.value().out_dir, key_log, args.value().words);
}

}  // namespace stillwatch
