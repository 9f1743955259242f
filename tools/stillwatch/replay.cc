#include "tools/stillwatch/replay.h"

#include <cstdio>

#include "base/clock.h"
#include "config/load.h"
#include "dataplane/port/capture_file.h"
#include "tools/stillwatch/args.h"
#include "tools/stillwatch/memory_table.h"
#include "tools/stillwatch/pipeline_consumer.h"
#include "tools/stillwatch/replay_outputs.h"
#include "tools/stillwatch/settings.h"

namespace stillwatch {

namespace {

constexpr char kUsage[] = "replay --config FILE [--set KEY=VALUE]... --out DIR CAPTURE...";

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

int Replay(const config::Config& config, const std::string& out_dir, const std::vector<std::string>& captures) {
  if (Status memory = CheckMemory(config); !memory.ok()) return Complain(kExitUnreadable, memory.message());
  Result<Secrets> secrets = ReadSecrets(config);
  if (!secrets.ok()) return Complain(kExitUnreadable, secrets.message());
  Result<std::shared_ptr<const pipeline::AccountDirectory>> directory = ReadDirectory(config, secrets.value());
  if (!directory.ok()) return Complain(kExitUnreadable, directory.message());
  Result<std::unique_ptr<dataplane::CapturePort>> port = dataplane::OpenCaptures(captures);
  if (!port.ok()) return Complain(kExitUnreadable, port.message());
  CounterRegistry registry;
  Result<std::unique_ptr<gpu::Backend>> backend = MakeBackend(config, secrets.value(), &registry);
  if (!backend.ok()) return Complain(kExitUnreadable, backend.message());
  const SystemClock clock;
  Result<std::unique_ptr<ReplayOutputs>> outputs = ReplayOutputs::Open(config, out_dir, clock);
  if (!outputs.ok()) return Complain(kExitUnreadable, outputs.message());

  outputs.value()->RegisterCounters(&registry);
  pipeline::Pipeline pipeline(PipelineOptionsOf(config, secrets.value(), outputs.value()->epoch(), 1),
                              backend.value().get(), outputs.value().get(), &registry);
  pipeline.SwapDirectory(std::move(directory).value());
  PipelineConsumer consumer(&pipeline);
  dataplane::Engine engine(EngineOptionsOf(config, secrets.value(), nullptr), port.value().get(),
                           DecoderFactory(WorkerOptionsOf(config, secrets.value()), LlmOptionsOf(config, secrets.value())));
  engine.RegisterCounters(&registry);
  port.value()->RegisterCounters(&registry);
  if (Status started = engine.Start(); !started.ok()) return Complain(kExitFailed, started.message());
  engine.Drain(&consumer);
  if (Status finished = pipeline.Finish(); !finished.ok()) return Complain(kExitFailed, finished.message());

  std::map<std::string, uint64_t> counters = registry.Snapshot();
  std::printf("%s packets read, %s exchanges with model APIs understood, %s accounts\n",
              Thousands(counters["capture.packets"]).c_str(), Thousands(consumer.exchanges()).c_str(),
              Thousands(pipeline.profiles().size()).c_str());
  PrintCampaigns(pipeline);
  std::printf("verdicts and evidence: %s\n",
              outputs.value()->files().PathOf(pipeline::Topic::kCampaignVerdict).c_str());
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
  return Replay(config.value(), args.value().out_dir, args.value().words);
}

}  // namespace stillwatch
