// What the TLS connections of one worker share: limits, counters, pools, secrets, cipher contexts and scratch
// memory. All of it is reserved at start; one thread.
#pragma once

#include <memory>
#include <vector>

#include "base/hash.h"
#include "dataplane/flow/segment_pool.h"
#include "dataplane/http/block_pool.h"
#include "dataplane/tls/fingerprint.h"
#include "dataplane/tls/record_cipher.h"
#include "dataplane/tls/secret_ring.h"
#include "dataplane/tls/secret_store.h"
#include "dataplane/tls/tls_counters.h"
#include "dataplane/tls/tls_observer.h"

namespace stillwatch::dataplane {

struct TlsOptions {
  SecretRing* secrets = nullptr;           // of this worker; outlives it. null: hellos are read, nothing is decrypted
  uint32_t connections_max = 10'000;       // read at one time: until both hellos, or to the end where decrypted
  uint32_t buffers_max = 1'024;            // records and hellos that wait for their end, 18 KiB each
  uint32_t secrets_max = 16'384;           // sessions whose secrets are held
  int64_t secret_ttl_ns = 0;               // unused secrets are wiped after this; 0: never
  int64_t secret_wait_ns = 0;              // records wait so long for their secret; 0: it is there or never comes
  uint64_t wait_bytes_max = 64ull << 20;   // such records in all
  uint64_t wait_flow_bytes_max = 256u << 10;
};

class TlsConnection;

// Keys of one connection, in locked memory.
struct TlsKeys {
  RecordKeys direction[2];   // [0]: from the client
  uint8_t master[48];        // TLS 1.2, of the handshake at hand
  bool master_known;
};

class TlsCore {
 public:
  TlsCore(const TlsOptions& wanted, Salt salt, TlsObserver* observer_or_null);
  ~TlsCore();

  // nullptr when all are taken (counted).
  TlsConnection* Open();
  // Wipes its keys, gives all that it holds back.
  void Close(TlsConnection* connection);

  bool decrypts() const { return options.secrets != nullptr; }
  // Takes what has come through the ring, and lets go of what is too old.
  void Poll(int64_t now_ns) {
    if (decrypts() && !options.secrets->empty()) TakeSecrets(now_ns);
  }
  void Expire(int64_t now_ns);

  void RegisterCounters(CounterRegistry* registry) { registry->Register(counters); }
  void Count(TlsCounter counter, uint64_t amount = 1) { counters.Add(counter, amount); }
  // Of the JA4's text; as other ids, under a salt of its own.
  uint64_t HashJa4(std::string_view ja4) const { return ja4.empty() ? 0 : KeyedHash64(ja4, ja4_salt_); }

  const TlsOptions options;
  TlsObserver* const observer;
  CounterBlock<TlsCounter> counters{kTlsCounterNames};
  Fingerprinter fingerprinter;
  BlockPool buffers;
  // With secrets only.
  std::unique_ptr<SegmentPool> waiting;
  std::unique_ptr<SecretStore> secrets;
  std::unique_ptr<LockedSlab<TlsKeys>> keys;
  RecordCiphers ciphers;
  std::vector<uint8_t> plain;   // the record that was opened last

 private:
  void TakeSecrets(int64_t now_ns);

  const Salt ja4_salt_;
  std::unique_ptr<Slab<TlsConnection>> connections_;
};

}  // namespace stillwatch::dataplane
