// The dialect layer: HTTP transactions in, exchanges out. Sits between an HttpConnection and a WorkerOutput.
//
// A transaction whose method and path a dialect claims is followed: its request body is held until its end,
// read once, digested, wiped. Its response is read event by event when it is a stream, else held and read
// once. Exactly one exchange goes out at the transaction's end, in the order of those ends. A claimed
// request whose body turns out to be another service's gives none (llm.not_model_shape).
//
// A request that upgrades to a realtime API's WebSocket is followed as a connection (realtime.h): one exchange for each
// answer, with what the upgrade's header fields say of its owner.
//
// Worker's thread only. All memory is taken at construction: exchanges_max transactions of about 1 KiB, one
// pool for bodies and tokens, streams_max event parsers (these keep small buffers of their own). A limit met
// is a counter and a marked exchange, never a wait. Any bytes are legal.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/counters.h"
#include "base/hash.h"
#include "dataplane/http/http_observer.h"
#include "dataplane/llm/llm_counters.h"
#include "dataplane/llm/realtime_counters.h"
#include "dataplane/llm/text_observer.h"
#include "dataplane/worker_output.h"

namespace stillwatch::dataplane {

enum class ForwardedHeader : uint8_t {
  kAuto,           // X-Forwarded-For, or Forwarded where that is absent
  kXForwardedFor,
  kForwarded,
};

struct LlmOptions {
  std::string account_key;                 // secret bytes of privacy.account_key
  Salt salt;                               // fleet salt
  std::vector<Salt> partner_salts;         // instructions are hashed under these too; at most kPartnersMax
  uint64_t body_bytes_max = 1ull << 20;    // of one JSON body; of a longer one the front is read
  uint64_t body_pool_bytes = 256ull << 20; // bodies and tokens held at one time
  uint32_t exchanges_max = 16'384;         // in flight
  uint32_t streams_max = 4'096;            // streamed responses in flight
  int trusted_hops = 0;                    // 0: the packet's source is the client; a PROXY header counts as one
  ForwardedHeader forwarded_header = ForwardedHeader::kAuto;
  std::string credential_header;           // names the account when nothing else does; "" for none
  const std::atomic<uint64_t>* generation = nullptr;  // of the config; null: 0
};

class LlmObserver : public HttpObserver {
 public:
  virtual void RegisterCounters(CounterRegistry* registry) = 0;
  virtual const CounterBlock<LlmCounter>& counters() const = 0;
  virtual const CounterBlock<RealtimeCounter>& realtime_counters() = 0;
  virtual uint64_t pool_bytes_used() const = 0;
  virtual uint32_t exchanges_in_flight() const = 0;
};

// `output` and `texts` outlive the observer; `texts` is null in the daemon.
std::unique_ptr<LlmObserver> MakeLlmObserver(const LlmOptions& options, WorkerOutput* output,
                                             ExchangeTextObserver* texts = nullptr);

}  // namespace stillwatch::dataplane
