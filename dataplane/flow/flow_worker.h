// The worker of worker.h: decode, flow table, TCP reassembly, protocol recognition, and the HTTP decoder of each
// flow. Six files share it: worker.cc (packets to flows), doubt.cc (what a receiver throws away), delivery.cc (bytes to protocols),
// tls_delivery.cc (TLS), lifetime.cc (ends and timeouts), flow_steps.cc (flow records).
//
// Policies, where RFC 9293 leaves a watcher a choice:
//   Overlap: the first copy of a byte wins (reassembly.h).
//   Doubt: a client's bytes that its server throws away by all that is known of it are set aside: read once it acknowledges them, or
//     at the flow's end; not when other bytes came in their place. So a doubt that was wrong costs a moment, and no byte.
//   Hole: given up (Gap to the HTTP layer, counted) when the other side has acknowledged it and later bytes are
//     held; when the bound on held bytes is reached; at the flow's end; and, where no acknowledgement of this
//     direction was ever seen (one-sided capture), 2 s of traffic time after the first byte behind it came.
//   RST: believed if near the stream's place, and acted on after 2 s without further data: a forged one does not
//     blind us. FIN: acted on when acknowledged, or when acknowledgements are not seen.
//   SYN on a living flow: a new flow begins when the connection follows it (RFC 5961, section 4: the peers
//     would answer it with a challenge).
//   Of no interest (where pass_uninteresting asks for it): a connection in which this worker looks for nothing any more, seen
//     from its SYN, a second old and without tunnels. It is told; while it goes on here all the same, again every 10 s.
//   PROXY header: at a connection's start only, on any port; the bytes behind it are looked at as if they were first.
//   No SYN seen: the client is the side whose first payload is an HTTP request, else the one with the higher
//     port; HTTP is looked for at the first 32 segments' starts.
// Timeouts fire at ticks only, in the order of flow hashes, so that records come out the same however flows
// are spread over workers.
#pragma once

#include <array>
#include <vector>

#include "dataplane/flow/flow_counters.h"
#include "dataplane/flow/flow_table.h"
#include "dataplane/flow/quic_flows.h"
#include "dataplane/flow/timer_wheel.h"
#include "dataplane/packet/fragment_joiner.h"
#include "dataplane/worker.h"

namespace stillwatch::dataplane {

class FlowWorker final : public Worker, private TlsSink {
 public:
  FlowWorker(const WorkerOptions& options, HttpObserver* http, WorkerOutput* output,
             StreamObserver* streams, TlsObserver* tls);
  ~FlowWorker() override;

  void Expect(const Frame& frame) override;
  LookResult Look(const Frame& frame) override;
  LookResult Continue() override { return Pump(); }
  void Tick(uint64_t packet, int64_t time_ns) override;
  void Finish(uint64_t packet, int64_t time_ns) override;
  void RegisterCounters(CounterRegistry* registry) override;

 private:
  // What is left to do for the packet at hand.
  struct Work {
    Flow* flow = nullptr;
    int side = 0;               // direction it came in
    bool place = false;         // its payload has not been placed, or not wholly
    bool again = false;         // ... not wholly
    bool in_chunk = false;      // the decoder stopped inside the bytes that Next() gives
    uint32_t seq = 0;           // of the payload
    uint32_t payload_wire = 0;
    Bytes payload;
    Bytes in_order;             // what of it comes next in its direction
  };
  // A frame that was announced, decoded ahead.
  struct Expected {
    uint64_t number = 0;        // of the frame
    DecodeStatus status;
    Packet packet;
    FlowKey key;
    bool from_low;
    uint64_t hash;
    Flow* flow;                 // where the flow's memory is, if it is there: for fetching only
  };
  static constexpr size_t kExpectedMax = 16;
  // That a receiver takes a payload: one of two versions that is believed more is read.
  using Belief = uint32_t;
  static constexpr Belief kBelieved = 256;
  // Pieces of a flow that is not HTTP, or goes on as something else, in which TLS may still begin.
  static constexpr uint8_t kSniffsInsideMax = 64;

  void Count(FlowCounter counter, uint64_t amount = 1) { counters_.Add(counter, amount); }

  // worker.cc
  uint64_t ClassMark(const Packet& packet) const;
  DecodeStatus Decode(Bytes bytes, uint32_t wire_length, Expected* into) const;
  Expected& TakeExpected(const Frame& frame);
  void FetchFlows();
  void OnTcp(const Expected& found);
  void OnUdp(const Packet& packet);
  Flow* FlowOf(const Expected& found);
  Flow* Open(const Packet& packet, const FlowKey& key, uint64_t hash, bool from_low);
  bool BeginsAnew(Flow* flow, const Packet& packet, bool from_low);
  bool FollowsRestart(const Flow& flow, const Packet& packet, bool from_low) const;
  void LearnClient(Flow* flow, const Packet& packet, bool from_low);
  void OnSyn(Flow* flow, int side, const Packet& packet);
  void OnAck(Flow* flow, int side, const Packet& packet);
  void OnFin(Direction* direction, const Packet& packet);
  void OnReset(Flow* flow, int side, const Packet& packet);
  // Whether the RST stands where its receiver may take it.
  static bool InWindow(const Flow& flow, int side, const Packet& packet);
  // Whether the packet shows that the connection lives although a RST came. New bytes in the RST's own name do so,
  // too; they show when they are placed.
  static bool ContradictsReset(const Flow& flow, int side, const Packet& packet);
  void OnPayload(Flow* flow, int side, const Packet& packet, Belief belief);

  // doubt.cc
  Belief BeliefIn(const Flow& flow, const Packet& packet) const;
  static void LearnTerms(Direction* direction, const Packet& packet);
  static void LearnWindow(Flow& flow, int side, const Packet& packet, int64_t acked);
  static void NoteSent(Direction* direction, uint32_t end_seq);
  void SetAside(Direction* direction, const Packet& packet, Belief belief);
  void TakeDoubted(Direction* direction, uint64_t until_offset);
  void TakeUncontested(Direction* direction);
  void Contest(Flow* flow, Direction* direction, const Packet& packet, Belief belief);

  // delivery.cc
  LookResult Pump();
  bool PlacePending();
  void OnEarly(Flow* flow, Direction* direction);
  bool DeliverReady(Flow* flow, int side, DecodeBudget* budget);
  void DeliverAll(Flow* flow, int side);
  size_t Deliver(Flow* flow, int side, Bytes data, DecodeBudget* budget);
  size_t DeliverContent(Flow* flow, int side, Bytes data, DecodeBudget* budget);
  size_t Recognise(Flow* flow, int side, Bytes data, DecodeBudget* budget);
  size_t BeginProxied(Flow* flow, const ProxyHeader& header, size_t held, Bytes data, DecodeBudget* budget);
  size_t PassProxyHeader(Flow* flow, Bytes data, DecodeBudget* budget);
  size_t CollectFirstBytes(Direction* direction, Bytes data);
  void DropFirstBytes(Direction* direction);
  bool HasParser(Flow* flow);
  void RestParser(Flow* flow);
  void DropParser(Flow* flow, HttpEnd reason);
  size_t FeedHttp(Flow* flow, int side, Bytes data, DecodeBudget* budget);
  void FeedHttpWhole(Flow* flow, int side, Bytes data);
  size_t BeginTls(Flow* flow, int side, Bytes data, DecodeBudget* budget);
  size_t FeedTls(Flow* flow, int side, Bytes data, DecodeBudget* budget);
  void GapTls(Flow* flow, int side);
  void EndTls(Flow* flow, int side);
  bool RetryTls(Flow* flow, bool last);
  void TakeJa4(Flow* flow);
  void AfterTls(Flow* flow);
  void DropTls(Flow* flow);
  bool BeginsTlsInside(Flow* flow, int side, Bytes data);
  size_t OnTlsContent(bool from_client, Bytes data) override;
  void OnTlsEnd(bool from_client, bool lost) override;
  void SkipTo(Flow* flow, int side, uint64_t offset, FlowCounter bytes_counter);
  void EndSide(Flow* flow, int side);

  // lifetime.cc
  bool NothingWillCome(const Flow& flow) const;
  bool MayPass(const Flow& flow) const;
  void EvictOne();
  void CloseFlow(Flow* flow, HttpEnd reason);
  void ReleaseFlow(Flow* flow);
  bool OverButForAcks(const Flow& flow) const;
  int64_t NextDeadline(const Flow& flow) const;
  void ArmBy(Flow* flow, int64_t deadline_ns);
  void OnTimer(Flow* flow);
  void SetTime(uint64_t packet, int64_t time_ns);
  void EndQuicBefore(uint64_t hash, size_t* next);

  // flow_steps.cc
  void NoteStep(Flow* flow, int side, uint32_t bytes);
  void AddToLastStep(Flow* flow, int side, uint32_t bytes);
  void EmitRecord(Flow* flow);
  void TellConnection(Flow* flow, ConnectionKind kind);

  const StreamContext& At(const Flow& flow);

  const WorkerOptions options_;
  WorkerOutput* const output_;
  StreamObserver* const streams_;
  const Salt flow_salt_, id_salt_, tcp_salt_, proxy_id_salt_;
  FlowTable table_;
  TimerWheel wheel_;
  SegmentPool segments_;
  Slab<FlowRecord> records_;
  Slab<ProxiedClient> proxied_;  // at most one a flow
  FragmentJoiner fragments_;
  Frame joined_;  // lent by fragments_ until the next look
  std::unique_ptr<HttpShared> http_shared_;
  TlsCore tls_;
  QuicFlows quic_;
  Flow* tls_flow_ = nullptr;              // whose TLS is being read
  DecodeBudget* tls_budget_ = nullptr;
  uint32_t parsers_ = 0;
  uint64_t packet_ = 0;
  int64_t now_ns_ = 0;
  std::array<Expected, kExpectedMax> expected_;  // a ring: frames announced and not yet looked at
  uint32_t expected_begin_ = 0, expected_fetched_ = 0, expected_end_ = 0;  // free running
  Expected unexpected_;
  Work work_;
  StreamContext at_;
  std::vector<Flow*> due_;
  std::vector<QuicFlow*> quic_due_;
  CounterBlock<FlowCounter> counters_{kFlowCounterNames};
};

}  // namespace stillwatch::dataplane
