// What a worker counts of TLS connections. One line of meaning each; docs/counters.md is made from here.
#pragma once

#include "base/counters.h"

namespace stillwatch::dataplane {

enum class TlsCounter {
  kClientHellos,       // ClientHellos read
  kServerHellos,       // ServerHellos read, HelloRetryRequests among them
  kEch,                // ClientHellos with an encrypted inner hello: the name may be another one's
  kEarlyData,          // ClientHellos that try 0-RTT
  kSsl2Hellos,         // hellos in the form of SSL 2: no fingerprint
  kHelloMalformed,     // hellos whose lengths do not fit; read as far as they do
  kHelloTooLarge,      // hellos over 18 KiB: not read
  kHelloLost,          // connections whose first hello is missing: joined in the middle, or bytes lost
  kRecordMalformed,    // directions no longer read: bytes that are no TLS record, or make no sense there
  kConnectionsEmpty,   // connections not read at all: no state left; raise tls.connections_max
  kBuffersEmpty,       // directions no longer read: no buffer left for a record or hello in pieces; raise tls.buffers_max
  // With session secrets.
  kSecrets,            // secrets received
  kSecretsEvicted,     // sessions whose secrets gave way to newer ones unused; raise tls.secrets_max
  kSecretsExpired,     // sessions whose secrets grew too old unused
  kDecrypted,          // connections of which at least one record was opened
  kRecordsOpened,      // records opened
  kContentBytes,       // application bytes handed to the HTTP parsers
  kKeyUpdates,         // TLS 1.3 key updates followed
  kRenegotiations,     // TLS 1.2 handshakes inside a connection
  kEarlyDataSkipped,   // 0-RTT records passed over: not decrypted
  kSuiteRefused,       // connections not decrypted: protocol version or cipher suite is none that can be read (docs/deploy.md)
  kKeyed,              // directions that got a key
  kSecretLate,         // connections whose secret came after the records that need it
  kSecretNever,        // connections given up because no secret came within tls.secret_wait_s
  kWaitFull,           // connections given up because more came before their secret than is held; raise tls.wait_kib, tls.wait_mib
  kBadTag,             // directions no longer decrypted: a record did not open with its key
  kUnlocked,           // gauge: workers whose secrets the system did not let be locked in memory; raise RLIMIT_MEMLOCK
  kGap,                // directions no longer decrypted: bytes are missing
  kCount
};

inline constexpr CounterNames<TlsCounter> kTlsCounterNames{
    "tls.client_hellos", "tls.server_hellos", "tls.ech", "tls.early_data", "tls.ssl2_hellos", "tls.hello_malformed",
    "tls.hello_too_large", "tls.hello_lost", "tls.record_malformed", "tls.connections_empty", "tls.buffers_empty",
    "tls.secrets", "tls.secrets_evicted", "tls.secrets_expired", "tls.decrypted", "tls.records_opened",
    "tls.content_bytes", "tls.key_updates", "tls.renegotiations", "tls.early_data_skipped", "tls.suite_refused",
    "tls.keyed", "tls.secret_late", "tls.secret_never", "tls.wait_full", "tls.bad_tag", "tls.unlocked", "tls.gap"};

}  // namespace stillwatch::dataplane
