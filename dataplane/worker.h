// A worker: owns flows, turns frames into exchanges. One thread; no locks; bounded memory.
//
// Look(frame) decodes one frame. A frame whose content would decode to more than the step budget
// (64 KiB of decoded output) returns kMore: the caller polls its ports and calls Continue() until kDone.
// The frame's bytes must stay valid until kDone. Tick carries traffic time forward for flows that are
// silent; it is called at the same (packet, time) points on every worker, so that timeouts get the same
// OrderKey however many workers there are. Finish ends all flows (end of a capture or shutdown).
#pragma once

#include <cstdint>
#include <memory>

#include "base/counters.h"
#include "base/hash.h"
#include "dataplane/http/http_observer.h"
#include "dataplane/packet/fragment_joiner.h"
#include "dataplane/packet/tunnel_classes.h"
#include "dataplane/port/frame.h"
#include "dataplane/tls/tls_core.h"
#include "dataplane/worker_output.h"

namespace stillwatch::dataplane {

// What inspect wants to know of each TCP direction; null in the daemon.
class StreamObserver {
 public:
  virtual ~StreamObserver() = default;
  // In-order payload of one direction; `skipped` bytes before it were lost (0: contiguous).
  virtual void OnStreamBytes(const StreamContext& at, bool from_client, uint64_t skipped,
                             Bytes data) = 0;
  virtual void OnStreamEnd(const StreamContext& at, bool from_client) = 0;
};

// HTTP/2's pools grow with the parsers: streams open at one time, and header tables, for each of them on average.
inline constexpr uint32_t kStreamsPerParser = 8, kHpackBytesPerParser = 8u << 10;

struct WorkerOptions {
  uint32_t flows_max = 262'144;
  uint32_t parsers_max = 10'000;       // flows that hold an HTTP parser at one time
  uint32_t decoders_max = 2'000;       // decompressors at one time
  uint64_t window_bytes_max = 256ull << 20;  // windows and tables of br and zstd bodies
  uint64_t reassembly_bytes_max = 64ull << 20;       // out-of-order bytes in all
  uint64_t reassembly_flow_bytes_max = 1ull << 20;   // and of one flow
  uint32_t datagrams_max = FragmentJoiner::Options{}.datagrams_max;  // in fragments at one time
  uint32_t header_bytes_max = 64u << 10;             // of one HTTP message head
  uint64_t decoded_body_bytes_max = 64ull << 20;     // a bomb's output is cut here
  int64_t flow_idle_ns = 600ll * 1'000'000'000;
  int64_t syn_idle_ns = 30ll * 1'000'000'000;
  int64_t response_timeout_ns = 600ll * 1'000'000'000;  // a request that waits longer is given up
  bool trust_proxy_header = false;     // a PROXY header names the client; else it is only passed over
  bool ignore_checksums = false;       // captures taken on the sending host
  bool pass_uninteresting = false;     // connections of no interest are told by WorkerOutput::OnUninteresting
  bool tell_connections = false;       // connections by ConnectionNote, so that both sides of a terminator can be joined
  Salt salt;                           // seeds flow hashes and flow ids
  // Seeds flow hashes beside the salt: fresh at each start of a live box, so that whoever knows the salt cannot aim flows at
  // one bucket. The same for all workers. 0 where a run must repeat.
  uint64_t boot_seed = 0;
  TunnelClasses tunnel_classes;        // none: an address is the same host in every tunnel
  TlsOptions tls;
};

enum class LookResult : uint8_t { kDone, kMore };

class Worker {
 public:
  virtual ~Worker() = default;
  // A hint: this frame will be looked at soon, its bytes are valid until then. Fetches what the look will need,
  // so that memory is not waited for. Call it for a few frames, then Look for each.
  virtual void Expect(const Frame&) {}
  virtual LookResult Look(const Frame& frame) = 0;
  virtual LookResult Continue() = 0;
  virtual void Tick(uint64_t packet, int64_t time_ns) = 0;
  virtual void Finish(uint64_t packet, int64_t time_ns) = 0;
  virtual void RegisterCounters(CounterRegistry* registry) = 0;
};

// `http` receives transactions, `output` flow records. `streams` and `tls` may be null. All outlive the worker.
std::unique_ptr<Worker> MakeWorker(const WorkerOptions& options, HttpObserver* http,
                                   WorkerOutput* output, StreamObserver* streams = nullptr,
                                   TlsObserver* tls = nullptr);

}  // namespace stillwatch::dataplane
