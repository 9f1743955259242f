// libFuzzer: any frames, all the way to exchanges. One worker, and two that share the flows as the forwarder does, must give the
// same exchanges: both directions of a flow reach one worker, whatever the frames claim to be. frames_corpus_test replays the corpus.
//
// Input: frames of two length bytes (big-endian), one byte of time (10 ms each) and that many bytes.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/endian.h"
#include "dataplane/llm/llm_observer.h"
#include "dataplane/packet/flow_hash.h"
#include "dataplane/packet/fragment_joiner.h"
#include "dataplane/worker.h"
#include "tests/fuzz/target.h"

namespace stillwatch::dataplane {
namespace {

class Keep final : public WorkerOutput {
 public:
  void OnExchange(const ExchangeView& view) override {
    const auto block = view.block();
    exchanges.emplace_back(reinterpret_cast<const char*>(block.data()), block.size());
  }
  void OnFlowRecord(const FlowRecord&) override {}
  std::vector<std::string> exchanges;
};

using fuzz::Require;

constexpr Salt kSalt{7};
constexpr uint32_t kDatagramsMax = 4;

// Takes longer to make than an input to play: one for each lane, empty again at the end of each input.
struct Dialects {
  Keep keep;
  std::unique_ptr<LlmObserver> observer;

  Dialects() {
    LlmOptions llm;
    llm.body_bytes_max = 64 << 10;
    llm.body_pool_bytes = 4 << 20;
    llm.exchanges_max = 16;
    llm.streams_max = 8;
    observer = MakeLlmObserver(llm, &keep);
  }
  // What came out since the last time.
  std::vector<std::string> Empty() {
    Require(observer->exchanges_in_flight() == 0 && observer->pool_bytes_used() == 0);
    return std::exchange(keep.exchanges, {});
  }
};

struct Looker {
  std::unique_ptr<Worker> worker;
  CounterRegistry registry;

  explicit Looker(Dialects* dialects) {
    WorkerOptions options;
    options.flows_max = 64;
    options.parsers_max = 32;
    options.decoders_max = 8;
    options.window_bytes_max = 1u << 20;
    options.reassembly_bytes_max = 1u << 20;
    options.header_bytes_max = 8u << 10;
    options.datagrams_max = kDatagramsMax;
    options.ignore_checksums = true;  // or nothing that a mutation changed would be looked at
    options.trust_proxy_header = true;
    options.salt = kSalt;
    options.tls.connections_max = 16, options.tls.buffers_max = 16, options.tls.wait_bytes_max = 1u << 20;
    worker = MakeWorker(options, dialects->observer.get(), &dialects->keep, nullptr);
    worker->RegisterCounters(&registry);
  }
  void Look(const Frame& frame) {
    // A copy of just its size: reading past it is seen.
    const std::vector<uint8_t> bytes(frame.bytes.begin(), frame.bytes.end());
    Frame copy = frame;
    copy.bytes = bytes;
    LookResult more = worker->Look(copy);
    while (more == LookResult::kMore) more = worker->Continue();
  }
};

// What `lanes` workers together made of the frames, sorted.
std::vector<std::string> PlayWith(size_t lanes, Bytes data) {
  static Dialects dialects[2];
  std::vector<std::unique_ptr<Looker>> lookers;
  for (size_t i = 0; i < lanes; ++i) lookers.push_back(std::make_unique<Looker>(&dialects[i]));
  FragmentJoiner joiner{{.datagrams_max = kDatagramsMax}};
  int64_t now_ns = 1'700'000'000 * kNsPerSecond;
  uint64_t number = 0;
  const auto hand = [&](const Frame& frame) { lookers[lanes == 1 ? 0 : Mix64(FlowHash(frame.bytes, kSalt)) >> 63]->Look(frame); };
  const auto tick = [&] {
    for (const auto& looker : lookers) looker->worker->Tick(number + 1, now_ns);
  };
  while (data.size() >= 3) {
    const size_t size = std::min<size_t>(LoadBe16(data.data()), data.size() - 3);
    now_ns += data[2] * 10 * kNsPerMs;
    tick();
    const Frame frame{data.subspan(3, size), static_cast<uint32_t>(size), 0, ++number, now_ns};
    Frame joined;
    bool complete = false;
    if (!joiner.Offer(frame, &joined, &complete)) {
      hand(frame);
    } else if (complete) {
      hand(joined);
      joiner.Release(joined);
    }
    data = data.subspan(3 + size);
  }
  std::vector<std::string> all;
  for (size_t i = 0; i < lanes; ++i) {
    lookers[i]->worker->Finish(number + 1, now_ns);
    const auto exchanges = dialects[i].Empty();
    all.insert(all.end(), exchanges.begin(), exchanges.end());
  }
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace
}  // namespace stillwatch::dataplane

std::string stillwatch::fuzz::Play(Bytes input) {
  using namespace stillwatch::dataplane;
  const auto alone = PlayWith(1, input);
  Require(alone == PlayWith(2, input));
  std::string all;
  for (const std::string& exchange : alone) all += exchange;
  return all;
}
