// What inspect and tests want to know of TLS connections; null in the daemon. Called on the worker's thread; views
// are valid during the call.
#pragma once

#include <string_view>

#include "dataplane/http/http_observer.h"
#include "dataplane/tls/hello.h"

namespace stillwatch::dataplane {

class TlsObserver {
 public:
  virtual ~TlsObserver() = default;
  virtual void OnClientHello(const StreamContext& at, const ClientHello& hello, std::string_view ja3,
                             std::string_view ja4) = 0;
  virtual void OnServerHello(const StreamContext& at, const ServerHello& hello, std::string_view ja3s) = 0;
  // Decrypted application bytes, in order.
  virtual void OnTlsContent(const StreamContext& at, bool from_client, Bytes data) = 0;
};

}  // namespace stillwatch::dataplane
