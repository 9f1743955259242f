// Replays a capture through one worker and keeps what the observers saw. For tests against expectations.
#pragma once

#include <arpa/inet.h>
#include <openssl/evp.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "dataplane/port/capture_file.h"
#include "dataplane/worker.h"
#include "tests/dataplane/csv.h"

namespace stillwatch::testing {

inline std::string AddressText(const dataplane::ClientAddress& address) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(address.length == 4 ? AF_INET : AF_INET6, address.bytes, text, sizeof text);
  return text;
}

// Feeds every frame with ticks each 100 ms of traffic time, as the engine does.
inline void ReplayInto(dataplane::Port* port, dataplane::Worker* worker) {
  using namespace dataplane;
  constexpr int64_t kTickNs = 100'000'000;
  Frame frames[kBurstMax];
  int64_t next_tick = 0, now = 0;
  uint64_t number = 0;
  while (!port->at_end()) {
    const size_t count = port->Receive(frames);
    for (size_t i = 0; i < count; ++i) {
      now = frames[i].time_ns;
      number = frames[i].number;
      if (now >= next_tick) {
        worker->Tick(number, now);
        next_tick = now - now % kTickNs + kTickNs;
      }
      for (LookResult more = worker->Look(frames[i]); more == LookResult::kMore; more = worker->Continue()) {
      }
    }
    port->Release({frames, count});
  }
  worker->Finish(number + 1, now);
}

// One direction's digest.
struct StreamSeen {
  dataplane::ClientAddress client, server;
  uint16_t client_port, server_port;
  uint64_t bytes[2] = {}, gaps[2] = {};
  std::string sha256[2];
  uint64_t bytes_to_gap[2] = {};      // before the first hole
  std::string sha256_to_gap[2];       // "" without a hole
};

// Collects all TCP directions in order of first byte (flows without payload in order of their end).
class StreamCollector final : public dataplane::StreamObserver {
 public:
  ~StreamCollector() override {
    for (auto& [id, open] : open_) {
      for (EVP_MD_CTX* digest : open.digest) EVP_MD_CTX_free(digest);
    }
  }
  void OnStreamBytes(const dataplane::StreamContext& at, bool from_client, uint64_t skipped, Bytes data) override {
    Open& open = OpenOf(at);
    StreamSeen& seen = flows_[open.index];
    const int side = from_client ? 0 : 1;
    if (skipped != 0 && seen.gaps[side] == 0) {
      EVP_MD_CTX* so_far = EVP_MD_CTX_new();
      EVP_MD_CTX_copy_ex(so_far, open.digest[side]);
      seen.bytes_to_gap[side] = seen.bytes[side];
      seen.sha256_to_gap[side] = Finish(so_far);
      EVP_MD_CTX_free(so_far);
    }
    seen.gaps[side] += skipped;
    seen.bytes[side] += data.size();
    EVP_DigestUpdate(open.digest[side], data.data(), data.size());
  }
  void OnStreamEnd(const dataplane::StreamContext& at, bool from_client) override {
    Open& open = OpenOf(at);
    const int side = from_client ? 0 : 1;
    flows_[open.index].sha256[side] = Finish(open.digest[side]);
  }
  const std::vector<StreamSeen>& flows() const { return flows_; }

 private:
  struct Open {
    size_t index;
    EVP_MD_CTX* digest[2];
  };
  static std::string Finish(EVP_MD_CTX* context) {
    uint8_t digest[32];
    unsigned size = 0;
    EVP_DigestFinal_ex(context, digest, &size);
    return HexOf(Bytes(digest, size));
  }
  Open& OpenOf(const dataplane::StreamContext& at) {
    const auto [entry, fresh] = open_.try_emplace(at.flow_id);
    if (fresh) {
      entry->second.index = flows_.size();
      flows_.push_back({at.client, at.server, at.client_port, at.server_port, {}, {}, {}, {}, {}});
      for (EVP_MD_CTX*& digest : entry->second.digest) {
        digest = EVP_MD_CTX_new();
        EVP_DigestInit_ex(digest, EVP_sha256(), nullptr);
      }
    }
    return entry->second;
  }
  std::map<uint64_t, Open> open_;
  std::vector<StreamSeen> flows_;
};

}  // namespace stillwatch::testing
