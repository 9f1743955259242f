// From the configuration to each folder's own options. The one place that knows both sides.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/counters.h"
#include "base/hash.h"
#include "base/quiescent.h"
#include "base/result.h"
#include "config/config.h"
#include "dataplane/engine/engine.h"
#include "dataplane/llm/llm_observer.h"
#include "dataplane/tls/key_feed.h"
#include "dataplane/worker.h"
#include "gpu/backend.h"
#include "pipeline/pipeline.h"

namespace stillwatch {

// What is secret in the configuration, read once.
struct PartnerSecret {
  std::string name, key;
};
struct Secrets {
  std::string account_key;
  Salt salt;
  std::vector<PartnerSecret> partners;
  uint64_t boot_seed = 0;  // of this start: where flows go, and nothing that leaves the box, depends on it
};
Result<Secrets> ReadSecrets(const config::Config& config);
// For a live box: with a boot seed from the kernel. A replay has none, so that it repeats.
Result<Secrets> ReadLiveSecrets(const config::Config& config);

// Inline, the kernel's programme runs on traffic control.
bool FailsOpenOnTrafficControl(const config::Config& config);
// Inline, connections of no interest stay in the kernel.
bool PassesFlows(const config::Config& config);

dataplane::WorkerOptions WorkerOptionsOf(const config::Config& config, const Secrets& secrets);
dataplane::LlmOptions LlmOptionsOf(const config::Config& config, const Secrets& secrets);
dataplane::EngineOptions EngineOptionsOf(const config::Config& config, const Secrets& secrets, Quiescent* quiescent);
gpu::BackendOptions BackendOptionsOf(const config::Config& config, const Secrets& secrets);
// Who computes sketches, its counters registered: the registry is read no more once the backend is gone. clock: of a
// live box, where what the CPU cannot join after a GPU's failure is skipped; null: nothing ever is.
Result<std::unique_ptr<gpu::Backend>> MakeBackend(const config::Config& config, const Secrets& secrets,
                                                  CounterRegistry* registry, const Clock* clock);
// Tells keys of partners apart and gives none away.
uint64_t PartnerKeyId(const std::string& key);
pipeline::PolicyOptions PolicyOptionsOf(const config::Config& config, const Secrets& secrets);
// nullptr where none is named.
Result<std::shared_ptr<const pipeline::AccountDirectory>> ReadDirectory(const config::Config& config, const Secrets& secrets);
Result<std::shared_ptr<const pipeline::PublicList>> ReadPublicList(const config::Config& config, const Secrets& secrets);
std::vector<pipeline::Reseller> ResellersOf(const config::Config& config);
pipeline::Tunables TunablesOf(const config::Config& config);
pipeline::PipelineOptions PipelineOptionsOf(const config::Config& config, const Secrets& secrets, uint64_t epoch,
                                            uint64_t generation);

// Where session secrets come from; null when the configuration names no source.
Result<std::unique_ptr<dataplane::KeyFeed>> LiveKeys(const config::Config& config);
// All of a file, for captures; null when `file` is empty.
Result<std::unique_ptr<dataplane::KeyFeed>> CaptureKeys(const config::Config& config, const std::string& file);

// How long a mirror port's second copy of a packet is told from the first; 0: every frame is looked at.
int64_t CopiesWindowNs(const config::Config& config);
// Workers that decode model API traffic: each with its own dialect observer, and its ring of `keys` (may be null).
dataplane::WorkerFactory DecoderFactory(const dataplane::WorkerOptions& worker, const dataplane::LlmOptions& llm,
                                        dataplane::KeyFeed* keys = nullptr, int64_t copies_window_ns = 0);

}  // namespace stillwatch
