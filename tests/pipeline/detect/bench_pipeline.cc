// Microbenchmarks of detection after the sketches: fragments of an instruction, their owners, an account's profile, cores
// over all accounts, and the pipeline as a whole without a backend. Numbers are an exchange. Run pinned:
// taskset -c 1 build/bin/bench_pipeline
#include <benchmark/benchmark.h>

#include <cstring>

#include "base/clock.h"
#include "base/hash.h"
#include "pipeline/evidence/core_finder.h"
#include "pipeline/evidence/fragment_table.h"
#include "pipeline/evidence/instruction.h"
#include "pipeline/evidence/semantic_clusters.h"
#include "pipeline/evidence/template_layer.h"
#include "pipeline/pipeline.h"
#include "pipeline/profile/profile_table.h"
#include "pipeline/sink/memory_sink.h"
#include "tests/pipeline/detect/crowd.h"

namespace stillwatch::pipeline {
namespace {

const crowd::Crowd& TheCrowd() {
  static const crowd::Crowd crowd = crowd::MakeCrowd({.seed = 1});
  return crowd;
}

AccountId IdOf(uint32_t account) {
  AccountId id;
  std::memcpy(id.bytes, &account, sizeof account);
  return id;
}

// Fragments of each request, with its account and the day.
struct Considered {
  uint32_t account;
  uint16_t day;
  std::vector<Fragment> fragments;
};
std::vector<Considered> AllConsidered() {
  std::vector<Considered> all;
  for (const crowd::Request& request : TheCrowd().requests) {
    Considered& one = all.emplace_back();
    one.account = request.account;
    one.day = static_cast<uint16_t>(request.time_ns / (24 * kNsPerHour));
    FragmentsOf(request.instruction, 0, &one.fragments);
  }
  return all;
}

RememberedRequest Remembered(const Considered& one) {
  RememberedRequest request{};
  request.time_s = one.day * 86'400u;
  for (const Fragment& fragment : one.fragments) {
    request.text_hash = static_cast<uint32_t>(Mix64(request.text_hash + uint64_t{fragment.hash}));
    if (request.fragments_count < kRequestFragments) request.fragments[request.fragments_count++] = fragment.hash;
  }
  return request;
}

void CountRequests(benchmark::State& state) {
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(TheCrowd().requests.size()));
}

void BM_Fragments(benchmark::State& state) {
  TheCrowd();  // made before the clock runs
  std::vector<Fragment> fragments;
  for (auto _ : state) {
    for (const crowd::Request& request : TheCrowd().requests) {
      FragmentsOf(request.instruction, 0, &fragments);
      benchmark::DoNotOptimize(fragments.data());
    }
  }
  CountRequests(state);
}
BENCHMARK(BM_Fragments)->Unit(benchmark::kMillisecond);

void BM_FragmentOwners(benchmark::State& state) {
  const std::vector<Considered> all = AllConsidered();
  FragmentTable table(1 << 20, 1 << 22);
  for (auto _ : state) {
    for (const Considered& one : all) {
      for (const Fragment& fragment : one.fragments) table.Prefetch(fragment.hash);
      for (const Fragment& fragment : one.fragments) benchmark::DoNotOptimize(table.Note(fragment.hash, one.account + 1, one.day));
    }
  }
  CountRequests(state);
}
BENCHMARK(BM_FragmentOwners)->Unit(benchmark::kMillisecond);

// Two thirds of the embeddings are new to all, and the table is full: of any real traffic less is.
void BM_SemanticClusters(benchmark::State& state) {
  constexpr size_t kEmbeddings = 100'000, kThemes = 3'000;
  std::vector<std::array<int8_t, gpu::kEmbeddingDims>> embeddings(kEmbeddings);
  uint64_t seed = 1;
  const auto any = [&] { return static_cast<int8_t>(Mix64(++seed) % 111) - 55; };
  for (size_t i = 0; i < kEmbeddings; ++i) {
    for (size_t d = 0; d < gpu::kEmbeddingDims; ++d) {
      const auto theme = static_cast<int8_t>(static_cast<int>(Mix64(i % kThemes * gpu::kEmbeddingDims + d) % 111) - 55);
      embeddings[i][d] = static_cast<int8_t>(i % 3 == 0 ? (theme * 3 + any()) / 3 : any());
    }
  }
  SemanticClusters clusters(Tunables{}.cluster_rows_max);
  size_t i = 0;
  for (auto _ : state) {
    if (clusters.full()) benchmark::DoNotOptimize(clusters.MakeRoom());
    benchmark::DoNotOptimize(clusters.Note(embeddings[i], 20, 1 + Mix64(i) % 5'000, true, 20'458));
    i = (i + 1) % kEmbeddings;
  }
}
BENCHMARK(BM_SemanticClusters)->Unit(benchmark::kNanosecond);

void BM_ProfileUpdate(benchmark::State& state) {
  std::vector<std::pair<AccountId, RememberedRequest>> updates;
  for (const Considered& one : AllConsidered()) updates.emplace_back(IdOf(one.account), Remembered(one));
  ProfileTable profiles(1 << 14);
  for (auto _ : state) {
    for (const auto& [id, request] : updates) {
      Profile* profile = profiles.FindOrEarn(id, true, true, 1);
      ++profile->exchanges;
      profile->day.Note(request.time_s, 200);
      profiles.Remember(profile, request);
    }
  }
  CountRequests(state);
}
BENCHMARK(BM_ProfileUpdate)->Unit(benchmark::kMillisecond);

// As a look at the whole population does.
void BM_FindCores(benchmark::State& state) {
  ProfileTable profiles(1 << 14);
  for (const Considered& one : AllConsidered()) {
    Profile* profile = profiles.FindOrCreate(IdOf(one.account));
    profile->owner = one.account + 1;
    profiles.Remember(profile, Remembered(one));
  }
  uint32_t owners = 0;
  const std::vector<uint32_t> owner_of = OwnerIndexes(profiles.all(), &owners);
  const std::vector<RequestRef> requests = AllRequests(profiles.all(), owner_of);
  size_t cores = 0;
  for (auto _ : state) {
    const CoreSet found = FindCores(requests, {.owners_max = owners / 4});
    cores = found.cores.size();
    benchmark::DoNotOptimize(found.cores.data());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(requests.size()));
  state.counters["cores"] = static_cast<double>(cores);
}
BENCHMARK(BM_FindCores)->Unit(benchmark::kMillisecond);

void BM_WholePipeline(benchmark::State& state) {
  PipelineOptions options;
  options.token_hash = crowd::TokenOf;
  options.tunables.profiles_max = 1 << 14;
  options.tunables.fragment_rows_max = 1 << 16;
  options.tunables.doorkeeper_rows = 1 << 18;
  for (auto _ : state) {
    MemorySink sink;
    Pipeline pipeline(options, nullptr, &sink, nullptr);
    dataplane::ExchangeBuilder builder;
    uint64_t order = 0;
    for (const crowd::Request& request : TheCrowd().requests) {
      pipeline.OnExchange(crowd::BuildExchange(TheCrowd(), request, order++, &builder));
    }
    if (!pipeline.Finish().ok()) state.SkipWithError("the pipeline did not finish");
  }
  CountRequests(state);
}
BENCHMARK(BM_WholePipeline)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace stillwatch::pipeline
