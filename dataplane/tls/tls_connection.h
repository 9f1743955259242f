// The TLS of one TCP connection, as a watcher: reads both hellos, and where the session's secrets come to hand opens
// the records and hands on the application bytes of each direction. Owned by a worker, taken from its pool.
//
// Feed takes in-order bytes of one direction. It is resumable: it returns how many bytes it consumed, fewer than given
// only when the sink took less than it was offered (the step's budget is spent); the caller feeds the rest, which
// begins with the last byte of the record whose content is still being handed on. Any cut of the byte streams gives
// the same content.
//
// Records that come before their secret wait, both directions in order of arrival, within bounds of bytes and of
// traffic time. What cannot be read ends its direction (bytes missing, a wrong key) or the connection (no secret),
// each with a counter; there is no way back.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "dataplane/flow/segment_pool.h"
#include "dataplane/tls/handshake_reader.h"
#include "dataplane/tls/tls_core.h"

namespace stillwatch::dataplane {

class TlsSink {
 public:
  virtual ~TlsSink() = default;
  // Application bytes; returns how many it took, fewer only to be called again later.
  virtual size_t OnTlsContent(bool from_client, Bytes data) = 0;
  // No more of this direction: said by the peer, or (lost) because it can no longer be read.
  virtual void OnTlsEnd(bool from_client, bool lost) = 0;
};

class TlsConnection {
 public:
  void Begin(TlsCore* core) { core_ = core; }
  void Release();

  size_t Feed(const StreamContext& at, bool from_client, Bytes data, TlsSink* sink);
  // Bytes of this direction are missing.
  void Gap(const StreamContext& at, bool from_client, TlsSink* sink);
  // FIN of this direction.
  void End(const StreamContext& at, bool from_client, TlsSink* sink);
  // Looks again for the secret of what waits; gives up when it has waited for too long, or at once if `last`. False
  // when the sink took less than it was offered: call again.
  bool Retry(const StreamContext& at, bool last, TlsSink* sink);

  bool waiting() const { return wait_first_ != nullptr; }
  // Traffic time at which Retry has something to do; INT64_MAX for none.
  int64_t next_deadline_ns() const { return waiting() ? next_try_ns_ : INT64_MAX; }
  // Nothing more will be learnt: the object may be given back.
  bool done() const {
    return side_[0].stage == Stage::kOver && !waiting() && (side_[1].stage == Stage::kOver || !core_->decrypts());
  }
  // Of the latest ClientHello; 0 before.
  uint64_t ja4_hash() const { return ja4_hash_; }

 private:
  enum class Stage : uint8_t {
    kClear,
    kProtected,
    kOver,        // no longer read
  };
  enum class Outcome : uint8_t { kGoOn, kStopped, kBlocked };

  struct Side {
    Stage stage = Stage::kClear;
    bool keyed = false;       // the keys for what follows are there
    bool traffic = false;     // TLS 1.3: behind the Finished
    bool opened = false;      // its record's content is in the core's memory and not yet handed on whole
    bool end_told = false;
    bool encrypt_then_mac = false;
    bool gap_waits = false, end_waits = false;  // come behind what waits
    uint8_t header_bytes = 0;
    uint8_t header[5] = {};
    uint32_t left = 0;        // bytes of the record still to come
    uint32_t gathered = 0;    // bytes of it in `block`
    uint32_t content_at = 0, content_end = 0;
    uint32_t skips_left = 0;  // records that may fail to open
    uint8_t* block = nullptr;
    const Suite* suite = nullptr;  // of its keys; until ChangeCipherSpec another than that of the handshake at hand
    uint64_t sequence = 0;
    HandshakeReader handshake;
  };

  size_t Read(int side, Bytes data);
  size_t ReadClear(int side, Bytes data);
  Outcome OpenRecord(int side, Bytes fragment);
  Outcome HandOn(int side);
  void FinishRecord(Side* s);
  bool Key(int side);
  bool TakeMaster();
  bool TakeTrafficSecret(int side);
  void ReadHandshake(int side, Bytes data);
  void OnHandshake(int side, uint8_t type, Bytes body);
  void OnClientHello(Bytes body);
  void OnServerHello(Bytes body);
  void TellClientHello(const ClientHello& hello);
  void ChangeCipher(int side);
  Outcome Drain();
  void Keep(int side, Bytes data);
  void DropWaiting();
  void GiveUp(TlsCounter why);
  void Fail(int side, TlsCounter why);
  void TellEnd(int side, bool lost);
  void CloseSide(Side* s);
  void Count(TlsCounter counter, uint64_t amount = 1) { core_->Count(counter, amount); }

  TlsCore* core_ = nullptr;
  const StreamContext* at_ = nullptr;  // of the call being served
  TlsSink* sink_ = nullptr;
  TlsKeys* keys_ = nullptr;
  const Suite* suite_ = nullptr;       // of the handshake at hand
  Outcome outcome_ = Outcome::kGoOn;   // why Read stopped
  bool hello_seen_ = false, early_data_ = false, decrypted_ = false, waited_ = false;
  bool encrypt_then_mac_ = false;      // of the handshake at hand
  bool retried_ = false;               // a HelloRetryRequest came
  bool records_seen_ = false;
  uint64_t ja4_hash_ = 0;
  Segment *wait_first_ = nullptr, *wait_last_ = nullptr;
  uint32_t wait_segments_ = 0;
  int64_t wait_since_ns_ = 0, next_try_ns_ = 0;
  uint8_t client_random_[32] = {}, server_random_[32] = {};
  Side side_[2];
};

}  // namespace stillwatch::dataplane
