// QUIC connections of one worker, blind: the first ClientHello (name, ALPN, JA4), and flow records of datagram sizes and
// gaps. A connection is followed from the first Initial packet of its client that opens, which needs no port and which
// no other datagram does; from then on each datagram between its ends is a step, until 60 s of silence.
//
// A connection that has filled a flow record is of no interest any more (`pass`): its bytes cannot be read, and what a record says
// of it has been said.
//
// Worker's thread. Bounds: flows_max connections (the quietest is given up), a hello of a buffer's size in at most 64
// pieces, two derivations of keys for a packet with a long header, 4 packets of a datagram. A second hello of the same
// connection (HelloRetryRequest) is not read, nor is anything behind the Initial packets.
#pragma once

#include <vector>

#include "dataplane/flow/slab.h"
#include "dataplane/flow/step_log.h"
#include "dataplane/packet/flow_hash.h"
#include "dataplane/tls/quic_counters.h"
#include "dataplane/tls/quic_initial.h"
#include "dataplane/tls/tls_core.h"
#include "dataplane/worker_output.h"

namespace stillwatch::dataplane {

struct QuicFlow {
  FlowKey key;
  uint64_t hash = 0, id = 0, ja4_hash = 0;
  int64_t first_ns = 0, last_ns = 0;
  QuicKeys keys;
  uint8_t address_length = 0;
  bool client_is_low = false, hello_done = false, tunnelled = false;
  bool retried = false;         // the server sent a Retry, and nothing opened under other keys since
  uint8_t* hello = nullptr;     // a CryptoPieces in one of the buffers
  StepLog log;
  QuicFlow* chain = nullptr;    // same bucket
  QuicFlow *newer = nullptr, *older = nullptr;  // by last_ns
};

class QuicFlows {
 public:
  // `tell`: connections by ConnectionNote, too. `pass`: by WorkerOutput::OnUninteresting.
  QuicFlows(size_t flows_max, Salt salt, bool tell, bool pass, TlsCore* tls, Slab<FlowRecord>* records, WorkerOutput* output);
  ~QuicFlows();

  // A UDP packet and its place in traffic.
  void OnDatagram(const Packet& packet, const FlowKey& key, uint64_t hash, bool from_low, uint64_t number, int64_t now_ns);
  // Appends those that are silent for too long, or all; each is then told by End, in the order of hashes.
  void Due(int64_t now_ns, bool all, std::vector<QuicFlow*>* due);
  void End(QuicFlow* flow, uint64_t number, int64_t now_ns);

  CounterBlock<QuicCounter>& counters() { return counters_; }

 private:
  void Count(QuicCounter counter) { counters_.Add(counter); }
  QuicFlow* Find(const FlowKey& key, uint64_t hash) const;
  QuicFlow* Add(const Packet& packet, const FlowKey& key, uint64_t hash, bool from_low);
  void Touch(QuicFlow* flow);
  void Unlink(QuicFlow* flow);
  QuicFlow* ReadInitials(QuicFlow* flow, const Packet& packet, const FlowKey& key, uint64_t hash, bool from_low);
  void ReadFrames(QuicFlow* flow, Bytes frames);
  bool Place(QuicFlow* flow, uint64_t offset, Bytes data);
  void ReadHello(QuicFlow* flow, Bytes body);
  void DropHello(QuicFlow* flow);
  void NoteStep(QuicFlow* flow, bool from_client, uint32_t bytes);
  void EmitRecord(QuicFlow* flow);
  void TellConnection(const QuicFlow& flow, ConnectionKind kind);
  StreamContext At(const QuicFlow& flow) const;

  TlsCore* const tls_;
  Slab<FlowRecord>* const records_;
  WorkerOutput* const output_;
  const Salt id_salt_;
  const bool tell_, pass_;
  Slab<QuicFlow> flows_;
  std::vector<QuicFlow*> buckets_;
  QuicFlow *newest_ = nullptr, *oldest_ = nullptr;
  QuicOpener opener_;
  uint64_t packet_ = 0;
  int64_t now_ns_ = 0;
  CounterBlock<QuicCounter> counters_{kQuicCounterNames};
};

}  // namespace stillwatch::dataplane
