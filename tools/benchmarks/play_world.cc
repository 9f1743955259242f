// Plays a generated world straight into detection, without packets, files of exchanges or the similarity window: for campaigns of
// tens of millions of exchanges and populations of hundreds of thousands, and for how fast one core does all that comes after sketches.
//
//   play_world --config FILE --out DIR --mix chat=20000,t1=1x25000 --exact --days 44 --harvest-a-day 26 [--sample 10] [--with-answers]
//              [--profiles-max N] [--evaluate-every-s N]     # the keys of [detect]; more by --set KEY=VALUE[;KEY=VALUE...]
//              [--request-hits FILE] [--owners-unknown] [--only-generate] [--clusters FILE]
//
// Prompts are put together as everywhere in stillgen and hashed at once; what a model answers has a length, an id and no words unless
// --with-answers, so later turns of a conversation are shorter and fewer are long enough to be known again when they move between accounts
// (layer 2). Detection reads nothing else of an answer's words. --sample N: one account in N, with all it asked.
// DIR gets the topics, truth.json, accounts.directory, played.json (what was played, how fast, in how much memory) and asked.bin: of every exchange
// of a campaign's account when it was asked (int64, ns), by which account (uint32, truth.json's number) and whether it was harvest (uint32).
// --clusters FILE: what layer 4 says in the end of each campaign, and of thirty neighbouring accounts each of every other kind, as a CSV:
// groups of the truth, whether or not detection found them.
// Processor time of this one thread; the generator's, sketches' and detection's apart. --only-generate: token hashes are made and nobody judges them.
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <queue>
#include <set>
#include <sstream>
#include <string>

#include "base/clock.h"
#include "base/time_format.h"
#include "config/load.h"
#include "dataplane/llm/exchange.h"
#include "gpu/backend.h"
#include "pipeline/campaign/group_layers.h"
#include "pipeline/sink/ndjson_sink.h"
#include "tools/stillgen/exchange_recorder.h"
#include "tools/stillgen/truth.h"
#include "tools/stillgen/world_options.h"
#include "tools/stillwatch/request_hits.h"
#include "tools/stillwatch/settings.h"

namespace stillwatch {
namespace {

double ProcessorSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Not getrusage's: that one begins with the size of whoever started this programme.
int64_t PeakKib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::strtoll(line.c_str() + 6, nullptr, 10);
  }
  return 0;
}

int Wrong(const std::string& message) {
  std::fprintf(stderr, "play_world: %s\n", message.c_str());
  return 1;
}

// Exchanges come in the order asked; detection wants them in the order completed, numbered by it. They are handed on by the
// thousand, so that reading the processor's clock costs nothing.
class Feed {
 public:
  explicit Feed(pipeline::Pipeline* pipeline) : pipeline_(pipeline) {}

  void Add(dataplane::ExchangeView exchange) {
    Held held{exchange.header().response_end_ns, ++added_, {}};
    if (!spare_.empty()) {
      held.words = std::move(spare_.back());
      spare_.pop_back();
    }
    const Bytes block = exchange.block();
    held.words.resize((block.size() + 7) / 8);
    std::memcpy(held.words.data(), block.data(), block.size());
    waiting_.push(std::move(held));
  }
  // What completed before may leave: nothing asked later completes earlier.
  void Advance(int64_t unix_ns) {
    while (!waiting_.empty() && waiting_.top().end_ns < unix_ns) {
      ready_.push_back(std::move(const_cast<Held&>(waiting_.top())));
      waiting_.pop();
      if (ready_.size() >= 4096) Hand();
    }
  }
  void Hand() {
    const double begin = ProcessorSeconds();
    for (Held& held : ready_) {
      dataplane::ExchangeHeader header;
      std::memcpy(static_cast<void*>(&header), held.words.data(), sizeof header);
      header.order.packet = ++handed_;
      std::memcpy(held.words.data(), &header, sizeof header);
      pipeline_->OnExchange(dataplane::ExchangeView(Bytes(reinterpret_cast<const uint8_t*>(held.words.data()), dataplane::ExchangeBytes(header))));
      spare_.push_back(std::move(held.words));
    }
    seconds_ += ProcessorSeconds() - begin;
    ready_.clear();
  }
  uint64_t handed() const { return handed_; }
  double seconds() const { return seconds_; }

 private:
  struct Held {
    int64_t end_ns;
    uint64_t serial;
    std::vector<uint64_t> words;
    bool operator<(const Held& o) const { return std::tie(end_ns, serial) > std::tie(o.end_ns, o.serial); }
  };

  pipeline::Pipeline* const pipeline_;
  std::priority_queue<Held> waiting_;
  std::vector<Held> ready_;
  std::vector<std::vector<uint64_t>> spare_;
  uint64_t added_ = 0, handed_ = 0;
  double seconds_ = 0;
};

// Sketches as everywhere, timed, and no window: nothing that is played asks what came out of it.
class OnlySketches final : public gpu::Backend {
 public:
  explicit OnlySketches(std::unique_ptr<gpu::Backend> backend) : backend_(std::move(backend)) {}
  gpu::BackendInfo Info() const override { return backend_->Info(); }
  gpu::SketchVersions Versions() const override { return backend_->Versions(); }
  Status ComputeSketches(const gpu::TokenBatch& batch, std::span<gpu::Sketch> out) override {
    const double begin = ProcessorSeconds();
    Status status = backend_->ComputeSketches(batch, out);
    seconds_ += ProcessorSeconds() - begin;
    return status;
  }
  uint8_t RarityOf(uint32_t token) const override { return backend_->RarityOf(token); }
  Status ProbeAndInsert(std::span<const gpu::Sketch>, std::span<const uint64_t>, std::vector<gpu::Candidate>*) override { return {}; }
  void AdvanceEpoch() override {}
  Status SetRepresentatives(std::span<const int8_t> rows) override { return backend_->SetRepresentatives(rows); }
  Status TopK(std::span<const int8_t> rows, uint32_t k, std::span<gpu::RepresentativeMatch> out) override { return backend_->TopK(rows, k, out); }
  double seconds() const { return seconds_; }

 private:
  const std::unique_ptr<gpu::Backend> backend_;
  double seconds_ = 0;
};

// Layer 4 on groups of the truth.
Status WriteClusters(const std::string& path, const stillgen::World& world, const std::string& account_key, const pipeline::AccountDirectory* names,
                     std::span<const pipeline::Profile> profiles, pipeline::Tunables tunables) {
  tunables.hint_nats_max = tunables.content_nats_max;  // whole, not cut to a hint
  constexpr size_t kNeighbours = 30;
  std::ofstream file(path, std::ios::trunc);
  file << "group,kind,accounts,nats,speaking,clusters,cohort_speaking,cohort\n";
  std::map<std::string, uint32_t> index;
  for (uint32_t i = 0; i < profiles.size(); ++i) index[AccountText(names, profiles[i].id)] = i;
  const pipeline::Population population = pipeline::MakePopulation(profiles, pipeline::ReadRequests(profiles, tunables), tunables);
  const pipeline::Everyone everyone = pipeline::MakeEveryone(population.profiles, population.requests, tunables);
  const auto measure = [&](const std::string& name, const std::string& kind, const std::vector<uint32_t>& accounts) {
    pipeline::Group group;
    for (uint32_t account : accounts) {
      const auto at = index.find(stillgen::KeyId(account_key, world.accounts[account]->client.key));
      if (at == index.end()) continue;
      pipeline::GroupMember& member = group.members.emplace_back();
      member.account = at->second, member.owner = population.owner_of[at->second], member.id = profiles[at->second].id;
    }
    if (group.members.empty()) return;
    const pipeline::Finding found = pipeline::MeasureSemantic(pipeline::MakeGroupView(everyone, group), tunables);
    file << name << "," << kind << "," << group.members.size() << "," << (found.known ? std::to_string(found.nats / 256.0) : "unknown") << "," << found.counts[0] << ","
         << found.counts[2] << "," << found.counts[3] << "," << found.counts[4] << "\n";
  };
  for (const auto& campaign : world.campaigns) measure(campaign->name, campaign->type, campaign->accounts);
  std::map<std::string, std::vector<uint32_t>> of_kind;
  for (const auto& account : world.accounts) {
    if (account->campaign < 0) of_kind[account->kind].push_back(account->index);
  }
  for (const auto& [kind, accounts] : of_kind) {
    for (size_t from = 0; from < accounts.size(); from += kNeighbours) {
      const size_t to = std::min(accounts.size(), from + kNeighbours);
      measure(kind + "-" + std::to_string(from), kind, {accounts.begin() + static_cast<ptrdiff_t>(from), accounts.begin() + static_cast<ptrdiff_t>(to)});
    }
  }
  return file.good() ? Status{} : Error{path + ": cannot be written"};
}

void WriteDirectory(const stillgen::World& world, const std::string& account_key, const std::string& path) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  for (const auto& account : world.accounts) {
    const std::string id = stillgen::KeyId(account_key, account->client.key);
    const int64_t created = world.options.start_unix_ns - static_cast<int64_t>(account->age_days) * kNsPerDay;
    file << R"({"key_id":")" << id << R"(","account":")" << id << R"(","organisation":"owner-)" << account->owner << R"(","created":")"
         << FormatTime(created) << "\"}\n";
  }
}

// What the command line adds to the configuration: owners, the allow-list, room for every account.
std::vector<std::string> SetsFor(const stillgen::World& world, const std::string& directory, const stillgen::Options& given) {
  std::vector<std::string> sets{"detect.directory_file=\"" + directory + "\"", "detect.account_profiles=false"};
  std::set<uint32_t> owners;
  for (const auto& account : world.accounts) {
    if (account->allowed) owners.insert(account->owner);
  }
  std::string allowed;
  for (uint32_t owner : owners) allowed += (allowed.empty() ? "\"owner-" : ",\"owner-") + std::to_string(owner) + "\"";
  if (!allowed.empty()) sets.push_back("policy.allow_owners=[" + allowed + "]");
  if (given.Has("profiles-max")) sets.push_back("detect.profiles_max=" + given.Text("profiles-max"));
  if (given.Has("evaluate-every-s")) sets.push_back("detect.evaluate_every_s=" + given.Text("evaluate-every-s"));
  std::istringstream more(given.Text("set"));
  for (std::string pair; std::getline(more, pair, ';');) sets.push_back(pair);
  if (given.Has("owners-unknown")) std::erase_if(sets, [](const std::string& pair) { return pair.starts_with("detect.directory_file="); });
  return sets;
}

// When campaigns' accounts asked, for exposure; nothing of the text.
class AskedFile {
 public:
  explicit AskedFile(const std::string& path, int64_t start_ns) : file_(path, std::ios::binary | std::ios::trunc), start_ns_(start_ns) {}
  void Add(const stillgen::Exchanged& exchanged) {
    if (exchanged.account->campaign < 0) return;
    const Row row{start_ns_ + exchanged.asked_ns, exchanged.account->index, exchanged.harvest ? 1u : 0u};
    file_.write(reinterpret_cast<const char*>(&row), sizeof row);
  }

 private:
  struct Row {
    int64_t asked_ns;
    uint32_t account, harvest;
  };
  static_assert(sizeof(Row) == 16);
  std::ofstream file_;
  const int64_t start_ns_;
};

// How fast a world is made into exchanges, token hashes and all, where nobody judges them.
int Generate(stillgen::World* world, const std::string& mix, const stillgen::Responder::Options& responder, Salt salt, const std::string& account_key) {
  stillgen::ExchangeRecorder recorder(*world, salt, account_key);
  uint64_t bytes = 0;
  const double begin = ProcessorSeconds();
  const stillgen::DriveTotals totals = stillgen::Drive(world, responder, [&](const stillgen::Exchanged& e) { bytes += recorder.Record(e).block().size(); });
  const double seconds = ProcessorSeconds() - begin;
  std::printf("%s: %llu exchanges made, %llu bytes each, %.1f s, %.0f exchanges/s a core\n", mix.c_str(), static_cast<unsigned long long>(totals.exchanges),
              static_cast<unsigned long long>(bytes / std::max<uint64_t>(totals.exchanges, 1)), seconds, static_cast<double>(totals.exchanges) / seconds);
  return 0;
}

int Play(const stillgen::Options& given) {
  const std::string out = given.Text("out");
  std::error_code failed;
  std::filesystem::create_directories(out, failed);
  auto built = stillgen::WorldFromOptions(given, -1);
  if (!built.ok()) return Wrong(built.message());
  stillgen::World& world = *built.value().world;
  if (built.value().account_key.empty()) return Wrong("--account-key is missing; give the configuration's privacy.account_key");
  const std::string directory = out + "/accounts.directory";
  WriteDirectory(world, built.value().account_key, directory);
  const auto config = config::LoadConfig(given.Text("config"), SetsFor(world, directory, given));
  if (!config.ok()) return Wrong(config.message());
  auto secrets = ReadSecrets(config.value());
  if (!secrets.ok()) return Wrong(secrets.message());
  if (secrets.value().account_key != built.value().account_key) return Wrong("--account-key is not the configuration's privacy.account_key");
  auto owners = ReadDirectory(config.value(), secrets.value());
  if (!owners.ok()) return Wrong(owners.message());
  auto public_list = ReadPublicList(config.value(), secrets.value());
  if (!public_list.ok()) return Wrong(public_list.message());
  stillgen::Responder::Options responder;
  responder.rate_limited = given.Number("rate-limited", responder.rate_limited, 0, 1);
  responder.words = given.Has("with-answers");
  if (given.Has("only-generate")) return Generate(&world, built.value().mix, responder, secrets.value().salt, secrets.value().account_key);
  const std::shared_ptr<const pipeline::AccountDirectory> names = owners.value();
  const int64_t world_kib = PeakKib();
  const SystemClock clock;
  pipeline::NdjsonOptions ndjson;
  ndjson.dir = out;
  ndjson.sync = pipeline::SyncPolicy::kNever;
  auto sink = pipeline::NdjsonSink::Open(ndjson, clock);
  if (!sink.ok()) return Wrong(sink.message());
  pipeline::PipelineOptions options = PipelineOptionsOf(config.value(), secrets.value(), 1, 1);
  options.write_edges = false;
  CounterRegistry registry;
  gpu::BackendOptions sketches = BackendOptionsOf(config.value(), secrets.value());
  sketches.window_bytes = 16u << 20, sketches.representatives_max = 64;
  auto cpu = gpu::MakeCpuBackend(sketches);
  if (!cpu.ok()) return Wrong(cpu.message());
  OnlySketches backend(std::move(cpu).value());
  const pipeline::Tunables tunables = options.tunables;
  pipeline::Pipeline pipeline(std::move(options), &backend, sink.value().get(), &registry);
  pipeline.SwapDirectory(std::move(owners).value());
  pipeline.SwapPublicList(std::move(public_list).value());

  const auto sample = static_cast<uint32_t>(given.Number("sample", 1, 1, 1e6));
  stillgen::ExchangeRecorder recorder(world, secrets.value().salt, secrets.value().account_key);
  Feed feed(&pipeline);
  AskedFile asked(out + "/asked.bin", world.options.start_unix_ns);
  const double begin = ProcessorSeconds();
  const stillgen::DriveTotals totals = stillgen::Drive(&world, responder, [&](const stillgen::Exchanged& exchanged) {
    feed.Advance(world.options.start_unix_ns + exchanged.asked_ns);
    if (exchanged.account->index % sample != 0) return;
    feed.Add(recorder.Record(exchanged));
    asked.Add(exchanged);
  });
  feed.Advance(INT64_MAX);
  feed.Hand();
  const double generator = ProcessorSeconds() - begin - feed.seconds();
  const double end = ProcessorSeconds();
  if (Status finished = pipeline.Finish(); !finished.ok()) return Wrong(finished.message());
  const double detection = feed.seconds() + ProcessorSeconds() - end - backend.seconds();
  const int64_t peak_kib = PeakKib();  // before the truth is written, which takes more than a look
  for (auto& account : world.accounts) {  // the truth is of what was handed on
    if (account->index % sample != 0) account->requests = account->harvest = 0;
  }
  auto truth = stillgen::TruthOf(world, built.value().mix, built.value().account_key);
  if (Status written = stillgen::WriteTruth(out + "/truth.json", truth); !written.ok()) return Wrong(written.message());
  if (given.Has("request-hits")) {
    if (Status written = WriteRequestHits(given.Text("request-hits"), pipeline.names(), pipeline.profiles()); !written.ok()) return Wrong(written.message());
  }
  if (given.Has("clusters")) {
    if (Status written = WriteClusters(given.Text("clusters"), world, built.value().account_key, names.get(), pipeline.profiles().all(), tunables); !written.ok()) return Wrong(written.message());
  }
  const auto counters = registry.Snapshot();
  const auto of = [](uint64_t n, double seconds) { return static_cast<double>(n) / seconds; };
  std::printf("%s: %llu exchanges played, %llu judged (one account in %u), %u accounts, %llu looks at groups\n", built.value().mix.c_str(),
              static_cast<unsigned long long>(totals.exchanges), static_cast<unsigned long long>(feed.handed()), sample, pipeline.profiles().size(),
              static_cast<unsigned long long>(counters.at("pipeline.evaluations")));
  std::printf("generator: %.1f s, %.0f exchanges/s a core; detection after sketches: %.1f s, %.0f exchanges/s a core\n", generator,
              of(totals.exchanges, generator), detection, of(feed.handed(), detection));
  nlohmann::ordered_json played{{"mix", built.value().mix}, {"hours", world.hours()}, {"played", totals.exchanges}, {"judged", feed.handed()}, {"sample", sample},
                                {"accounts", pipeline.profiles().size()}, {"looks", counters.at("pipeline.evaluations")}, {"generator_s", generator},
                                {"sketches_s", backend.seconds()}, {"detection_s", detection}, {"world_kib", world_kib}, {"peak_kib", peak_kib}};
  for (const char* name : {"profile.evicted", "shingle.evicted", "shingle.doorkeeper_replaced", "cluster.joined", "cluster.founded", "cluster.evicted", "cluster.unlike"}) played["counters"][name] = counters.at(name);
  std::ofstream(out + "/played.json") << played.dump(1) << "\n";
  return 0;
}

int Main(int argc, char** argv) {
  auto names = stillgen::WorldOptionNames();
  names.insert(names.end(), {"config", "out", "rate-limited", "sample", "profiles-max", "evaluate-every-s", "with-answers!", "set", "request-hits", "clusters", "owners-unknown!", "only-generate!"});
  auto options = stillgen::Options::Parse(argc, argv, names);
  if (options.ok() && (!options.value().Has("out") || !options.value().Has("config"))) options = Error{"--config FILE --out DIR are needed"};
  if (!options.ok()) return Wrong(options.message());
  return Play(options.value());
}

}  // namespace
}  // namespace stillwatch

int main(int argc, char** argv) { return stillwatch::Main(argc - 1, argv + 1); }
