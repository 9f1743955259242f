#include "tools/stillwatch/memory_table.h"

#include <algorithm>
#include <cstdio>

#include "dataplane/engine/stream_item.h"
#include "dataplane/llm/flow_record.h"
#include "dataplane/tls/tls_connection.h"

namespace stillwatch {

namespace {

constexpr uint64_t kKib = 1024, kMib = 1024 * kKib;
constexpr uint64_t kFlowBytes = 512;  // the flow table's bound for an idle flow
constexpr uint64_t kParserBytes =
    1 * kKib + 2 * 4 * kKib;           // one HTTP connection and a small message head each way
constexpr uint64_t kLargeHeads = 512;  // messages at one time whose head is larger, a worker
constexpr uint64_t kDecoderBytes = 48 * kKib;   // inflate's window and state
constexpr uint64_t kMbufHeader = 192;           // what DPDK keeps before the bytes of a buffer
constexpr uint64_t kRepresentativeBytes = 160;  // an embedding and its account's place
constexpr uint64_t kProfileBytes = 4 * kKib;

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
                   workers * Of(config.threads.forwarder_ring_frames), "engine.worker_ring_full",
                   "frames are forwarded and not looked at"});
  table.push_back({"records to detection", "threads.exchange_ring_mib", kMib,
                   Of(config.threads.exchange_ring_mib), "engine.exchange_dropped",
                   "exchanges are not judged"});
  table.push_back({"flows", "flow.flows_max", kFlowBytes, Of(config.flow.flows_max), "flow.evicted",
                   "the oldest flow is given up"});
  table.push_back({"out-of-order bytes", "flow.reassembly_mib", kMib,
                   Of(config.flow.reassembly_mib), "tcp.reassembly_full", "holes are given up"});
  table.push_back({"HTTP parsers", "http.parsers_max", kParserBytes, Of(config.http.parsers_max),
                   "flow.parser_pool_empty", "flows are not decoded"});
  table.push_back({"large message heads", "http.header_kib", Of(config.http.header_kib) * kKib,
                   kLargeHeads * workers, "http.head_buffers_empty", "messages are not decoded"});
  table.push_back({"decompressors", "http.decoders_max", kDecoderBytes,
                   Of(config.http.decoders_max), "http.decoders_empty",
                   "compressed bodies are not read"});
  table.push_back({"TLS connections", "tls.connections_max", sizeof(dataplane::TlsConnection) + sizeof(dataplane::TlsKeys),
                   Of(config.tls.connections_max), "tls.connections_empty", "hellos are not read, flows not decrypted"});
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
  table.push_back({"similarity window", "sketch.window_mib", kMib, Of(config.sketch.window_mib), "",
                   "older prompts are compared no more"});
  table.push_back({"representatives", "sketch.representatives_max", kRepresentativeBytes,
                   Of(config.sketch.representatives_max), "", "the weakest cluster is forgotten"});
  table.push_back({"account profiles", "detect.profiles_max", kProfileBytes,
                   Of(config.detect.profiles_max), "profile.evicted",
                   "the quietest account is forgotten"});
  return table;
}

uint64_t TotalBytes(const std::vector<MemoryPool>& table) {
  uint64_t total = 0;
  for (const MemoryPool& pool : table) total += pool.bytes();
  return total;
}

std::string PrintMemoryTable(const std::vector<MemoryPool>& table) {
  char line[256];
  std::snprintf(line, sizeof line, "%-22s %10s %10s %9s  %-30s %-28s %s\n", "pool", "bytes each",
                "count", "MiB", "key", "counter when empty", "what degrades then");
  std::string out = line;
  for (const MemoryPool& pool : table) {
    std::snprintf(line, sizeof line, "%-22s %10lu %10lu %9.1f  %-30s %-28s %s\n", pool.name.data(),
                  pool.bytes_each, pool.count, static_cast<double>(pool.bytes()) / kMib,
                  pool.key.data(), pool.counter.empty() ? "-" : pool.counter.data(),
                  pool.degrades.data());
    out += line;
  }
  std::snprintf(line, sizeof line, "%-22s %10s %10s %9.1f\n", "in all", "", "",
                static_cast<double>(TotalBytes(table)) / kMib);
  return out + line;
}

}  // namespace stillwatch
