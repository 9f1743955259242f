#include "tools/stillwatch/daemon.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/log.h"
#include "base/mutant.h"
#include "base/time_format.h"
#include "config/diff.h"
#include "config/load.h"
#include "dataplane/bypass/interest.h"
#include "pipeline/sink/json_writer.h"
#include "tools/stillwatch/doctor.h"
#include "tools/stillwatch/memory_table.h"
#include "tools/stillwatch/partner_claims.h"
#include "tools/stillwatch/skipped.h"

namespace stillwatch {

namespace {

using config::ControlAnswer;
using nlohmann::json;

constexpr int64_t kBatchWallNs = kNsPerMs;
constexpr int64_t kHousekeepingNs = kNsPerSecond;
constexpr int64_t kStatusNs = 10 * kNsPerSecond;
constexpr int64_t kReloadDeadlineNs = 2 * kNsPerSecond;
constexpr int64_t kIdleLagNs = 2 * kNsPerSecond;
constexpr auto kHandOverQuiet = std::chrono::milliseconds(20);
constexpr int kHandOverRoundsMax = 50;  // on ports that the kernel cannot take over traffic never ends
constexpr char kVersion[] = "0.1.0";

dataplane::PortDriver DriverOf(const std::string& name) {
  if (name == "af_xdp") return dataplane::PortDriver::kAfXdp;
  if (name == "af_packet") return dataplane::PortDriver::kAfPacket;
  return dataplane::PortDriver::kEthdev;
}

std::string JsonOf(const google::protobuf::Message& message) {
  std::string text;
  pipeline::AppendRecord(message, &text);
  return text;
}

}  // namespace

Daemon::Daemon(const config::Config& config, config::GenerationStore store, uint64_t generation)
    : config_(config), store_(std::move(store)), generation_(generation) {}

Result<std::unique_ptr<Daemon>> Daemon::Start(const config::Config& config, DaemonStart* start, config::GenerationStore store) {
  if (Status memory = CheckMemory(config); !memory.ok()) return Error{memory.message()};
  // Asked before DPDK is, which would only say which of its calls failed.
  if (const std::string missing = MissingCapabilities(config, EffectiveCapabilities()); !missing.empty()) {
    return Error{"ports.driver = \"" + config.ports.driver + "\" needs capabilities that this process lacks; " + CapabilitiesMend(missing)};
  }
  std::unique_ptr<Daemon> daemon(new Daemon(config, std::move(store), start->generation));
  daemon->file_ = start->file;
  daemon->sets_ = start->sets;
  Result<Secrets> secrets = ReadLiveSecrets(config);
  if (!secrets.ok()) return secrets.error();
  daemon->secrets_ = secrets.value();
  Result<std::shared_ptr<const pipeline::AccountDirectory>> directory = ReadDirectory(config, secrets.value());
  if (!directory.ok()) return directory.error();
  daemon->directory_ = std::move(directory).value();
  Result<std::shared_ptr<const pipeline::PublicList>> public_list = ReadPublicList(config, secrets.value());
  if (!public_list.ok()) return public_list.error();
  Result<std::unique_ptr<gpu::Backend>> backend = MakeBackend(config, secrets.value(), &daemon->registry_, &daemon->clock_);
  if (!backend.ok()) return backend.error();
  daemon->backend_ = std::move(backend).value();
  Result<std::unique_ptr<Outputs>> outputs = Outputs::Open(config, daemon->clock_);
  if (!outputs.ok()) return outputs.error();
  daemon->outputs_ = std::move(outputs).value();
  daemon->outputs_->RegisterCounters(&daemon->registry_);
  pipeline::PipelineOptions options = PipelineOptionsOf(config, secrets.value(), daemon->outputs_->epoch(), start->generation);
  options.commit_books = true;
  daemon->keeper_ = std::make_unique<pipeline::SnapshotKeeper>(config.box.state_dir + "/memory.snapshot", options.seal_key,
                                                               pipeline::Pipeline::StateLayoutId(), daemon->clock_);
  daemon->registry_.Register(daemon->keeper_->counters());
  daemon->pipeline_ = std::make_unique<pipeline::Pipeline>(std::move(options), daemon->backend_.get(), daemon->outputs_->sink(),
                                                           &daemon->registry_);
  if (start->empty) {
    if (Status forgotten = daemon->ForgetAll(); !forgotten.ok()) return Error{forgotten.message()};
  } else if (Status restored = daemon->Restore(); !restored.ok()) {
    start->exit = kExitUnreadable;
    return Error{restored.message() + "; put the right file or secret back, or start once with --start-empty, which forgets all accounts and campaigns"};
  }
  daemon->pipeline_->SwapDirectory(daemon->WithIntel(daemon->directory_));
  daemon->pipeline_->SwapPublicList(std::move(public_list).value());
  daemon->consumer_ = std::make_unique<PipelineConsumer>(daemon->pipeline_.get());
  if (Status ports = daemon->OpenPorts(); !ports.ok()) return Error{ports.message()};
  if (Status threads = daemon->StartThreads(); !threads.ok()) return Error{threads.message()};
  return daemon;
}

Status Daemon::Restore() {
  Result<std::optional<pipeline::StoredSnapshot>> books = outputs_->outbox().LoadSnapshot();
  if (!books.ok()) return books.error();
  if (keeper_->there() && !MutantIs("restore.forgets")) {
    Result<std::string> state = keeper_->Read();
    if (!state.ok()) return state.error();
    const Status loaded = pipeline_->LoadState(state.value());
    pipeline::Wipe(&state.value());
    if (!loaded.ok()) return Error{keeper_->path() + ": " + loaded.message()};
    restored_from_ = "snapshot";
  }
  // Committed with the events that tell of them, so never older than the file's.
  if (books.value().has_value() && !books.value()->blob.empty()) {
    if (Status loaded = pipeline_->LoadSealedBooks(books.value()->blob); !loaded.ok()) return loaded;
    if (!keeper_->there()) restored_from_ = "campaigns only";
  }
  restored_accounts_ = pipeline_->profiles().size();
  snapshot_time_ns_ = pipeline_->newest_ns();
  return {};
}

Status Daemon::ForgetAll() {
  restored_from_ = "nothing: --start-empty";
  if (Status removed = keeper_->Remove(); !removed.ok()) return removed;
  return outputs_->outbox().Commit({}, Bytes{});
}

void Daemon::SnapshotIfDue(bool now) {
  keeper_->Collect();
  const int64_t interval_s = config().snapshot.interval_s;
  const int64_t traffic_ns = pipeline_->newest_ns();
  if (interval_s == 0 || traffic_ns == 0) return;
  if (snapshot_time_ns_ == 0) snapshot_time_ns_ = traffic_ns;
  if (!now && traffic_ns - snapshot_time_ns_ < interval_s * kNsPerSecond) return;
  // Events that are not durable yet would be told to nobody after a crash.
  if (keeper_->busy() || pipeline_->holds_events()) return keeper_->Defer();
  const int64_t begin_ns = clock_.MonotonicNs();
  std::string state;
  pipeline_->SaveState(&state);
  snapshot_time_ns_ = traffic_ns;
  keeper_->Write(std::move(state), traffic_ns, clock_.MonotonicNs() - begin_ns);
}

Status Daemon::OpenPorts() {
  dataplane::EalOptions eal;
  eal.huge_pages = config_.eal.huge_pages == "auto";
  eal.memory_mib = static_cast<uint32_t>(config_.eal.memory_mib);
  eal.log_level = config_.eal.log_level;
  if (config_.ports.driver == "ethdev") {
    eal.pci.push_back(config_.ports.a);
    if (!config_.ports.b.empty()) eal.pci.push_back(config_.ports.b);
  }
  Result<std::unique_ptr<dataplane::Eal>> started = dataplane::Eal::Start(eal);
  if (!started.ok()) return started.error();
  eal_ = std::move(started).value();

  const bool forward = config_.ports.mode == "inline";
  const bool traffic_control = FailsOpenOnTrafficControl(config_);
  if (config_.ports.driver == "af_xdp" || traffic_control) {
    dataplane::FailOpenOptions options;
    options.traffic_control = traffic_control;
    options.bpffs = config_.fail_open.bpffs;
    options.port_a = config_.ports.a;
    options.port_b = config_.ports.b;
    options.forward = forward;
    options.timeout_ns = config_.fail_open.heartbeat_timeout_ms * kNsPerMs;
    options.passed_flows_max = PassesFlows(config_) ? static_cast<uint32_t>(config_.fail_open.passed_flows_max) : 0;
    Result<std::unique_ptr<dataplane::FailOpen>> installed = dataplane::FailOpen::Install(options);
    if (!installed.ok()) return installed.error();
    fail_open_ = std::move(installed).value();
    Result<dataplane::Interest> interest =
        dataplane::ParseInterest(config_.fail_open.interest_prefixes, config_.fail_open.interest_ports, config_.fail_open.interest_udp_ports);
    if (!interest.ok()) return interest.error();
    if (Status set = fail_open_->SetInterest(interest.value()); !set.ok()) return set;
    registry_.Register(fail_open_->counters());
    if (!fail_open_->native()) {
      Log(LogLevel::kWarning, "the driver has no XDP of its own; the bypass runs in the kernel's slower generic place");
    }
  }
  dataplane::InlinePairOptions pair;
  pair.driver = DriverOf(config_.ports.driver);
  pair.a = fail_open_ == nullptr ? config_.ports.a : fail_open_->process_port(0);
  pair.b = fail_open_ == nullptr ? config_.ports.b : fail_open_->process_port(1);
  pair.forward = forward;
  pair.mtu = static_cast<uint32_t>(config_.ports.mtu);
  pair.descriptors = static_cast<uint16_t>(config_.ports.descriptors);
  pair.mbufs = static_cast<uint32_t>(config_.ports.mbufs);
  pair.queues = static_cast<uint16_t>(config_.ports.queues);
  pair.lent_max = static_cast<uint32_t>(config_.threads.forwarder_ring_frames * std::max<int64_t>(1, config_.threads.workers) * config_.ports.queues);
  Result<std::unique_ptr<dataplane::InlinePair>> opened = dataplane::InlinePair::Open(
      pair, fail_open_ == nullptr ? &own_heart_ : &fail_open_->heart(), &clock_);
  if (!opened.ok()) return opened.error();
  ports_ = std::move(opened).value();
  ports_->RegisterCounters(&registry_);
  return {};
}

Status Daemon::StartThreads() {
  slot_ = quiescent_.AddSlot("detection", false);
  quiescent_.Publish(generation_.load());
  Result<std::unique_ptr<dataplane::KeyFeed>> keys = LiveKeys(config_);
  if (!keys.ok()) return keys.error();
  keys_ = std::move(keys).value();
  if (keys_ != nullptr) {
    registry_.Register(keys_->counters());
    if (!keys_->locked()) Log(LogLevel::kWarning, "session secrets may be swapped out: RLIMIT_MEMLOCK is too low");
    keys_->Start();
  }
  dataplane::LlmOptions llm = LlmOptionsOf(config_, secrets_);
  llm.generation = &generation_;
  dataplane::WorkerOptions worker = WorkerOptionsOf(config_, secrets_);
  worker.pass_uninteresting = PassesFlows(config_);
  engine_ = std::make_unique<dataplane::Engine>(
      EngineOptionsOf(config_, secrets_, &quiescent_), ports_->ports(),
      DecoderFactory(worker, llm, keys_.get(), CopiesWindowNs(config_)), &clock_);
  engine_->RegisterCounters(&registry_);
  if (Status started = engine_->Start(); !started.ok()) return started;
  PortWatch::Options watch;
  if (config_.ports.driver != "ethdev") watch.ports = {config_.ports.a, config_.ports.b};
  watch.forward = config_.ports.mode == "inline";
  watch.overload_bypass = config_.fail_open.overload_bypass;
  watch.changes_tags = config_.ports.driver == "af_packet" && fail_open_ == nullptr;
  watch.link_loss_forwarding = config_.ports.link_loss_forwarding;
  watch_ = std::make_unique<PortWatch>(
      watch, fail_open_.get(), ports_.get(), engine_.get(), &clock_,
      [this](const std::string& action, const std::string& subject, const std::string& detail) {
        Log(LogLevel::kWarning, action + ": " + subject + ": " + detail);
        PostAudit("watch", action, subject, detail);
      });
  registry_.Register(watch_->counters());
  watch_->Start();
  for (const std::string& alarm : Alarms()) Log(LogLevel::kWarning, alarm);
  outputs_->Start();
  if (Status intake = StartIntake(); !intake.ok()) return intake;
  confirm_deadline_ = std::make_unique<Deadline>([this] { ConfirmationIsOver(); });
  Result<std::unique_ptr<config::ControlServer>> control = config::ControlServer::Start(
      config_.control.socket, [this](const config::ControlRequest& request) { return Handle(request); });
  if (!control.ok()) return control.error();
  control_ = std::move(control).value();
  return PinDetection();
}

// Threads that exist already keep their processors.
Status Daemon::PinDetection() {
  const auto index = static_cast<size_t>(config_.ports.queues + config_.threads.workers);
  if (index >= config_.threads.cpus.size()) return {};
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(std::stoul(config_.threads.cpus[index]), &cpus);
  const int failed = pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus);
  if (failed == 0) return {};
  return Error{"threads.cpus: detection cannot be pinned to processor " + config_.threads.cpus[index] + ": " +
               std::strerror(failed) + "; `nproc --all` and `taskset -p 1` say which there are"};
}

Daemon::~Daemon() {
  HandOver();
  detection_over_.store(true);
  RunRequests();
  control_.reset();
  confirm_deadline_.reset();
  if (signal_reload_.joinable()) signal_reload_.join();
  watch_.reset();
  intake_.reset();
}

void Daemon::HandOver() {
  if (handed_over_ || engine_ == nullptr) return;
  handed_over_ = true;
  if (fail_open_ != nullptr) {
    fail_open_->heart().Stop();
    const auto received = [&] {
      return ports_->Count(dataplane::ForwardCounter::kReceivedA) + ports_->Count(dataplane::ForwardCounter::kReceivedB);
    };
    uint64_t before = ~uint64_t{0};
    for (int round = 0; round < kHandOverRoundsMax && before != received(); ++round) {
      before = received();
      std::this_thread::sleep_for(kHandOverQuiet);
    }
  }
  engine_->Stop();
}

int Daemon::Run(const std::atomic<bool>& stop, std::atomic<bool>* reload) {
  pipeline_->Audit("start", "start", config_.box.name,
                   "generation " + std::to_string(generation_.load()) + "; remembers " + std::to_string(restored_accounts_) +
                       " accounts, from " + restored_from_,
                   clock_.UnixNs());
  bool stopping = false;
  while (!engine_->merger().at_end()) {
    if (stop.load(std::memory_order_relaxed) && !stopping) {
      stopping = true;
      Log(LogLevel::kInfo, fail_open_ != nullptr ? "stopping: the kernel forwards from here on" : "stopping");
      HandOver();
      if (MutantIs("stop.forgets_the_rest")) break;
    }
    if (reload->exchange(false)) ReloadAsSignalled();
    const size_t records = engine_->merger().Poll(consumer_.get());
    const uint64_t published = quiescent_.published();  // what a reload hands over it posts before
    RunRequests();
    quiescent_.Pass(slot_, published);
    const int64_t now = clock_.MonotonicNs();
    if (records != 0) idle_since_ns_ = now;
    CutBatchIfDue(now);
    if (now >= next_housekeeping_ns_) Housekeeping(now);
    if (records == 0) std::this_thread::sleep_for(std::chrono::microseconds(500));
  }
  watch_->Stop();
  // Its last record is waiting for this thread.
  std::thread stop_intake([this] { if (intake_ != nullptr) intake_->Stop(); });
  while (intake_ != nullptr && !intake_->stopped()) {
    RunRequests();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  stop_intake.join();
  const Status finished = pipeline_->Finish();
  if (!finished.ok()) Log(LogLevel::kError, finished.message());
  keeper_->Wait();
  SnapshotIfDue(true);
  keeper_->Wait();
  keeper_->Collect();
  WriteBoxStatus(registry_.Snapshot());
  detection_over_.store(true);
  RunRequests();
  control_.reset();
  if (signal_reload_.joinable()) signal_reload_.join();
  confirm_deadline_->Stop();
  outputs_->Stop();
  return finished.ok() ? 0 : 1;
}

void Daemon::ReloadAsSignalled() {
  if (signal_reloading_.exchange(true)) return Log(LogLevel::kError, "reload: another reload runs; signal HUP ignored");
  if (signal_reload_.joinable()) signal_reload_.join();  // it is over
  signal_reload_ = std::thread([this] {
    const ControlAnswer answer = Reload(file_, "", "signal HUP");
    if (answer.exit == config::kExitOk) Log(LogLevel::kInfo, "reload: generation " + std::to_string(generation_.load()));
    else Log(LogLevel::kError, "reload: " + answer.error);
    signal_reloading_.store(false);
  });
}

void Daemon::CutBatchIfDue(int64_t now_ns) {
  if (!pipeline_->batch_is_open()) {
    batch_since_ns_ = 0;
  } else if (batch_since_ns_ == 0) {
    batch_since_ns_ = now_ns;
  } else if (now_ns - batch_since_ns_ >= kBatchWallNs) {
    pipeline_->CutBatch();
    batch_since_ns_ = 0;
  }
}

void Daemon::Housekeeping(int64_t now_ns) {
  next_housekeeping_ns_ = now_ns + kHousekeepingNs;
  // On a silent wire traffic time would stand still and the last batch would wait: carry it on.
  if (now_ns - idle_since_ns_ > kIdleLagNs && consumer_->time_ns() != 0) {
    const int64_t time_ns = clock_.UnixNs() - kIdleLagNs;
    if (time_ns > consumer_->time_ns()) consumer_->OnWatermark(consumer_->packet(), time_ns);
  }
  const std::map<std::string, uint64_t> counters = registry_.Snapshot();
  NoteCoverage(counters);
  SnapshotIfDue(false);
  if (now_ns >= next_status_ns_) {
    next_status_ns_ = now_ns + kStatusNs;
    WriteBoxStatus(counters);
  }
}

void Daemon::NoteCoverage(const std::map<std::string, uint64_t>& counters) {
  const uint64_t skipped = SkippedIn(counters);
  pipeline_->SetCoverage(skipped, skipped != skipped_ || !Alarms().empty());
  skipped_ = skipped;
}

void Daemon::WriteBoxStatus(const std::map<std::string, uint64_t>& counters) {
  auto status = std::make_unique<v1::BoxStatus>();
  status->set_version(kVersion);
  status->set_bypass(fail_open_ != nullptr && fail_open_->bypassed());
  for (std::string& alarm : Alarms()) status->add_alarms(std::move(alarm));
  for (const auto& [name, value] : counters) (*status->mutable_counters())[name] = value;
  const pipeline::OutboxStats outbox = outputs_->outbox_stats();
  status->set_outbox_records(outbox.records);
  status->set_outbox_bytes(outbox.bytes);
  pipeline_->WriteStatus(std::move(status), clock_.UnixNs());
}

void Daemon::OnDetectionThread(const std::function<void()>& work) {
  std::packaged_task<void()> task(work);
  std::future<void> done = task.get_future();
  {
    std::lock_guard lock(requests_mutex_);
    requests_.push_back(std::move(task));
  }
  // After the end of detection nobody else touches the pipeline: run it here.
  while (done.wait_for(std::chrono::milliseconds(10)) != std::future_status::ready) {
    if (detection_over_.load()) RunRequests();
  }
}

void Daemon::Post(std::function<void()> work) {
  std::lock_guard lock(requests_mutex_);
  requests_.emplace_back(std::move(work));
}

void Daemon::PostAudit(std::string actor, std::string action, std::string subject, std::string detail) {
  Post([this, actor = std::move(actor), action = std::move(action), subject = std::move(subject),
        detail = std::move(detail), time_ns = clock_.UnixNs()] {
    pipeline_->Audit(actor, action, subject, detail, time_ns);
    WriteBoxStatus(registry_.Snapshot());  // and delivers both
  });
}

// Contended only after the detection thread's end, when control threads run what was left to them.
void Daemon::RunRequests() {
  std::lock_guard running(running_mutex_);
  std::vector<std::packaged_task<void()>> requests;
  {
    std::lock_guard lock(requests_mutex_);
    requests.swap(requests_);
  }
  for (std::packaged_task<void()>& request : requests) request();
}

ControlAnswer Daemon::Handle(const config::ControlRequest& request) {
  const std::string actor = "stillctl uid " + std::to_string(request.peer_uid);
  if (request.command == "status") return {config::kExitOk, "", StatusJson()};
  if (request.command == "counters") {
    json counters = json::object();
    for (const auto& [name, value] : registry_.Snapshot()) {
      if (request.args.empty() || name.starts_with(request.args[0])) counters[name] = value;
    }
    return {config::kExitOk, "", counters.dump()};
  }
  if (request.command == "campaigns") {
    std::string list;
    OnDetectionThread([&] {
      for (const auto& campaign : pipeline_->Campaigns()) list += (list.empty() ? "" : ",") + JsonOf(campaign);
    });
    return {config::kExitOk, "", "[" + list + "]"};
  }
  if (request.command == "campaign" && request.args.size() == 1) {
    std::unique_ptr<v1::CampaignVerdict> campaign;
    OnDetectionThread([&] { campaign = pipeline_->FindCampaign(request.args[0]); });
    if (campaign == nullptr) return {config::kExitRefused, "no campaign " + request.args[0] + "; `stillctl campaigns` lists them", ""};
    return {config::kExitOk, "", JsonOf(*campaign)};
  }
  if (request.command == "feedback" && request.args.size() >= 3) return Feedback(request.args, actor);
  if (request.command == "erase" && request.args.size() == 1) return Erase(request.args[0], actor);
  if (request.command == "export" && request.args.size() == 2) return Export(request.args[0], request.args[1], actor);
  if (request.command == "import" && request.args.size() == 1) return Import(request.args[0], actor);
  if (request.command == "imports" && request.args.empty()) return Imports();
  if (request.command == "bypass" && !request.args.empty() && request.args.size() <= 3) return Bypass(request.args, actor);
  if (request.command == "reload" && request.args.size() <= 2) {
    const bool named = !request.args.empty() && !request.args[0].empty();
    return Reload(named ? request.args[0] : file_, request.args.size() == 2 ? request.args[1] : "", actor);
  }
  if (request.command == "confirm" && request.args.empty()) return Confirm(actor);
  if (request.command == "rollback" && request.args.empty()) return Rollback(actor);
  return {config::kExitUsage, "unknown command '" + request.command + "'", ""};
}

config::Config Daemon::config() const {
  std::lock_guard lock(config_mutex_);
  return config_;
}

namespace {

// Upper ends of a histogram's steps, in microseconds; null where it has none.
json Quantiles(const std::array<uint64_t, dataplane::kLatencySteps>& frames) {
  json quantiles;
  for (const auto& [name, per_mille] : {std::pair("p50", 500), {"p99", 990}, {"p999", 999}}) {
    const std::optional<uint64_t> us = dataplane::LatencyQuantileUs(frames, static_cast<uint64_t>(per_mille));
    quantiles[name] = us.has_value() ? json(*us) : json(nullptr);
  }
  return quantiles;
}

}  // namespace

json Daemon::ThreadGenerations() const {
  json threads = json::object();
  for (const Quiescent::Slot& slot : quiescent_.slots()) threads[slot.thread] = slot.seen.load();
  return threads;
}

std::string Daemon::StatusJson() {
  const config::Config config = this->config();
  std::map<std::string, uint64_t> counters = registry_.Snapshot();
  const pipeline::OutboxStats outbox = outputs_->outbox_stats();
  json status{{"box", config.box.name},
              {"version", kVersion},
              {"pid", getpid()},
              {"mode", config.ports.mode},
              {"driver", config.ports.driver},
              {"ports", {{"a", config.ports.a}, {"b", config.ports.b}}},
              {"backend", backend_->Info().name},
              {"degraded", !Alarms().empty()},
              {"generation", generation_.load()},
              {"thread_generation", ThreadGenerations()},
              {"reloading", reloading_.load()},
              {"policy_version", config.policy.version},
              {"bypass", fail_open_ != nullptr && fail_open_->bypassed()},
              {"overload", dataplane::NameOf(watch_->state().overload)},
              {"alarms", Alarms()},
              {"packets", counters["forward.received_a"] + counters["forward.received_b"]},
              {"exchanges", counters["pipeline.exchanges"]},
              {"campaigns", counters["pipeline.campaigns"]},
              {"outbox", {{"records", outbox.records}, {"bytes", outbox.bytes}, {"epoch", outbox.epoch}}}};
  const PortWatch::State watched = watch_->state();
  for (size_t side = 0; side < 2 && config.ports.driver != "ethdev"; ++side) {
    if (side == 0 || !config.ports.b.empty()) status["links"][side == 0 ? "a" : "b"] = NameOf(watched.links[side]);
  }
  status["latency_us"] = {{"delay", Quantiles(ports_->Delays())}, {"wait", Quantiles(ports_->Waits())}};
  const pipeline::SnapshotStatus snapshot = keeper_->status();
  status["snapshot"] = {{"age_s", nullptr}, {"bytes", snapshot.bytes}, {"interval_s", config.snapshot.interval_s},
                        {"pause_us_max", counters["snapshot.pause_us_max"]}, {"last_error", snapshot.last_error},
                        {"restored_accounts", restored_accounts_}, {"restored_from", restored_from_}};
  if (snapshot.written_ns != 0) status["snapshot"]["age_s"] = (clock_.UnixNs() - snapshot.written_ns) / kNsPerSecond;
  AddConfirmation(&status);
  if (intake_ != nullptr) {
    status["intake"] = {{"records", counters["consume.records"]}, {"malformed", counters["consume.malformed"]}, {"last_error", intake_->consumer().last_error()}};
  }
  if (const pipeline::KafkaDrain* kafka = outputs_->kafka(); kafka != nullptr) {
    const pipeline::KafkaStatus state = kafka->status();
    status["kafka"] = {{"connected", state.connected}, {"lag_records", state.lag_records},
                       {"acknowledged", state.acknowledged}, {"last_error", state.last_error}};
  }
  return status.dump();
}

ControlAnswer Daemon::Feedback(const std::vector<std::string>& words, const std::string& actor) {
  using pipeline::FeedbackKind;
  const std::map<std::string, FeedbackKind> kinds{
      {"confirm", FeedbackKind::kConfirm}, {"reject", FeedbackKind::kReject}, {"split", FeedbackKind::kSplit}};
  const auto kind = kinds.find(words[0]);
  const std::vector<std::string> accounts(words.begin() + 3, words.end());
  if (kind == kinds.end() || accounts.empty() == (kind->second == FeedbackKind::kSplit)) {
    return {config::kExitUsage, "feedback takes confirm ID, reject ID, or split ID ACCOUNT...", ""};
  }
  constexpr size_t kReasonMax = 400;
  if (words[2].size() > kReasonMax) return {config::kExitUsage, "--reason: at most " + std::to_string(kReasonMax) + " bytes", ""};
  Status taken;
  std::unique_ptr<v1::CampaignVerdict> campaign;
  OnDetectionThread([&] {
    taken = pipeline_->TakeFeedback(kind->second, words[1], accounts, actor, words[2], clock_.UnixNs());
    campaign = pipeline_->FindCampaign(words[1]);
  });
  if (!taken.ok()) return {config::kExitRefused, taken.message(), ""};
  return {config::kExitOk, "", JsonOf(*campaign)};
}

ControlAnswer Daemon::Erase(const std::string& account, const std::string& actor) {
  Result<std::string> erased = Error{"the daemon is stopping"};
  OnDetectionThread([&] {
    erased = pipeline_->Erase(account, actor, clock_.UnixNs());
    if (!erased.ok()) return;
    // The snapshot on disk still holds it: due now, and again at once where one is just being written.
    snapshot_time_ns_ = 1;
    SnapshotIfDue(false);
  });
  if (!erased.ok()) return {config::kExitRefused, erased.message(), ""};
  return {config::kExitOk, "", json{{"erased", account}, {"audited_as", erased.value()}}.dump()};
}

ControlAnswer Daemon::Export(const std::string& id, const std::string& partner, const std::string& actor) {
  std::unique_ptr<v1::CampaignVerdict> campaign;
  Result<v1::PartnerClaim> claim = Error{"the daemon is stopping"};
  bool of_a_partner = false;
  OnDetectionThread([&] {
    campaign = pipeline_->FindCampaign(id);
    of_a_partner = pipeline_->imports().Find(id) != nullptr;
    claim = pipeline_->ClaimFor(partner, id);
  });
  if (campaign == nullptr) return {config::kExitRefused, "no campaign " + id + "; `stillctl campaigns` lists them", ""};
  if (of_a_partner) return {config::kExitRefused, "campaign " + id + " is a partner's claim; what one partner says is not passed on to another", ""};
  if (campaign->state() > v1::CAMPAIGN_STATE_DORMANT) {
    return {config::kExitRefused, "campaign " + id + " is withdrawn or closed; nobody is told of it", ""};
  }
  if (claim.ok()) SignClaim(clock_.UnixNs() + config().sharing.valid_days * 24 * kNsPerHour, secrets_, &claim.value());
  PostAudit(actor, "export", id, "for partner " + partner + ", " + std::to_string(campaign->accounts_size()) + " accounts, as a number; " +
                                     (claim.ok() ? "with its prompt cores under the key of the pair, until " + claim.value().valid_until() : "without sketches: " + claim.message()));
  const json answer{{"box", config().box.name}, {"time", FormatTime(clock_.UnixNs())}, {"campaign", json::parse(JsonOf(*campaign))},
                    {"claim", claim.ok() ? json::parse(JsonOf(claim.value())) : json()}, {"why_no_claim", claim.ok() ? "" : claim.message()}};
  return {config::kExitOk, "", answer.dump()};
}

ControlAnswer Daemon::Import(const std::string& text, const std::string& actor) {
  const Result<v1::PartnerClaim> claim = ReadClaim(text, secrets_);
  if (!claim.ok()) {
    PostAudit(actor, "import_refused", "a claim", claim.message());
    return {config::kExitRefused, claim.message(), ""};
  }
  Result<std::string> taken = Error{"the daemon is stopping"};
  OnDetectionThread([&] { taken = pipeline_->TakeClaim(claim.value(), actor, clock_.UnixNs()); });
  if (!taken.ok()) return {config::kExitRefused, taken.message(), ""};
  return {config::kExitOk, "", json{{"campaign", taken.value()}, {"partner", claim.value().partner()}, {"valid_until", claim.value().valid_until()}}.dump()};
}

ControlAnswer Daemon::Imports() {
  json list = json::array();
  OnDetectionThread([&] {
    for (const pipeline::Import& import : pipeline_->imports().imports()) {
      list.push_back({{"campaign", import.id}, {"partner", import.partner}, {"campaign_there", import.claim.campaign_id}, {"state_there", import.claim.state},
                      {"cores", import.claim.pattern.cores.size()}, {"accounts_here", import.matches.size()}, {"rejected", import.rejected},
                      {"found_as", import.superseded_by}, {"valid_until", FormatTime(import.claim.valid_until_s * kNsPerSecond)}});
    }
  });
  return {config::kExitOk, "", list.dump()};
}

ControlAnswer Daemon::Bypass(const std::vector<std::string>& words, const std::string& actor) {
  const std::string word = words[0], duration = words.size() > 1 ? words[1] : "", reason = words.size() > 2 ? words[2] : "";
  if ((word != "on" && word != "off") || (word == "off" && words.size() > 1)) {
    return {config::kExitUsage, "bypass takes on [--for 30m] [--reason TEXT], or off", ""};
  }
  const int64_t for_ns = ParseDurationNs(duration);
  if (!duration.empty() && for_ns == 0) {
    return {config::kExitUsage, "--for " + duration + ": write 90s, 30m, 2h or 7d; at most 30d", ""};
  }
  if (reason.size() >= SW_REASON_BYTES) {
    return {config::kExitUsage, "--reason: at most " + std::to_string(SW_REASON_BYTES - 1) + " bytes", ""};
  }
  if (fail_open_ == nullptr) {
    return {config::kExitRefused, "ports.driver = \"" + config().ports.driver + "\" has no bypass in the kernel; use the NIC's or switch's", ""};
  }
  std::string detail = word;
  {
    std::lock_guard lock(bypass_mutex_);
    const int64_t now_ns = clock_.MonotonicNs();
    if (word == "off") fail_open_->SetBypass(0);
    else fail_open_->SetBypass(for_ns == 0 ? dataplane::FailOpen::kUntilSwitchedOff : now_ns + for_ns, reason);
  }
  if (for_ns != 0) detail += " until " + FormatTime(clock_.UnixNs() + for_ns);
  PostAudit(actor, "bypass", config().box.name, detail + (reason.empty() ? "" : ": " + reason));
  return {config::kExitOk, "", json("bypass is " + detail).dump()};
}

std::vector<std::string> Daemon::Alarms() const {
  std::vector<std::string> alarms;
  const int64_t now_ns = clock_.MonotonicNs(), unix_ns = clock_.UnixNs();
  if (fail_open_ != nullptr) {
    std::lock_guard lock(bypass_mutex_);
    if (const int64_t until_ns = fail_open_->bypass_until_ns(); until_ns != 0) {
      const std::string reason = fail_open_->bypass_reason();
      alarms.push_back("bypass is on until " +
                       (until_ns == dataplane::FailOpen::kUntilSwitchedOff ? "it is switched off" : FormatTime(unix_ns + until_ns - now_ns)) +
                       (reason.empty() ? "" : ": " + reason));
    }
  }
  if (backend_->Info().degraded) {
    alarms.push_back("the GPU failed and the CPU computes in its place; joins skipped so far: " +
                     std::to_string(backend_->Counters()->Get(gpu::GpuCounter::kJoinsSkipped)) +
                     "; the log has the reason, restart to use the GPU again");
  }
  const PortWatch::State state = watch_->state();
  if (state.overload != dataplane::Overload::kNone) {
    alarms.push_back(std::string("overload of ") + dataplane::NameOf(state.overload) + ", judged anew at " +
                     FormatTime(unix_ns + state.overload_until_ns - now_ns));
  }
  if (state.tags_changed != 0) {
    alarms.push_back("af_packet changed the 802.1ad tag of " + std::to_string(state.tags_changed) + " frames; use ports.driver = \"af_xdp\"");
  }
  if (!state.reopen_error.empty()) alarms.push_back("ports cannot be opened anew, the kernel forwards: " + state.reopen_error);
  const config::Config config = this->config();
  for (size_t side = 0; side < 2; ++side) {
    if (state.links[side] == Link::kUp) continue;
    alarms.push_back(std::string("ports.") + (side == 0 ? "a: " + config.ports.a : "b: " + config.ports.b) + " is " + NameOf(state.links[side]));
  }
  return alarms;
}

ControlAnswer Daemon::Reload(const std::string& file, const std::string& confirm_within, const std::string& actor) {
  const ReloadTurn turn(&reloading_);
  if (!turn.mine()) return {config::kExitBusy, "another reload runs; try again", ""};
  if (const std::optional<Unconfirmed> waiting = unconfirmed(); waiting.has_value()) {
    return {config::kExitBusy, "generation " + std::to_string(waiting->generation) +
                                   " waits for its confirmation; `stillctl confirm` keeps it, `stillctl rollback` undoes it", ""};
  }
  const int64_t confirm_ns = ParseDurationNs(confirm_within);
  if (!confirm_within.empty() && confirm_ns == 0) {
    return {config::kExitUsage, "--confirm-within " + confirm_within + ": write 90s, 30m, 2h or 7d; at most 30d", ""};
  }
  const auto refuse = [&](int exit, const std::string& why) {
    PostAudit(actor, "reload_refused", file, why);
    return ControlAnswer{exit, why + "\ngeneration " + std::to_string(generation_.load()) + " goes on", ""};
  };
  // parse and validate
  const Result<std::string> text = config::ReadConfigFile(file);
  if (!text.ok()) return refuse(config::kExitBadFile, text.message());
  const Result<config::Config> next = config::ParseConfig(text.value(), file, sets_);
  if (!next.ok()) return refuse(config::kExitBadFile, next.message());
  for (const config::Problem& problem : config::LiveProblems(next.value())) return refuse(config::kExitBadFile, file + ": " + TextOf(problem));
  const config::Config before = config();
  const std::vector<config::Change> changes = config::Diff(before, next.value());
  if (const std::string refusal = config::RefusalOf(changes); !refusal.empty() && !MutantIs("reload.takes_all_keys")) return refuse(config::kExitRefused, refusal);
  // build and preflight: what a hot key can get wrong
  Result<dataplane::Interest> interest =
      dataplane::ParseInterest(next.value().fail_open.interest_prefixes, next.value().fail_open.interest_ports, next.value().fail_open.interest_udp_ports);
  if (!interest.ok()) return refuse(config::kExitBadFile, interest.message());
  Result<std::shared_ptr<const pipeline::AccountDirectory>> directory = ReadDirectory(next.value(), secrets_);
  if (!directory.ok()) return refuse(config::kExitBadFile, directory.message());
  if (const auto list = ReadPublicList(next.value(), secrets_); !list.ok()) return refuse(config::kExitBadFile, list.message());
  const Result<uint64_t> number = store_.Next();
  if (!number.ok()) return refuse(config::kExitRefused, number.message());
  const uint64_t generation = number.value(), before_generation = generation_.load();
  if (Status saved = store_.SaveCandidate(generation, text.value()); !saved.ok()) return refuse(config::kExitRefused, saved.message());

  // swap, then wait until every thread has passed a quiescent point
  const auto restore = [&](const std::string& why) {
    ApplyHot(before, directory_, before_generation);
    quiescent_.Publish(before_generation);
    if (Status discarded = store_.Discard(generation); !discarded.ok()) Log(LogLevel::kError, discarded.message());
    return refuse(config::kExitRefused, why + "; the old generation was restored");
  };
  if (Status running = store_.MarkRunning(generation); !running.ok()) return restore(running.message());
  ApplyHot(next.value(), directory.value(), generation);
  const std::vector<const Quiescent::Slot*> late = PublishAndWait(generation);
  for (const Quiescent::Slot* slot : late) {
    if (slot->forwarder) return restore("thread " + slot->thread + " did not follow within 2 s");
  }
  // Acknowledged means that the next start takes it: what cannot be made durable is not acknowledged. With a time to
  // confirm in, the next start takes the one before.
  if (confirm_ns == 0 || MutantIs("confirm.at_once")) {
    if (Status confirmed = store_.Confirm(generation); !confirmed.ok()) return restore(confirmed.message());
  }
  generation_.store(generation);
  if (confirm_ns != 0) {
    AwaitConfirmation({generation, before_generation, clock_.MonotonicNs() + confirm_ns, file, before, directory_});
  }
  directory_ = directory.value();
  std::string detail;
  for (const config::Change& change : changes) {
    detail += (detail.empty() ? "" : ", ") + std::string(change.key->path) + ": " + change.from + " -> " + change.to;
  }
  const std::string condition = confirm_ns == 0 ? "" : "to be confirmed until " + FormatTime(clock_.UnixNs() + confirm_ns) + "; ";
  const auto audit = [this, actor, file, generation, detail, condition, time_ns = clock_.UnixNs()] {
    pipeline_->Audit(actor, "reload", file, "generation " + std::to_string(generation) + "; " + condition + detail, time_ns);
    WriteBoxStatus(registry_.Snapshot());  // and delivers both: an acknowledged reload is on record
  };
  const bool detection_late = std::find(late.begin(), late.end(), slot_) != late.end();
  if (detection_late) Post(audit);
  else OnDetectionThread(audit);
  json answer{{"generation", generation}, {"changed", detail}, {"thread_generation", ThreadGenerations()},
              {"confirmed", confirm_ns == 0}};
  if (confirm_ns != 0) AddConfirmation(&answer);
  // A thread that only looks may follow later: what it looks at is not lost, and packets do not wait for it.
  for (const Quiescent::Slot* slot : late) answer["late"].push_back(slot->thread);
  return {config::kExitOk, "", answer.dump()};
}

void Daemon::ApplyHot(const config::Config& config, std::shared_ptr<const pipeline::AccountDirectory> directory,
                      uint64_t generation) {
  const Result<std::shared_ptr<const pipeline::PublicList>> list = ReadPublicList(config, secrets_);
  if (!list.ok()) Log(LogLevel::kError, list.message() + "; the list of before stays");  // it was readable a moment ago
  Post([this, config, directory, generation, list] {
    if (list.ok()) pipeline_->SwapPublicList(list.value());
    pipeline_->SwapDirectory(WithIntel(directory));  // before the policy, whose advice rests on who owns what
    pipeline_->SwapPolicy(PolicyOptionsOf(config, secrets_), generation);
    pipeline_->SetTunables(TunablesOf(config));
    pipeline_->SwapResellers(ResellersOf(config), static_cast<uint32_t>(config.detect.end_users_max));
    pipeline_->SetTopics(config.detect.request_sketches, config.detect.account_profiles);
  });
  if (fail_open_ != nullptr) {
    fail_open_->SetTimeout(config.fail_open.heartbeat_timeout_ms * kNsPerMs);
    const Result<dataplane::Interest> interest =
        dataplane::ParseInterest(config.fail_open.interest_prefixes, config.fail_open.interest_ports, config.fail_open.interest_udp_ports);
    if (interest.ok()) {
      if (Status set = fail_open_->SetInterest(interest.value()); !set.ok()) Log(LogLevel::kError, set.message());
    }
    fail_open_->ForgetPassed();
  }
  watch_->Set(config.fail_open.overload_bypass, config.ports.link_loss_forwarding);
  std::lock_guard lock(config_mutex_);
  config_ = config;
}

std::vector<const Quiescent::Slot*> Daemon::PublishAndWait(uint64_t generation) {
  quiescent_.Publish(generation);
  if (MutantIs("reload.does_not_wait")) return {};
  const int64_t deadline = clock_.MonotonicNs() + kReloadDeadlineNs;
  std::vector<const Quiescent::Slot*> behind = quiescent_.Behind(generation);
  while (!behind.empty() && clock_.MonotonicNs() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    behind = quiescent_.Behind(generation);
  }
  return behind;
}

}  // namespace stillwatch
