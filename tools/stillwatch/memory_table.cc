#include "tools/stillwatch/memory_table.h"

#include <algorithm>
#include <cstdio>

#include "dataplane/engine/side_joiner.h"
#include "dataplane/engine/stream_item.h"
#include "dataplane/flow/quic_flows.h"
#include "dataplane/llm/flow_record.h"
#include "dataplane/llm/llm_observer.h"
#include "dataplane/packet/duplicate_filter.h"
#include "dataplane/packet/fragment_joiner.h"
#include "gpu/backend.h"
#include "pipeline/policy/tunables.h"
#include "pipeline/sharing/partner_fragments.h"
#include "dataplane/worker.h"
#include "dataplane/tls/tls_connection.h"
#include "tools/stillwatch/settings.h"

namespace stillwatch {

namespace {

constexpr uint64_t kKib = 1024, kMib = 1024 * kKib;
constexpr uint64_t kFlowBytes = 512 + 64;  // the flow table's bound for an idle flow; its client behind a PROXY header
constexpr uint64_t kParserBytes =
    1 * kKib + 2 * 4 * kKib;           // one HTTP connection and a small message head each way
constexpr uint64_t kLargeHeads = 512;  // messages at one time whose head is larger, a worker
constexpr uint64_t kHttp2StreamBytes = 320;  // one HTTP/2 stream
constexpr uint64_t kDecoderBytes = 48 * kKib;   // inflate's window and state
constexpr uint64_t kMbufHeader = 192;           // what DPDK keeps before the bytes of a buffer
constexpr uint64_t kRepresentativeBytes = 160;  // an embedding and its account's place
// Of a MiB of the window: a second copy of its buckets, and a quarter of its texts twice (gpu/cuda/window_keeper.h).
constexpr uint64_t kGpuWindowCopyBytes = 800 * kKib;
constexpr uint64_t kGpuBatchBytes = 18 * kMib;  // pinned
constexpr uint64_t kProfileBytes = 4 * kKib;
constexpr uint64_t kDatagramBytes = 64 * kKib;  // an IP datagram that is being joined
constexpr uint64_t kHttpTransactionBytes = 80, kExchangeBytes = 984, kConversationBytes = 384, kEventStreamBytes = 512;
constexpr uint64_t kClusterBytes = 669;  // pipeline/evidence/semantic_clusters.h
constexpr uint64_t kRegistersBytes = 32;
constexpr uint64_t kPassedFlowBytes = 136;  // of the kernel's memory: an element and a bucket of its hash, as it states itself
// Of both tables of layer 2 and its small one; of a node of the map.
constexpr uint64_t kMigrationBytes = 32 * 2 + 32 / 16, kMigrationPairBytes = 304;  // pipeline/evidence/migration_layer.h
constexpr uint64_t kSharedFragmentBytes = 64, kDoorkeeperBytes = 8;  // pipeline/evidence/fragment_table.h

uint64_t Of(int64_t value) { return static_cast<uint64_t>(std::max<int64_t>(value, 0)); }

}  // namespace

std::vector<MemoryPool> MemoryTable(const config::Config& config) {
  const bool live = config.ports.mode != "replay";
  const uint64_t workers = std::max<uint64_t>(Of(config.threads.workers), 1);
  const uint64_t mbuf_bytes =
      kMbufHeader + 128 + std::max<uint64_t>(Of(config.ports.mtu) + 56, 2048);
  // Frames in the ring, and the forwarder's list of what it lent.
  const uint64_t ring_slot = sizeof(dataplane::StreamItem) + 2 * sizeof(dataplane::Frame);
  std::vector<MemoryPool> table;
  if (live) {
    table.push_back({"packet buffers", "ports.mbufs", mbuf_bytes, Of(config.ports.mbufs),
                     "device.no_buffer, engine.buffers_scarce",
                     "frames are not looked at, then not received"});
  }
  table.push_back({"frames to workers", "threads.forwarder_ring_frames", ring_slot,
                   workers * (live ? Of(config.ports.queues) : 1) * Of(config.threads.forwarder_ring_frames), "engine.worker_ring_full",
                   "frames are forwarded and not looked at"});
  if (config.ports.mode == "mirror" && config.ports.duplicate_window_ms != 0) {
    table.push_back({"packets of a mirror", "", dataplane::DuplicateFilter::kEntryBytes,
                     dataplane::DuplicateFilter::kEntries * workers, "mirror.duplicates_forgotten",
                     "second copies are looked at"});
  }
  if (PassesFlows(config)) {
    table.push_back({"flows left to the kernel", "fail_open.passed_flows_max", kPassedFlowBytes, Of(config.fail_open.passed_flows_max), "",
                     "the one that was quiet longest comes back"});
  }
  table.push_back({"records to detection", "threads.exchange_ring_mib", kMib,
                   Of(config.threads.exchange_ring_mib), "engine.exchange_dropped",
                   "exchanges are not judged"});
  table.push_back({"flows", "flow.flows_max", kFlowBytes, Of(config.flow.flows_max), "flow.evicted",
                   "the oldest flow is given up"});
  table.push_back({"flow records", "flow.flows_max", sizeof(dataplane::FlowRecord),
                   std::max<uint64_t>(Of(config.flow.flows_max) / 8, 256 * workers), "flow.record_pool_empty",
                   "encrypted flows are not described"});
  table.push_back({"IP datagrams in pieces", "", kDatagramBytes,
                   dataplane::FragmentJoiner::Options{}.datagrams_max * (workers + (live ? Of(config.ports.queues) : 1)), "fragment.table_full",
                   "fragmented packets are not looked at"});
  table.push_back({"out-of-order bytes", "flow.reassembly_mib", kMib,
                   Of(config.flow.reassembly_mib), "tcp.reassembly_full", "holes are given up"});
  table.push_back({"HTTP parsers", "http.parsers_max", kParserBytes, Of(config.http.parsers_max),
                   "flow.parser_pool_empty", "flows are not decoded"});
  table.push_back({"HTTP transactions", "flow.flows_max", kHttpTransactionBytes,
                   std::max<uint64_t>(Of(config.flow.flows_max), 1024 * workers), "http.transactions_empty",
                   "messages are not decoded"});
  table.push_back({"large message heads", "http.header_kib", Of(config.http.header_kib) * kKib,
                   kLargeHeads * workers, "http.head_buffers_empty", "messages are not decoded"});
  table.push_back({"HTTP/2 streams", "http.parsers_max", kHttp2StreamBytes,
                   dataplane::kStreamsPerParser * Of(config.http.parsers_max), "http2.streams_empty",
                   "streams are not decoded"});
  table.push_back({"HTTP/2 header tables", "http.parsers_max", dataplane::kHpackBytesPerParser,
                   Of(config.http.parsers_max), "http2.hpack_memory_empty", "fields from a lost table are missing"});
  table.push_back({"decompressors", "http.decoders_max", kDecoderBytes,
                   Of(config.http.decoders_max), "http.decoders_empty",
                   "compressed bodies are not read"});
  table.push_back({"br and zstd windows", "http.window_mib", kMib, Of(config.http.window_mib), "http.windows_empty",
                   "br and zstd bodies are not read"});
  table.push_back({"TLS connections", "tls.connections_max", sizeof(dataplane::TlsConnection) + sizeof(dataplane::TlsKeys),
                   Of(config.tls.connections_max), "tls.connections_empty", "hellos are not read, flows not decrypted"});
  if (config.flow.fronts_max != 0) {
    table.push_back({"both sides of a terminator", "flow.fronts_max", dataplane::SideJoiner::kConnectionBytes, Of(config.flow.fronts_max),
                     "join.evicted", "requests behind it are not joined with their client's connection"});
  }
  table.push_back({"QUIC connections", "flow.flows_max", sizeof(dataplane::QuicFlow), std::max<uint64_t>(Of(config.flow.flows_max) / 16, 16 * workers),
                   "quic.evicted", "the quietest is given up"});
  table.push_back({"TLS records in pieces", "tls.buffers_max", dataplane::kRecordMax + 64, Of(config.tls.buffers_max),
                   "tls.buffers_empty", "flows are not decrypted"});
  if (!config.tls.keylog_file.empty() || !config.tls.keylog_socket.empty()) {
    table.push_back({"session secrets", "tls.secrets_max", dataplane::SecretStore::kSessionBytes,
                     workers * Of(config.tls.secrets_max), "tls.secrets_evicted", "the oldest unused secret is forgotten"});
    table.push_back({"records without secret", "tls.wait_mib", kMib, Of(config.tls.wait_mib), "tls.wait_full",
                     "flows are not decrypted"});
  }
  table.push_back({"model API bodies", "llm.body_pool_mib", kMib, Of(config.llm.body_pool_mib),
                   "llm.body_pool_empty", "exchanges lack their text"});
  const dataplane::LlmOptions llm;
  table.push_back({"exchanges in flight", "", kExchangeBytes, llm.exchanges_max * workers, "llm.exchange_pool_empty",
                   "model requests are not looked at"});
  table.push_back({"realtime conversations", "", kConversationBytes, llm.exchanges_max / 8 * workers, "realtime.sessions_empty",
                   "realtime connections are not followed"});
  table.push_back({"streamed responses", "", kEventStreamBytes, llm.streams_max * workers, "llm.stream_pool_empty",
                   "streamed responses are not read"});
  table.push_back({"similarity window", "sketch.window_mib", kMib, Of(config.sketch.window_mib), "",
                   "older prompts are compared no more"});
  // "auto" takes them too where a GPU opens; nobody knows that before.
  const bool cuda = config.sketch.gpu == "cuda";
  table.push_back({"what rebuilds a GPU's window", "sketch.window_mib", kGpuWindowCopyBytes,
                   cuda ? Of(config.sketch.window_mib) : 0, "",
                   "nothing: the GPU's window is copied when it is full (taken with a GPU only)"});
  table.push_back({"batches on their way to a GPU", "", kGpuBatchBytes, cuda ? 1u : 0u, "",
                   "nothing: larger batches go in several trips (taken with a GPU only)"});
  table.push_back({"representatives", "sketch.representatives_max", kRepresentativeBytes,
                   Of(config.sketch.representatives_max), "", "the weakest cluster is forgotten"});
  table.push_back({"account profiles", "detect.profiles_max", kProfileBytes,
                   Of(config.detect.profiles_max), "profile.evicted",
                   "the quietest account is forgotten"});
  const pipeline::Tunables tunables;
  table.push_back({"shared prompt fragments", "", kSharedFragmentBytes, tunables.fragment_rows_max, "shingle.evicted",
                   "the least used fragment is forgotten"});
  table.push_back({"prompt fragments of one", "", kDoorkeeperBytes, tunables.doorkeeper_rows,
                   "shingle.doorkeeper_replaced", "a fragment's first owner is forgotten"});
  table.push_back({"what moves between accounts", "", kMigrationBytes, tunables.migration_rows_max, "migration.rows_replaced",
                   "the oldest id or conversation has no owner any more"});
  table.push_back({"pairs with migrations", "", kMigrationPairBytes, tunables.migration_rows_max / 16, "migration.pairs_dropped",
                   "the pair that was quiet longest is forgotten"});
  table.push_back({"semantic clusters", "", kClusterBytes, tunables.cluster_rows_max, "cluster.evicted",
                   "those that the fewest owners use are forgotten"});
  if (!config.detect.resellers.empty()) {
    table.push_back({"resellers' end users", "detect.end_users_max", pipeline::EndUsers::kRowBytes, config.detect.resellers.size() * Of(config.detect.end_users_max),
                     "end_users.over", "new ones stay their reseller's account"});
  }
  if (!config.sharing.partners.empty()) {
    table.push_back({"fragments under partners' keys", "", pipeline::PartnerFragments::kRowBytes, pipeline::PartnerFragments::kRows, "",
                     "a core that was quiet longest is not exported"});
  }
  if (live && config.snapshot.interval_s != 0) {
    table.push_back({"accounts in a snapshot", "detect.profiles_max", kProfileBytes, Of(config.detect.profiles_max),
                     "snapshot.deferred", "nothing: a copy that lives until it is written"});
    table.push_back({"fragments in a snapshot", "", kSharedFragmentBytes + kRegistersBytes + kDoorkeeperBytes * 4,
                     tunables.fragment_rows_max, "snapshot.deferred", "the same"});
    table.push_back({"migrations in a snapshot", "", kMigrationBytes, tunables.migration_rows_max, "snapshot.deferred", "the same"});
    table.push_back({"clusters in a snapshot", "", kClusterBytes, tunables.cluster_rows_max, "snapshot.deferred", "the same"});
  }
  return table;
}

uint64_t TotalBytes(const std::vector<MemoryPool>& table) {
  uint64_t total = 0;
  for (const MemoryPool& pool : table) total += pool.bytes();
  return total;
}

Status CheckMemory(const config::Config& config) {
  const std::vector<MemoryPool> table = MemoryTable(config);
  const uint64_t need_mib = (TotalBytes(table) + kMib - 1) / kMib;
  if (need_mib <= Of(config.memory.max_mib)) return {};
  const MemoryPool& largest = *std::max_element(
      table.begin(), table.end(), [](const MemoryPool& a, const MemoryPool& b) { return a.bytes() < b.bytes(); });
  return Error{"memory.max_mib: the configured pools add up to " + std::to_string(need_mib) + " MiB, the limit is " +
               std::to_string(config.memory.max_mib) + "; raise it, or lower the largest pool: " +
               std::string(largest.key.empty() ? largest.name : largest.key) + ", " +
               std::to_string(largest.bytes() / kMib) + " MiB"};
}

// The salt changes no size.
Status CheckDeviceBudget(const config::Config& config) {
  if (config.sketch.gpu == "cpu") return {};
  return gpu::CheckDeviceBudget(BackendOptionsOf(config, Secrets{}));
}

std::string DeviceMemoryText(const config::Config& config) {
  if (config.sketch.gpu == "cpu") return {};
  const Result<gpu::DeviceMemory> memory = gpu::DeviceMemoryFor(BackendOptionsOf(config, Secrets{}));
  if (!memory.ok()) return {};
  const auto mib = [](uint64_t bytes) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", static_cast<double>(bytes) / kMib);
    return std::string(text);
  };
  const gpu::DeviceMemory& needed = memory.value();
  return "A GPU's own memory, where one is used, is not in it: " + mib(needed.all()) + " MiB, taken once at the start (" +
         mib(needed.window) + " window, " + mib(needed.representatives) + " representatives, " + mib(needed.fixed) +
         " fixed). sketch.device_mib is its budget.\n";
}

std::string PrintMemoryTable(const std::vector<MemoryPool>& table) {
  char line[256];
  std::snprintf(line, sizeof line, "%-24s %10s %10s %9s  %-30s %-28s %s\n", "pool", "bytes each",
                "count", "MiB", "key", "counter when empty", "what degrades then");
  std::string out = line;
  for (const MemoryPool& pool : table) {
    std::snprintf(line, sizeof line, "%-24s %10lu %10lu %9.1f  %-30s %-28s %s\n", pool.name.data(),
                  pool.bytes_each, pool.count, static_cast<double>(pool.bytes()) / kMib,
                  pool.key.data(), pool.counter.empty() ? "-" : pool.counter.data(),
                  pool.degrades.data());
    out += line;
  }
  std::snprintf(line, sizeof line, "%-24s %10s %10s %9.1f\n", "in all", "", "",
                static_cast<double>(TotalBytes(table)) / kMib);
  return out + line;
}

std::string MemoryMarkdown(const config::Config& config) {
  std::string out =
      "# Memory\n\n"
      "Every pool of a live box with the default configuration. All are taken at start; what was never used costs address\n"
      "space only. `run` and `replay` refuse a configuration whose pools add up to more than `memory.max_mib`;\n"
      "`stillwatch doctor` prints this table for yours. Printed by `stillwatch memory-reference`; a test compares them.\n\n"
      "| pool | bytes each | count | MiB | key | counter when empty | what degrades then |\n|---|---|---|---|---|---|---|\n";
  const std::vector<MemoryPool> table = MemoryTable(config);
  const auto code = [](std::string_view text) { return text.empty() ? std::string() : std::string("`").append(text) + "`"; };
  const auto mib = [](uint64_t bytes) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", static_cast<double>(bytes) / kMib);
    return std::string(text);
  };
  for (const MemoryPool& pool : table) {
    out += "| " + std::string(pool.name) + " | " + std::to_string(pool.bytes_each) + " | " + std::to_string(pool.count) +
           " | " + mib(pool.bytes()) + " | " + code(pool.key) + " | " + code(pool.counter) + " | " +
           std::string(pool.degrades) + " |\n";
  }
  return out + "| in all | | | " + mib(TotalBytes(table)) + " | `memory.max_mib` | | |\n\n" + DeviceMemoryText(config);
}

}  // namespace stillwatch
