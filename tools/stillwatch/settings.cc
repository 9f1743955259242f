#include "tools/stillwatch/settings.h"

#include <sys/random.h>

#include <algorithm>
#include <cstdlib>

#include "base/bytes.h"
#include "base/check.h"
#include "base/mutant.h"
#include "base/partner_salt.h"
#include "base/text/token_hash.h"
#include "config/allowed_owner.h"
#include "config/load.h"
#include "config/partner.h"
#include "config/tunnel_class.h"
#include "dataplane/engine/mirror_worker.h"
#include "dataplane/packet/flow_hash.h"

namespace stillwatch {

namespace {

template <typename To>
To As(int64_t value) {
  return static_cast<To>(value);
}

// A worker together with the dialect layer above it.
class Decoder final : public dataplane::Worker {
 public:
  Decoder(const dataplane::WorkerOptions& worker, const dataplane::LlmOptions& llm, dataplane::WorkerOutput* output)
      : dialects_(dataplane::MakeLlmObserver(llm, output)),
        worker_(dataplane::MakeWorker(worker, dialects_.get(), output)) {}

  dataplane::LookResult Look(const dataplane::Frame& frame) override { return worker_->Look(frame); }
  dataplane::LookResult Continue() override { return worker_->Continue(); }
  void Tick(uint64_t packet, int64_t time_ns) override { worker_->Tick(packet, time_ns); }
  void Finish(uint64_t packet, int64_t time_ns) override { worker_->Finish(packet, time_ns); }
  void RegisterCounters(CounterRegistry* registry) override {
    worker_->RegisterCounters(registry);
    dialects_->RegisterCounters(registry);
  }

 private:
  std::unique_ptr<dataplane::LlmObserver> dialects_;
  std::unique_ptr<dataplane::Worker> worker_;
};

// An account's 32 hex digits or an organisation's 16, as verdicts and profiles print them; else it is a name.
bool IsId(const std::string& owner) {
  std::string bytes;
  return ParseHex(owner, &bytes) && (bytes.size() == 16 || bytes.size() == 8);
}

pipeline::Rung RungOf(const std::string& action) {
  if (action == "observe") return pipeline::Rung::kObserve;
  if (action == "step_up") return pipeline::Rung::kStepUp;
  if (action == "throttle") return pipeline::Rung::kThrottle;
  if (action == "degrade") return pipeline::Rung::kDegrade;
  return pipeline::Rung::kBlock;
}

dataplane::TunnelClasses TunnelClassesOf(const config::Config& config) {
  constexpr std::pair<std::string_view, dataplane::TunnelKind> kKinds[] = {{"vlan", dataplane::TunnelKind::kVlan},
                                                                           {"vni", dataplane::TunnelKind::kVni},
                                                                           {"teid", dataplane::TunnelKind::kTeid},
                                                                           {"gre", dataplane::TunnelKind::kGreKey}};
  std::vector<dataplane::TunnelRule> rules;
  uint32_t number = 0;
  for (const std::string& text : config.flow.tunnel_classes) {
    const config::TunnelClassText parsed = config::ParseTunnelClass(text).value();  // checked by the loader
    ++number;
    for (const auto& [name, kind] : kKinds) {
      if (name != parsed.kind) continue;
      for (const auto& [first, last] : parsed.ranges) rules.push_back({kind, first, last, number, parsed.each});
    }
  }
  return dataplane::TunnelClasses(std::move(rules));
}

}  // namespace

Result<Secrets> ReadSecrets(const config::Config& config) {
  Result<std::string> key = config::ReadSecret("privacy.account_key", config.privacy.account_key);
  if (!key.ok()) return key.error();
  Result<std::string> salt = config::ReadSecret("privacy.salt", config.privacy.salt);
  if (!salt.ok()) return salt.error();
  Secrets secrets{key.value(), SaltFromSecret(salt.value()), {}};
  for (const std::string& text : config.sharing.partners) {
    constexpr size_t kPartnerKeyBytesMin = 16;
    const Result<config::PartnerText> partner = config::ParsePartner(text);
    if (!partner.ok()) return Error{"sharing.partners: " + partner.message()};
    const auto& [name, value] = partner.value();
    Result<std::string> secret = config::ReadSecret("sharing.partners, " + name, value);
    if (!secret.ok()) return secret.error();
    const auto refuse = [&](const char* why) { return Error{"sharing.partners, " + name + ": " + why + "; make a key of the pair with `openssl rand -hex 32`"}; };
    if (secret.value().size() < kPartnerKeyBytesMin) return refuse("the key has fewer than 16 bytes");
    if (secret.value() == salt.value() || secret.value() == key.value()) return refuse("the key is one of this fleet's own secrets");
    for (const PartnerSecret& other : secrets.partners) {
      if (other.name == name) return refuse("stands twice");
      if (other.key == secret.value()) return refuse("the key is another partner's too");
    }
    secrets.partners.push_back({name, secret.value()});
  }
  return secrets;
}

Result<Secrets> ReadLiveSecrets(const config::Config& config) {
  Result<Secrets> secrets = ReadSecrets(config);
  if (!secrets.ok()) return secrets;
  uint64_t seed = 0;
  // So few bytes come whole, and wait only in the first seconds of a boot.
  CHECK(getrandom(&seed, sizeof seed, 0) == sizeof seed);
  if (!MutantIs("spread.same_at_each_start")) secrets.value().boot_seed = seed;
  return secrets;
}

bool FailsOpenOnTrafficControl(const config::Config& config) {
  return config.fail_open.traffic_control && config.ports.driver == "af_packet" && config.ports.mode == "inline";
}

bool PassesFlows(const config::Config& config) {
  const bool kernel_decides = config.ports.driver == "af_xdp" || FailsOpenOnTrafficControl(config);
  // Where networks with the same addresses lie side by side a connection's ends do not say which one it is.
  return config.ports.mode == "inline" && kernel_decides && config.fail_open.passed_flows_max != 0 && config.flow.tunnel_classes.empty();
}

dataplane::WorkerOptions WorkerOptionsOf(const config::Config& config, const Secrets& secrets) {
  // Limits are for the whole box; each worker has its share.
  const int64_t workers = std::max<int64_t>(1, config.threads.workers);
  dataplane::WorkerOptions options;
  options.flows_max = As<uint32_t>(std::max<int64_t>(1024, config.flow.flows_max / workers));
  options.parsers_max = As<uint32_t>(std::max<int64_t>(16, config.http.parsers_max / workers));
  options.decoders_max = As<uint32_t>(std::max<int64_t>(1, config.http.decoders_max / workers));
  options.window_bytes_max = As<uint64_t>(config.http.window_mib << 20) / As<uint64_t>(workers);
  options.reassembly_bytes_max = As<uint64_t>(config.flow.reassembly_mib << 20) / As<uint64_t>(workers);
  options.reassembly_flow_bytes_max = As<uint64_t>(config.flow.reassembly_flow_kib << 10);
  options.header_bytes_max = As<uint32_t>(config.http.header_kib << 10);
  options.decoded_body_bytes_max = As<uint64_t>(config.http.decoded_body_mib << 20);
  options.flow_idle_ns = config.flow.idle_timeout_s * kNsPerSecond;
  options.syn_idle_ns = config.flow.syn_timeout_s * kNsPerSecond;
  options.response_timeout_ns = config.llm.response_timeout_s * kNsPerSecond;
  options.trust_proxy_header = config.llm.trusted_hops > 0;
  options.ignore_checksums = config.ports.ignore_checksums;
  options.tell_connections = config.flow.fronts_max > 0;
  options.tls.connections_max = As<uint32_t>(std::max<int64_t>(16, config.tls.connections_max / workers));
  options.tls.buffers_max = As<uint32_t>(std::max<int64_t>(4, config.tls.buffers_max / workers));
  options.tls.secrets_max = As<uint32_t>(config.tls.secrets_max);  // each may be any worker's
  options.tls.wait_bytes_max = As<uint64_t>(config.tls.wait_mib << 20) / As<uint64_t>(workers);
  options.tls.wait_flow_bytes_max = As<uint64_t>(config.tls.wait_kib << 10);
  if (config.ports.mode != "replay") {
    options.tls.secret_ttl_ns = config.tls.secret_ttl_s * kNsPerSecond;
    options.tls.secret_wait_ns = config.tls.secret_wait_s * kNsPerSecond;
  }
  options.tunnel_classes = TunnelClassesOf(config);
  options.salt = secrets.salt;
  options.boot_seed = secrets.boot_seed;
  return options;
}

dataplane::LlmOptions LlmOptionsOf(const config::Config& config, const Secrets& secrets) {
  const int64_t workers = std::max<int64_t>(1, config.threads.workers);
  dataplane::LlmOptions options;
  options.account_key = secrets.account_key;
  options.salt = secrets.salt;
  for (const PartnerSecret& partner : secrets.partners) options.partner_salts.push_back(PartnerSalt(partner.key));
  options.body_bytes_max = As<uint64_t>(config.llm.body_kib << 10);
  options.body_pool_bytes = As<uint64_t>(config.llm.body_pool_mib << 20) / As<uint64_t>(workers);
  options.trusted_hops = As<int>(config.llm.trusted_hops);
  options.credential_header = config.llm.credential_header;
  return options;
}

dataplane::EngineOptions EngineOptionsOf(const config::Config& config, const Secrets& secrets, Quiescent* quiescent) {
  dataplane::EngineOptions options;
  options.workers = As<size_t>(config.threads.workers);
  options.ring_frames = As<size_t>(config.threads.forwarder_ring_frames);
  options.record_bytes = As<size_t>(config.threads.exchange_ring_mib << 20);
  options.flow_hash = &dataplane::FlowHash;
  options.salt = Salt{DeriveSalt(secrets.salt, "spread").value ^ secrets.boot_seed};
  options.sleep_when_idle = config.ports.idle == "sleep";
  for (const std::string& cpu : config.threads.cpus) options.cpus.push_back(std::stoi(cpu));  // checked by the loader
  options.quiescent = quiescent;
  options.fronts_max = As<size_t>(config.flow.fronts_max);
  // An exchange comes when its response ends or is given up.
  options.fronts_keep_ns = (config.llm.response_timeout_s + config.flow.idle_timeout_s) * kNsPerSecond;
  return options;
}

gpu::BackendOptions BackendOptionsOf(const config::Config& config, const Secrets& secrets) {
  gpu::BackendOptions options;
  options.salt = secrets.salt;
  options.window_bytes = As<uint64_t>(config.sketch.window_mib << 20);
  options.window_bucket_pairs_max = As<uint32_t>(config.sketch.bucket_pairs_max);
  options.representatives_max = As<uint32_t>(config.sketch.representatives_max);
  options.device_bytes_max = As<uint64_t>(config.sketch.device_mib << 20);
  options.rarity_table_path = config.sketch.rarity_table;
  options.embedding_table_path = config.sketch.embedding_table;
  return options;
}

Result<std::unique_ptr<gpu::Backend>> MakeBackend(const config::Config& config, const Secrets& secrets,
                                                  CounterRegistry* registry, const Clock* clock) {
  const gpu::BackendChoice choice = config.sketch.gpu == "cuda"  ? gpu::BackendChoice::kCuda
                                    : config.sketch.gpu == "cpu" ? gpu::BackendChoice::kCpu
                                                                 : gpu::BackendChoice::kAuto;
  gpu::BackendOptions options = BackendOptionsOf(config, secrets);
  options.clock = clock;
  Result<std::unique_ptr<gpu::Backend>> backend = gpu::MakeBackend(options, choice);
  if (backend.ok() && backend.value()->Counters() != nullptr) registry->Register(*backend.value()->Counters());
  return backend;
}

uint64_t PartnerKeyId(const std::string& key) { return KeyedHash64("key of a pair", PartnerSalt(key)); }

pipeline::PolicyOptions PolicyOptionsOf(const config::Config& config, const Secrets& secrets) {
  pipeline::PolicyOptions options;
  options.version = config.policy.version;
  for (const std::string& owner : config.policy.allow_owners) {
    const Result<config::AllowedOwnerText> allowed = config::ParseAllowedOwner(owner);
    if (!allowed.ok()) continue;  // the loader refused it
    const auto& [name, until_ns, reason] = allowed.value();
    options.allow_owners.emplace_back(name, until_ns, reason);
    if (!IsId(name)) options.allow_owners.emplace_back(HexOf(pipeline::OrganisationId(name, secrets.salt)), until_ns, reason);
  }
  options.action_max = RungOf(config.policy.action_max);
  options.owner_unknown_lifts = config.policy.owner_unknown_lifts;
  options.calibrated = config.policy.calibrated;
  options.step_up_permille = As<uint32_t>(config.policy.step_up_permille);
  options.throttle_permille = As<uint32_t>(config.policy.throttle_permille);
  options.degrade_permille = As<uint32_t>(config.policy.degrade_permille);
  options.block_permille = As<uint32_t>(config.policy.block_permille);
  options.innocents_permille = As<uint32_t>(config.policy.innocents_permille);
  options.throttle_budget_percent = As<uint32_t>(config.policy.throttle_budget_percent);
  options.advice_delay_max_hours = As<uint32_t>(config.policy.advice_delay_max_hours);
  options.advice_ttl_hours = As<uint32_t>(config.policy.advice_ttl_hours);
  return options;
}

Result<std::shared_ptr<const pipeline::AccountDirectory>> ReadDirectory(const config::Config& config, const Secrets& secrets) {
  if (config.detect.directory_file.empty()) return std::shared_ptr<const pipeline::AccountDirectory>();
  return pipeline::AccountDirectory::Load(config.detect.directory_file, secrets.salt);
}

Result<std::shared_ptr<const pipeline::PublicList>> ReadPublicList(const config::Config& config, const Secrets& secrets) {
  if (config.detect.public_cores.empty()) return pipeline::PublicList::BuiltIn(secrets.salt);
  return pipeline::PublicList::Load(config.detect.public_cores, secrets.salt);
}

std::vector<pipeline::Reseller> ResellersOf(const config::Config& config) {
  std::vector<pipeline::Reseller> resellers;
  for (const std::string& entry : config.detect.resellers) {
    const Result<config::AllowedOwnerText> reseller = config::ParseAllowedOwner(entry);
    if (reseller.ok()) resellers.push_back({reseller.value().owner, reseller.value().until_ns, reseller.value().reason});  // else the loader refused it
  }
  return resellers;
}

pipeline::Tunables TunablesOf(const config::Config& config) {
  pipeline::Tunables tunables;
  tunables.profiles_max = As<uint32_t>(config.detect.profiles_max);
  tunables.evaluate_every_s = As<uint32_t>(config.detect.evaluate_every_s);
  return tunables;
}

pipeline::PipelineOptions PipelineOptionsOf(const config::Config& config, const Secrets& secrets, uint64_t epoch,
                                            uint64_t generation) {
  pipeline::PipelineOptions options;
  options.box = config.box.name;
  options.epoch = epoch;
  options.config_generation = generation;
  options.salt = secrets.salt;
  options.seal_key = pipeline::MakeSealKey(secrets.account_key, secrets.salt);
  options.token_hash = [hasher = text::TokenHasher(secrets.salt)](std::string_view token) {
    return hasher.Hash(reinterpret_cast<const uint8_t*>(token.data()), token.size());
  };
  for (const PartnerSecret& partner : secrets.partners) options.partners.push_back({partner.name, PartnerKeyId(partner.key)});
  options.write_request_sketches = config.detect.request_sketches;
  options.write_account_profiles = config.detect.account_profiles;
  options.policy = PolicyOptionsOf(config, secrets);
  options.resellers = ResellersOf(config);
  options.end_users_max = As<uint32_t>(config.detect.end_users_max);
  options.tunables = TunablesOf(config);
  return options;
}

Result<std::unique_ptr<dataplane::KeyFeed>> LiveKeys(const config::Config& config) {
  if (config.tls.keylog_file.empty() && config.tls.keylog_socket.empty()) return std::unique_ptr<dataplane::KeyFeed>();
  dataplane::KeyFeedOptions options;
  options.file = config.tls.keylog_file;
  options.socket = config.tls.keylog_socket;
  for (const std::string& uid : config.tls.keylog_uids) {
    options.uids.push_back(static_cast<uint32_t>(std::strtoul(uid.c_str(), nullptr, 10)));
  }
  options.workers = As<size_t>(std::max<int64_t>(1, config.threads.workers));
  return dataplane::KeyFeed::Open(options);
}

Result<std::unique_ptr<dataplane::KeyFeed>> CaptureKeys(const config::Config& config, const std::string& file) {
  if (file.empty()) return std::unique_ptr<dataplane::KeyFeed>();
  return dataplane::KeyFeed::ReadFile(file, As<size_t>(std::max<int64_t>(1, config.threads.workers)));
}

int64_t CopiesWindowNs(const config::Config& config) {
  return config.ports.mode == "mirror" ? config.ports.duplicate_window_ms * kNsPerMs : 0;
}

dataplane::WorkerFactory DecoderFactory(const dataplane::WorkerOptions& worker, const dataplane::LlmOptions& llm,
                                        dataplane::KeyFeed* keys, int64_t copies_window_ns) {
  return [worker, llm, keys, copies_window_ns](size_t index, dataplane::WorkerOutput* output) -> std::unique_ptr<dataplane::Worker> {
    dataplane::WorkerOptions options = worker;
    if (keys != nullptr) {
      options.tls.secrets = keys->ring(index);
      options.tls.secrets_max = std::max(options.tls.secrets_max, static_cast<uint32_t>(keys->sessions_max()));
    }
    auto decoder = std::make_unique<Decoder>(options, llm, output);
    if (copies_window_ns == 0) return decoder;
    return std::make_unique<dataplane::MirrorWorker>(std::move(decoder), copies_window_ns,
                                                     Salt{worker.salt.value ^ worker.boot_seed});
  };
}

}  // namespace stillwatch
