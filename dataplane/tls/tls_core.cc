#include "dataplane/tls/tls_core.h"

#include "dataplane/tls/tls_connection.h"

namespace stillwatch::dataplane {

TlsCore::TlsCore(const TlsOptions& wanted, Salt salt, TlsObserver* observer_or_null)
    : options(wanted),
      observer(observer_or_null),
      buffers(kRecordMax + 64, wanted.buffers_max),
      ja4_salt_(DeriveSalt(salt, "ja4")),
      connections_(std::make_unique<Slab<TlsConnection>>(wanted.connections_max)) {
  if (!decrypts()) return;
  waiting = std::make_unique<SegmentPool>(options.wait_bytes_max);
  secrets = std::make_unique<SecretStore>(options.secrets_max, options.secret_ttl_ns, DeriveSalt(salt, "client-random"));
  keys = std::make_unique<LockedSlab<TlsKeys>>(options.connections_max);
  plain.resize(kRecordMax);
  counters.Set(TlsCounter::kUnlocked, secrets->locked() && keys->locked() ? 0 : 1);
}

TlsCore::~TlsCore() = default;

TlsConnection* TlsCore::Open() {
  TlsConnection* const connection = connections_->Take();
  if (connection == nullptr) {
    Count(TlsCounter::kConnectionsEmpty);
    return nullptr;
  }
  connection->Begin(this);
  return connection;
}

void TlsCore::Close(TlsConnection* connection) {
  connection->Release();
  connections_->Give(connection);
}

void TlsCore::TakeSecrets(int64_t now_ns) {
  SessionSecret secret;
  while (options.secrets->Pop(&secret)) {
    Count(TlsCounter::kSecrets);
    if (!secrets->Put(secret, now_ns)) Count(TlsCounter::kSecretsEvicted);
  }
  Wipe(&secret, sizeof secret);
}

void TlsCore::Expire(int64_t now_ns) {
  if (!decrypts()) return;
  if (const size_t expired = secrets->Expire(now_ns); expired != 0) Count(TlsCounter::kSecretsExpired, expired);
}

}  // namespace stillwatch::dataplane
