#include "tools/stillwatch/replay.h"

#include <cstdio>

#include "base/clock.h"
#include "config/load.h"
#include "pipeline/batch/edge_recording.h"
#include "pipeline/store/epoch.h"
#include "tools/stillwatch/args.h"
#include "tools/stillwatch/memory_table.h"
#include "tools/stillwatch/pipeline_consumer.h"
#include "tools/stillwatch/replay_bundles.h"
#include "tools/stillwatch/replay_outputs.h"
#include "tools/stillwatch/replay_source.h"
#include "tools/stillwatch/request_hits.h"
#include "tools/stillwatch/settings.h"

namespace stillwatch {

namespace {

constexpr char kUsage[] =
    "replay --config FILE [--set KEY=VALUE]... --out DIR ([--keylog FILE] [--request-hits FILE] [--record-edges FILE | [--restore FILE] [--save FILE]]"
    " [--import BUNDLE] [--export DIR]"
    " CAPTURE|EXCHANGES... | --edges FILE)";

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

Status WriteCounters(const std::string& out_dir, const std::map<std::string, uint64_t>& counters) {
  const std::string path = out_dir + "/counters.txt";
  FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) return Error{path + " cannot be written"};
  for (const auto& [name, value] : counters) std::fprintf(file, "%s %llu\n", name.c_str(), static_cast<unsigned long long>(value));
  std::fclose(file);
  return {};
}

// The campaign assembler alone: verdicts, states and advice from recorded edges and profiles.
int ReplayEdges(const config::Config& config, const std::string& out_dir, const std::string& edges) {
  Result<Secrets> secrets = ReadSecrets(config);
  if (!secrets.ok()) return Complain(kExitUnreadable, secrets.message());
  pipeline::PipelineOptions options = PipelineOptionsOf(config, secrets.value(), pipeline::kReplayEpoch, 1);
  options.write_edges = options.write_account_profiles = options.write_request_sketches = false;
  options.token_hash = nullptr;  // no text passes here
  options.tunables.fragment_rows_max = options.tunables.doorkeeper_rows = 0;
  Result<std::unique_ptr<pipeline::EdgeRecording>> recording = pipeline::EdgeRecording::Open(edges, options.salt);
  if (!recording.ok()) return Complain(kExitUnreadable, recording.message());
  Result<std::shared_ptr<const pipeline::AccountDirectory>> directory = ReadDirectory(config, secrets.value());
  if (!directory.ok()) return Complain(kExitUnreadable, directory.message());
  const SystemClock clock;
  pipeline::NdjsonOptions ndjson;
  ndjson.dir = out_dir;
  Result<std::unique_ptr<pipeline::NdjsonSink>> sink = pipeline::NdjsonSink::Open(ndjson, clock);
  if (!sink.ok()) return Complain(kExitUnreadable, sink.message());
  CounterRegistry registry;
  pipeline::Pipeline pipeline(std::move(options), nullptr, sink.value().get(), &registry);
  pipeline.SwapDirectory(std::move(directory).value());  // for the names
  pipeline.ReplayVersions(recording.value()->versions());
  for (bool ended = false; !ended;) {
    Result<v1::RecordedPart> part = recording.value()->Next();
    if (!part.ok()) return Complain(kExitUnreadable, part.message());
    if (part.value().has_account()) pipeline.ReplayAccount(part.value().account());
    if (part.value().has_forgotten()) pipeline.ReplayForgotten(part.value().forgotten());
    if (part.value().has_look()) pipeline.ReplayLook(part.value().look());
    if (part.value().has_renewal()) pipeline.ReplayRenewal(part.value().renewal());
    if ((ended = part.value().has_end())) pipeline.ReplayEnd(part.value().end());
  }
  if (Status finished = pipeline.Finish(); !finished.ok()) return Complain(kExitFailed, finished.message());
  const std::map<std::string, uint64_t> counters = registry.Snapshot();
  std::printf("%s looks at recorded edges, %s accounts\n", Thousands(counters.at("pipeline.evaluations")).c_str(),
              Thousands(pipeline.profiles().size()).c_str());
  PrintCampaigns(pipeline);
  std::printf("verdicts and evidence: %s\n", sink.value()->PathOf(pipeline::Topic::kCampaignVerdict).c_str());
  if (Status written = WriteCounters(out_dir, counters); !written.ok()) return Complain(kExitFailed, written.message());
  return kExitDone;
}

Status RestoreFrom(const std::string& path, const pipeline::SealKey& key, pipeline::Pipeline* pipeline) {
  Result<std::string> state = pipeline::ReadSealedFile(path, key, pipeline::Pipeline::StateLayoutId());
  if (!state.ok()) return state.error();
  const Status loaded = pipeline->LoadState(state.value());
  pipeline::Wipe(&state.value());
  return loaded.ok() ? loaded : Status(Error{path + ": " + loaded.message()});
}

Status SaveTo(const std::string& path, const pipeline::SealKey& key, const pipeline::Pipeline& pipeline) {
  std::string state;
  pipeline.SaveState(&state);
  const Result<uint64_t> written = pipeline::WriteSealedFile(path, state, key, pipeline::Pipeline::StateLayoutId());
  pipeline::Wipe(&state);
  if (!written.ok()) return written.error();
  std::printf("saved: %s, %s bytes\n", path.c_str(), Thousands(written.value()).c_str());
  return {};
}

int Replay(const config::Config& config, const Args& given) {
  if (Status memory = CheckMemory(config); !memory.ok()) return Complain(kExitUnreadable, memory.message());
  Result<Secrets> secrets = ReadSecrets(config);
  if (!secrets.ok()) return Complain(kExitUnreadable, secrets.message());
  Result<std::shared_ptr<const pipeline::AccountDirectory>> directory = ReadDirectory(config, secrets.value());
  if (!directory.ok()) return Complain(kExitUnreadable, directory.message());
  Result<std::shared_ptr<const pipeline::PublicList>> public_list = ReadPublicList(config, secrets.value());
  if (!public_list.ok()) return Complain(kExitUnreadable, public_list.message());
  Result<std::unique_ptr<ReplaySource>> source = OpenReplaySource(config, secrets.value(), given.words, given.key_log);
  if (!source.ok()) return Complain(kExitUnreadable, source.message());
  CounterRegistry registry;
  Result<std::unique_ptr<gpu::Backend>> backend = MakeBackend(config, secrets.value(), &registry, nullptr);
  if (!backend.ok()) return Complain(kExitUnreadable, backend.message());
  const SystemClock clock;
  Result<std::unique_ptr<ReplayOutputs>> outputs = ReplayOutputs::Open(config, given.out_dir, clock);
  if (!outputs.ok()) return Complain(kExitUnreadable, outputs.message());
  outputs.value()->RegisterCounters(&registry);
  pipeline::PipelineOptions options = PipelineOptionsOf(config, secrets.value(), outputs.value()->epoch(), 1);
  std::unique_ptr<pipeline::EdgeRecorder> recorder;
  if (!given.record_edges_file.empty()) {
    auto created = pipeline::EdgeRecorder::Create(given.record_edges_file, options.salt);
    if (!created.ok()) return Complain(kExitUnreadable, created.message());
    recorder = std::move(created).value();
    options.edge_recorder = recorder.get();
  }

  const pipeline::SealKey seal_key = options.seal_key;
  pipeline::Pipeline pipeline(std::move(options), backend.value().get(), outputs.value().get(), &registry);
  if (!given.restore_file.empty()) {
    if (Status restored = RestoreFrom(given.restore_file, seal_key, &pipeline); !restored.ok()) {
      return Complain(kExitUnreadable, restored.message());
    }
  }
  const std::shared_ptr<const pipeline::AccountDirectory> names = directory.value();
  pipeline.SwapDirectory(std::move(directory).value());
  pipeline.SwapPublicList(std::move(public_list).value());
  PipelineConsumer consumer(&pipeline);
  if (!given.import_file.empty()) {
    if (Status taken = ImportBundle(given.import_file, secrets.value(), &pipeline); !taken.ok()) return Complain(kExitUnreadable, taken.message());
  }
  source.value()->RegisterCounters(&registry);
  if (Status fed = source.value()->Feed(&consumer); !fed.ok()) {
    return Complain(source.value()->exit_on_error(), fed.message());
  }
  // What is saved goes on later: nothing is judged or told as at an end.
  Status finished = given.save_file.empty() ? pipeline.Finish() : pipeline.Suspend();
  if (finished.ok() && !given.save_file.empty()) finished = SaveTo(given.save_file, seal_key, pipeline);
  if (finished.ok() && !given.export_dir.empty()) finished = ExportBundles(given.export_dir, config, secrets.value(), pipeline);
  if (finished.ok() && !given.request_hits_file.empty()) {
    finished = WriteRequestHits(given.request_hits_file, pipeline.names(), pipeline.profiles());
  }
  if (!finished.ok()) return Complain(kExitFailed, finished.message());

  const std::map<std::string, uint64_t> counters = registry.Snapshot();
  std::printf("%s %s read, %s exchanges with model APIs understood, %s accounts\n",
              Thousands(source.value()->read()).c_str(), source.value()->unit(), Thousands(consumer.exchanges()).c_str(),
              Thousands(pipeline.profiles().size()).c_str());
  PrintCampaigns(pipeline);
  std::printf("verdicts and evidence: %s\n",
              outputs.value()->files().PathOf(pipeline::Topic::kCampaignVerdict).c_str());
  if (Status written = WriteCounters(given.out_dir, counters); !written.ok()) return Complain(kExitFailed, written.message());
  return kExitDone;
}

}  // namespace

int ReplayMain(std::span<char*> words) {
  const Result<Args> args = ParseArgs(words);
  if (!args.ok()) return Complain(kExitBadUsage, args.message());
  const Args& given = args.value();
  // Captures or a recording, one of the two; only what comes from captures can be recorded.
  const bool from_edges = !given.edges_file.empty();
  const bool stops_or_goes_on = !given.save_file.empty() || !given.restore_file.empty();
  if (given.config_file.empty() || given.out_dir.empty() || given.words.empty() != from_edges ||
      (from_edges && (!given.import_file.empty() || !given.export_dir.empty() || !given.record_edges_file.empty() || !given.request_hits_file.empty())) || (stops_or_goes_on && (from_edges || !given.record_edges_file.empty()))) {
    return Complain(kExitBadUsage, kUsage);
  }
  const Result<config::Config> config = config::LoadConfig(given.config_file, given.sets);
  if (!config.ok()) return Complain(kExitUnreadable, config.message());
  if (from_edges) return ReplayEdges(config.value(), given.out_dir, given.edges_file);
  return Replay(config.value(), given);
}

}  // namespace stillwatch
