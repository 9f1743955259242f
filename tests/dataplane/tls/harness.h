// A captured TLS connection as pieces in order of arrival, and one TlsConnection fed with them.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "dataplane/port/capture_file.h"
#include "dataplane/tls/tls_connection.h"
#include "dataplane/worker.h"
#include "tests/dataplane/null_http.h"
#include "tests/dataplane/stream_capture.h"

namespace stillwatch::testing {

inline const std::filesystem::path kKeyLogData = STILLWATCH_SOURCE_DIR "/tests/data/tls-keylog";

inline std::string CaptureIn(const std::filesystem::path& folder) {
  return folder / (std::filesystem::exists(folder / "input.pcap") ? "input.pcap" : "input.pcapng");
}

inline std::vector<dataplane::SessionSecret> SecretsIn(const std::filesystem::path& folder) {
  std::vector<dataplane::SessionSecret> secrets;
  std::ifstream file(folder / "keylog.txt");
  for (std::string line; std::getline(file, line);) {
    dataplane::SessionSecret secret;
    if (dataplane::ParseKeyLogLine(line, &secret) == dataplane::KeyLogLine::kSecret) secrets.push_back(secret);
  }
  return secrets;
}

struct Piece {
  bool from_client;
  std::string bytes;
};

// Of the first connection of a capture.
inline std::vector<Piece> PiecesOf(const std::string& case_name) {
  class Keeper final : public dataplane::StreamObserver {
   public:
    void OnStreamBytes(const dataplane::StreamContext& at, bool from_client, uint64_t, Bytes data) override {
      if (flow_ == 0) flow_ = at.flow_id;
      if (at.flow_id == flow_ && !data.empty()) pieces.push_back({from_client, std::string(AsText(data))});
    }
    void OnStreamEnd(const dataplane::StreamContext&, bool) override {}
    std::vector<Piece> pieces;

   private:
    uint64_t flow_ = 0;
  };
  Keeper keeper;
  NullHttp http;
  NullOutput output;
  dataplane::WorkerOptions options;
  options.flows_max = 64;
  options.ignore_checksums = true;
  const std::vector<std::string> paths = {CaptureIn(kKeyLogData / case_name)};
  auto port = dataplane::OpenCaptures(paths);
  const auto worker = dataplane::MakeWorker(options, &http, &output, &keeper);
  ReplayInto(port.value().get(), worker.get());
  return keeper.pieces;
}

// Takes at most `step` bytes of content a call, then stops once.
class ContentKeeper final : public dataplane::TlsSink {
 public:
  size_t OnTlsContent(bool from_client, Bytes data) override {
    if (stop_next_) {
      stop_next_ = false;
      return 0;
    }
    const size_t take = std::min(data.size(), step);
    content[from_client ? 0 : 1] += AsText(data.first(take));
    stop_next_ = take < data.size();
    return take;
  }
  void OnTlsEnd(bool from_client, bool was_lost) override {
    ++ends[from_client ? 0 : 1];
    lost[from_client ? 0 : 1] = was_lost;
  }
  size_t step = SIZE_MAX;
  std::string content[2];
  int ends[2] = {};
  bool lost[2] = {};

 private:
  bool stop_next_ = false;
};

class TlsHarness {
 public:
  explicit TlsHarness(dataplane::TlsOptions options = {}) : ring_(1'024), core_(WithRing(options), Salt{}, nullptr) {
    connection_ = core_.Open();
  }
  ~TlsHarness() {
    if (connection_ != nullptr) core_.Close(connection_);
  }
  void Give(const std::vector<dataplane::SessionSecret>& secrets) {
    for (const auto& secret : secrets) ring_.Push(secret);
    core_.Poll(at.time_ns);
  }
  void Feed(bool from_client, std::string_view bytes) {
    Bytes left = AsBytes(bytes);
    while (!left.empty()) {
      const size_t used = connection_->Feed(at, from_client, left, &sink);
      left = left.subspan(used);
    }
  }
  void Feed(const std::vector<Piece>& pieces) {
    for (const Piece& piece : pieces) Feed(piece.from_client, piece.bytes);
  }
  void Retry(bool last = false) {
    while (!connection_->Retry(at, last, &sink)) {
    }
  }
  uint64_t Counter(dataplane::TlsCounter counter) const { return core_.counters.Get(counter); }
  dataplane::TlsConnection& connection() { return *connection_; }
  dataplane::TlsCore& core() { return core_; }
  void Close() {
    core_.Close(connection_);
    connection_ = nullptr;
  }

  dataplane::StreamContext at;
  ContentKeeper sink;

 private:
  dataplane::TlsOptions WithRing(dataplane::TlsOptions options) {
    options.secrets = &ring_;
    options.connections_max = 4;
    options.buffers_max = std::min(options.buffers_max, 8u);
    options.secrets_max = 64;
    return options;
  }
  dataplane::SecretRing ring_;
  dataplane::TlsCore core_;
  dataplane::TlsConnection* connection_;
};

}  // namespace stillwatch::testing
