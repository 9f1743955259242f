// TLS through the whole worker: late secrets with nobody sending any more, lost segments, fingerprints in records, HTTP
// inside with a spent budget.
#include <gtest/gtest.h>

#include "base/clock.h"
#include "tests/dataplane/frame_builder.h"
#include "tests/dataplane/null_http.h"
#include "tests/dataplane/tls/harness.h"

namespace stillwatch::testing {
namespace {

using namespace dataplane;

constexpr char kTls13[] = "snet-TLSv1_3_AES_256_GCM_SHA384";
constexpr char kHttp[] = "hotplace-curl_http1_tls12";

class Contents final : public TlsObserver {
 public:
  void OnClientHello(const StreamContext&, const ClientHello&, std::string_view, std::string_view) override {}
  void OnServerHello(const StreamContext&, const ServerHello&, std::string_view) override {}
  void OnTlsContent(const StreamContext&, bool from_client, Bytes data) override {
    bytes[from_client ? 0 : 1] += AsText(data);
  }
  std::string bytes[2];
};

class Requests final : public HttpObserver {
 public:
  Handle OnRequestHead(const StreamContext& at, uint64_t, const HttpRequestHead& head) override {
    ja4_hash = at.ja4_hash;
    target = head.target;
    return this;
  }
  void OnRequestBody(const StreamContext&, Handle, Bytes) override {}
  void OnRequestEnd(const StreamContext&, Handle) override {}
  Handle OnResponseHead(const StreamContext&, Handle, uint64_t, const HttpResponseHead& head) override {
    status = head.status;
    return this;
  }
  void OnResponseBody(const StreamContext&, Handle, Bytes data) override { body += AsText(data); }
  void OnTransactionEnd(const StreamContext&, Handle, HttpEnd, const HttpTransactionInfo& last) override {
    ++ended;
    info = last;
  }
  std::string target, body;
  uint64_t ja4_hash = 0;
  int status = 0, ended = 0;
  HttpTransactionInfo info;
};

class Records final : public WorkerOutput {
 public:
  void OnExchange(const ExchangeView&) override {}
  void OnFlowRecord(const FlowRecord& record) override { records.push_back(record); }
  std::vector<FlowRecord> records;
};

// One worker over one capture, packet by packet.
struct Playing {
  explicit Playing(const std::string& name, int64_t secret_wait_ns, bool decrypts = true) : ring(256), folder(kKeyLogData / name) {
    WorkerOptions options;
    options.flows_max = 64;
    options.ignore_checksums = true;
    options.tls.secrets = decrypts ? &ring : nullptr;
    options.tls.secret_wait_ns = secret_wait_ns;
    worker = MakeWorker(options, &http, &output, nullptr, &contents);
    worker->RegisterCounters(&registry);
  }
  void GiveSecrets() {
    for (const SessionSecret& secret : SecretsIn(folder)) ring.Push(secret);
  }
  // `skip`: a packet that is lost.
  void Play(uint64_t skip = 0) {
    const std::vector<std::string> paths = {CaptureIn(folder)};
    auto port = OpenCaptures(paths);
    Frame frames[kBurstMax];
    while (!port.value()->at_end()) {
      const size_t count = port.value()->Receive(frames);
      for (size_t i = 0; i < count; ++i) {
        number = frames[i].number;
        now_ns = frames[i].time_ns;
        if (number == skip) continue;
        for (LookResult more = worker->Look(frames[i]); more == LookResult::kMore; more = worker->Continue()) {
        }
      }
      port.value()->Release({frames, count});
    }
  }
  void Wait(int64_t ns) {
    for (const int64_t until = now_ns + ns; now_ns < until;) {
      now_ns = std::min(until, now_ns + 100 * kNsPerMs);
      worker->Tick(number + 1, now_ns);
    }
  }
  void Finish() { worker->Finish(number + 1, now_ns); }
  uint64_t Counter(const std::string& name) const { return registry.Snapshot().at(name); }

  SecretRing ring;
  const std::filesystem::path folder;
  Requests http;
  Records output;
  Contents contents;
  CounterRegistry registry;
  std::unique_ptr<Worker> worker;
  uint64_t number = 0;
  int64_t now_ns = 0;
};

TEST(WorkerTls, RequestsInsideAreReadWithTheirFingerprint) {
  Playing run(kHttp, 0);
  run.GiveSecrets();
  run.Play();
  run.Finish();
  EXPECT_EQ(run.http.target, "/");
  EXPECT_EQ(run.http.status, 200);
  EXPECT_EQ(run.http.ended, 1);
  EXPECT_NE(run.http.ja4_hash, 0u);
  ASSERT_FALSE(run.output.records.empty());
  EXPECT_EQ(run.output.records.back().ja4_hash, run.http.ja4_hash);
  EXPECT_EQ(run.output.records.back().exchanges, 1u);
  EXPECT_EQ(run.Counter("tls.decrypted"), 1u);
}

// A ClientHello record with these extensions.
std::string Hello(const std::string& extensions) {
  const auto length = [](size_t bytes, int octets) {
    std::string out;
    for (int i = octets - 1; i >= 0; --i) out += static_cast<char>(bytes >> (8 * i));
    return out;
  };
  std::string body("\x03\x03", 2);
  body += std::string(32, 'r') + std::string("\0\0\x02\x13\x01\x01\0", 7) + length(extensions.size(), 2) + extensions;
  const std::string message = '\1' + length(body.size(), 3) + body;
  return std::string("\x16\x03\x01", 3) + length(message.size(), 2) + message;
}

TEST(WorkerTls, AnEncryptedHelloAndEarlyDataAreNoticed) {
  const std::string ech = std::string("\xfe\x0d\0\x0a", 4) + std::string("\0\0\x01\0\x01\x07\0\0\0\0", 10), early_data("\0\x2a\0\0", 4);
  for (const bool with_ech : {false, true}) {
    for (const bool with_early_data : {false, true}) {
      NullHttp http;
      Records output;
      WorkerOptions options;
      options.flows_max = 64;
      const auto worker = MakeWorker(options, &http, &output);
      CounterRegistry registry;
      worker->RegisterCounters(&registry);
      const std::string hello = Hello((with_ech ? ech : "") + (with_early_data ? early_data : ""));
      const std::vector<uint8_t> syn = BuildFrame({.dst_port = 443, .seq = 9, .flags = 2});
      const std::vector<uint8_t> segment = BuildFrame({.dst_port = 443, .seq = 10, .ack = 1, .payload = hello});
      uint64_t number = 0;
      for (const auto* bytes : {&syn, &segment}) {
        worker->Look({*bytes, static_cast<uint32_t>(bytes->size()), 0, ++number, 1'700'000'000 * kNsPerSecond});
      }
      worker->Finish(number + 1, 1'700'000'001 * kNsPerSecond);
      EXPECT_EQ(registry.Snapshot().at("tls.client_hellos"), 1u);
      EXPECT_EQ(registry.Snapshot().at("tls.ech"), with_ech ? 1u : 0u);
      EXPECT_EQ(registry.Snapshot().at("tls.early_data"), with_early_data ? 1u : 0u);
    }
  }
}

TEST(WorkerTls, BlindFlowsCarryTheFingerprintAndNoState) {
  Playing sighted(kHttp, 0);
  sighted.GiveSecrets();
  sighted.Play();
  sighted.Finish();
  Playing run(kHttp, 0, false);
  run.Play();
  run.Finish();
  EXPECT_EQ(run.contents.bytes[0], "");
  ASSERT_FALSE(run.output.records.empty());
  EXPECT_EQ(run.output.records.back().ja4_hash, sighted.http.ja4_hash);
  // The same records, whether they are opened or not.
  ASSERT_EQ(run.output.records.size(), sighted.output.records.size());
  const FlowRecord& blind = run.output.records.back();
  const FlowRecord& open = sighted.output.records.back();
  ASSERT_EQ(blind.steps_count, open.steps_count);
  for (uint32_t i = 0; i < blind.steps_count; ++i) {
    EXPECT_EQ(blind.steps[i].size_bytes, open.steps[i].size_bytes);
    EXPECT_EQ(blind.steps[i].gap_us, open.steps[i].gap_us);
  }
}

// The secret comes when the connection is silent already: ticks look for it.
TEST(WorkerTls, ALateSecretNeedsNoFurtherPacket) {
  Playing early(kTls13, 0);
  early.GiveSecrets();
  early.Play();
  Playing late(kTls13, 600 * kNsPerSecond);
  late.Play(0);
  EXPECT_EQ(late.contents.bytes[0], "");
  late.Wait(3 * kNsPerSecond);
  late.GiveSecrets();
  late.Wait(2 * kNsPerSecond);
  late.Finish();
  EXPECT_NE(late.contents.bytes[0], "");
  EXPECT_EQ(late.contents.bytes[0], early.contents.bytes[0]);
  EXPECT_EQ(late.contents.bytes[1], early.contents.bytes[1]);
  EXPECT_EQ(late.Counter("tls.secret_late"), 1u);
}

TEST(WorkerTls, ASecretThatNeverComesIsCountedOnce) {
  Playing run(kTls13, 10 * kNsPerSecond);
  run.Play();
  run.Wait(20 * kNsPerSecond);
  run.Finish();
  EXPECT_EQ(run.Counter("tls.secret_never"), 1u);
  EXPECT_EQ(run.Counter("tls.decrypted"), 0u);
  EXPECT_EQ(run.Counter("flow.tls"), 1u);
}

// Each packet lost in turn: no wrong byte, and what is lost behind the hellos is counted.
TEST(WorkerTls, AnyLostPacketGivesABeginning) {
  Playing whole(kHttp, 0);
  whole.GiveSecrets();
  whole.Play();
  whole.Finish();
  uint64_t gaps = 0;
  for (uint64_t skip = 1; skip <= whole.number; ++skip) {
    Playing run(kHttp, 0);
    run.GiveSecrets();
    run.Play(skip);
    run.Finish();
    for (int side = 0; side < 2; ++side) {
      const std::string& got = run.contents.bytes[side];
      EXPECT_EQ(got, whole.contents.bytes[side].substr(0, got.size())) << "packet " << skip << " lost";
    }
    gaps += run.Counter("tls.gap") + run.Counter("tls.hello_lost");
    EXPECT_EQ(run.Counter("tls.bad_tag"), 0u) << "packet " << skip << " lost";
  }
  EXPECT_GE(gaps, 4u);
}

}  // namespace
}  // namespace stillwatch::testing
