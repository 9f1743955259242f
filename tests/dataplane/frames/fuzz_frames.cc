// libFuzzer: any frames, all the way to exchanges. One worker, and two that share the flows as the forwarder does, must give the
// same exchanges: both directions of a flow reach one worker, whatever the frames claim to be. frames_corpus_test replays the corpus.
//
// Input: frames of two length bytes (big-endian), one byte of time (10 ms each) and that many bytes.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/endian.h"
#include "dataplane/llm/llm_observer.h"
#include "dataplane/packet/flow_hash.h"
#include "dataplane/packet/fragment_joiner.h"
#include "dataplane/worker.h"

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

constexpr Salt kSalt{7};

// A worker with all that hangs on it.
struct Looker {
  Keep keep;
  std::unique_ptr<LlmObserver> observer;
  std::unique_ptr<Worker> worker;
  CounterRegistry registry;

  Looker() {
    LlmOptions llm;
    llm.body_bytes_max = 256 << 10;
    llm.body_pool_bytes = 4 << 20;
    llm.exchanges_max = 16;
    llm.streams_max = 8;
    observer = MakeLlmObserver(llm, &keep);
    WorkerOptions options;
    options.flows_max = 64;
    options.parsers_max = 32;
    options.decoders_max = 8;
    options.window_bytes_max = 1u << 20;
    options.reassembly_bytes_max = 4u << 20;
    options.ignore_checksums = true;  // or nothing that a mutation changed would be looked at
    options.trust_proxy_header = true;
    options.salt = kSalt;
    options.tls.connections_max = 16, options.tls.buffers_max = 16, options.tls.wait_bytes_max = 1u << 20;
    worker = MakeWorker(options, observer.get(), &keep, nullptr);
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
std::vector<std::string> Play(Bytes data, size_t lanes) {
  std::vector<std::unique_ptr<Looker>> lookers;
  for (size_t i = 0; i < lanes; ++i) lookers.push_back(std::make_unique<Looker>());
  FragmentJoiner joiner{{}};
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
  for (const auto& looker : lookers) {
    looker->worker->Finish(number + 1, now_ns);
    all.insert(all.end(), looker->keep.exchanges.begin(), looker->keep.exchanges.end());
  }
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace
}  // namespace stillwatch::dataplane

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace stillwatch::dataplane;
  if (Play({data, size}, 1) != Play({data, size}, 2)) std::abort();
  return 0;
}
