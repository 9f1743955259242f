// libFuzzer target of the hello parsers and the record layer; tls_corpus_test replays the corpus through the same
// function.
//
// Input: records of one command byte, two length bytes (big-endian) and that many bytes. The command's low bits say
// what: feed the client's or the server's side, a gap, an end, traffic time, a secret (key log line). The whole input is
// played in records and byte by byte with a sink that stops: both must hand on the same content, and every buffer and
// key must come back.
#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/endian.h"
#include "dataplane/tls/tls_connection.h"
#include "tests/fuzz/target.h"

namespace stillwatch::dataplane {
namespace {

using fuzz::Require;

class Sink final : public TlsSink {
 public:
  explicit Sink(size_t step) : step_(step) {}
  size_t OnTlsContent(bool from_client, Bytes data) override {
    stopped_ = !stopped_ && step_ != SIZE_MAX;
    if (stopped_) return 0;
    const size_t take = std::min(step_, data.size());
    content[from_client ? 0 : 1] += AsText(data.first(take));
    return take;
  }
  void OnTlsEnd(bool from_client, bool) override { Require(++ends_[from_client ? 0 : 1] == 1); }
  std::string content[2];

 private:
  const size_t step_;
  bool stopped_ = false;
  int ends_[2] = {};
};

class Observer final : public TlsObserver {
 public:
  void OnClientHello(const StreamContext&, const ClientHello& hello, std::string_view ja3, std::string_view ja4) override {
    log.append(hello.sni).append(ja3).append(ja4).append("\n");
    ForEachAlpn(hello.alpn, [&](std::string_view name) { log.append(name); });
  }
  void OnServerHello(const StreamContext&, const ServerHello& hello, std::string_view ja3s) override {
    log.append(ja3s).append(hello.alpn).append("\n");
  }
  void OnTlsContent(const StreamContext&, bool, Bytes) override {}
  std::string log;
};

std::string PlayTls(Bytes data, bool bytewise) {
  SecretRing ring(64);
  TlsOptions options;
  options.secrets = !data.empty() && (data[0] & 0x80) != 0 ? nullptr : &ring;
  options.connections_max = 2;
  options.buffers_max = 4;
  options.secrets_max = 8;
  options.secret_ttl_ns = 60 * kNsPerSecond;
  options.secret_wait_ns = 10 * kNsPerSecond;
  options.wait_bytes_max = 64u << 10;
  Observer observer;
  TlsCore core(options, Salt{}, &observer);
  TlsConnection* const connection = core.Open();
  Sink sink(bytewise ? 7 : SIZE_MAX);
  StreamContext at;
  for (size_t i = 0; i + 3 <= data.size();) {
    const uint8_t command = data[i];
    const size_t length = std::min<size_t>(LoadBe16(&data[i + 1]), data.size() - i - 3);
    const Bytes bytes = data.subspan(i + 3, length);
    i += 3 + length;
    const bool from_client = (command & 1) == 0;
    switch (command >> 1 & 7) {
      default:
        for (Bytes left = bytes; !left.empty();) {
          const Bytes piece = bytewise ? left.first(1) : left;
          left = left.subspan(connection->Feed(at, from_client, piece, &sink));
        }
        break;
      case 4: connection->Gap(at, from_client, &sink); break;
      case 5: connection->End(at, from_client, &sink); break;
      case 6:
        at.time_ns += static_cast<int64_t>(length) * kNsPerSecond;
        core.Expire(at.time_ns);
        while (!connection->Retry(at, false, &sink)) {
        }
        break;
      case 7: {
        SessionSecret secret;
        if (ParseKeyLogLine(AsText(bytes), &secret) == KeyLogLine::kSecret) ring.Push(secret);
        core.Poll(at.time_ns);
        break;
      }
    }
  }
  while (!connection->Retry(at, true, &sink)) {
  }
  Require(!connection->waiting());
  core.Close(connection);
  Require(core.buffers.taken() == 0);
  if (core.decrypts()) Require(core.keys->taken() == 0 && core.waiting->bytes_taken() == 0);
  return sink.content[0] + "|" + sink.content[1] + "|" + observer.log;
}

}  // namespace
}  // namespace stillwatch::dataplane

std::string stillwatch::fuzz::Play(Bytes input) {
  using namespace stillwatch::dataplane;
  const std::string whole = PlayTls(input, false);
  Require(whole == PlayTls(input, true));
  return whole;
}
