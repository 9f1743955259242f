// Captures whose secrets are known: the application bytes of each connection against what tshark decrypted, and the
// number of records against the source's own. What differs stands in tests/data/tls/plaintext_exceptions.tsv with the
// reason, and must stay an exception.
#include <fstream>
#include <map>
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "dataplane/tls/key_feed.h"
#include "tests/dataplane/tls/harness.h"

namespace stillwatch::testing {
namespace {

namespace fs = std::filesystem;
using dataplane::StreamContext;

class Contents final : public dataplane::TlsObserver {
 public:
  void OnClientHello(const StreamContext&, const dataplane::ClientHello&, std::string_view, std::string_view) override {}
  void OnServerHello(const StreamContext&, const dataplane::ServerHello&, std::string_view) override {}
  void OnTlsContent(const StreamContext& at, bool from_client, Bytes data) override {
    const std::string name = AddressText(at.client) + " " + std::to_string(at.client_port) + " " +
                             AddressText(at.server) + " " + std::to_string(at.server_port);
    connections[name][from_client ? 0 : 1] += AsText(data);
  }
  std::map<std::string, std::array<std::string, 2>> connections;
};

std::string Sha256(const std::string& bytes) {
  uint8_t digest[32];
  EVP_Digest(bytes.data(), bytes.size(), digest, nullptr, EVP_sha256(), nullptr);
  return bytes.empty() ? "" : HexOf(Bytes(digest, sizeof digest));
}

struct Seen {
  Contents contents;
  std::map<std::string, uint64_t> counters;
};

void Replay(const fs::path& folder, Seen* seen) {
  const auto keys = dataplane::KeyFeed::ReadFile(folder / "keylog.txt", 1);
  ASSERT_TRUE(keys.ok());
  dataplane::WorkerOptions options;
  options.flows_max = 64;
  options.ignore_checksums = true;
  options.tls.secrets = keys.value()->ring(0);
  NullHttp http;
  NullOutput output;
  const std::vector<std::string> paths = {CaptureIn(folder)};
  auto port = dataplane::OpenCaptures(paths);
  ASSERT_TRUE(port.ok()) << port.message();
  const auto worker = dataplane::MakeWorker(options, &http, &output, nullptr, &seen->contents);
  CounterRegistry registry;
  worker->RegisterCounters(&registry);
  ReplayInto(port.value().get(), worker.get());
  seen->counters = registry.Snapshot();
}

std::map<std::string, std::string> ReadExceptions() {
  std::map<std::string, std::string> out;
  std::ifstream file(STILLWATCH_SOURCE_DIR "/tests/data/tls/plaintext_exceptions.tsv");
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    const size_t tab = line.find('\t');
    EXPECT_LT(tab + 1, line.size()) << line;
    out[line.substr(0, tab)] = line.substr(tab + 1);
  }
  return out;
}

TEST(KeyLogCaptures, ContentIsAsOthersDecryptIt) {
  auto exceptions = ReadExceptions();
  size_t connections = 0, alike = 0, cases = 0;
  for (const auto& entry : fs::directory_iterator(kKeyLogData)) {
    if (!entry.is_directory()) continue;
    const std::string name = entry.path().filename();
    ++cases;
    Seen seen;
    Replay(entry.path(), &seen);
    for (const auto& want : ReadCsv(entry.path() / "plaintext.csv")) {
      ++connections;
      const std::string key = want.at("client") + " " + want.at("cport") + " " + want.at("server") + " " + want.at("sport");
      const auto& got = seen.contents.connections[key];
      const bool same = std::to_string(got[0].size()) == want.at("client_bytes") &&
                        std::to_string(got[1].size()) == want.at("server_bytes") &&
                        Sha256(got[0]) == want.at("client_sha256") && Sha256(got[1]) == want.at("server_sha256");
      alike += same;
      if (same || exceptions.erase(name) != 0) continue;
      std::string counters;
      for (const auto& [counter, value] : seen.counters) {
        if (counter.starts_with("tls.") && value != 0) counters += " " + counter + "=" + std::to_string(value);
      }
      ADD_FAILURE() << name << " " << key << ": " << got[0].size() << " and " << got[1].size() << " bytes for "
                    << want.at("client_bytes") << " and " << want.at("server_bytes") << ";" << counters;
    }
    // What cannot be decrypted says so.
    EXPECT_TRUE(seen.counters["tls.decrypted"] != 0 || seen.counters["tls.suite_refused"] != 0) << name;
    EXPECT_EQ(seen.counters["tls.bad_tag"] + seen.counters["tls.record_malformed"], 0u) << name;
  }
  for (const auto& [name, reason] : exceptions) ADD_FAILURE() << "no exception any more: " << name << ": " << reason;
  EXPECT_GE(cases, 66u);
  std::printf("MEASURED tls content: %zu of %zu connections as tshark decrypts them\n", alike, connections);
}

// The source counts its decrypted records; tshark 4.0.17 cannot decrypt ARIA.
TEST(KeyLogCaptures, AriaRecordsOpen) {
  size_t cases = 0;
  for (const auto& entry : fs::directory_iterator(kKeyLogData)) {
    if (!entry.is_directory() || entry.path().string().find("ARIA") == std::string::npos) continue;
    Seen seen;
    Replay(entry.path(), &seen);
    std::ifstream file(entry.path() / "case.json");
    const nlohmann::json about = nlohmann::json::parse(file);
    EXPECT_EQ(seen.counters["tls.records_opened"],
              about["source_expectation"]["decrypted_records_count"].get<uint64_t>())
        << entry.path();
    ++cases;
  }
  EXPECT_EQ(cases, 4u);
}

}  // namespace
}  // namespace stillwatch::testing
