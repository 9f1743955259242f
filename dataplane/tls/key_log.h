// Session secrets and the lines that carry them (draft-ietf-tls-keylogfile, the form of NSS: LABEL, client_random,
// secret, in hexadecimal).
#pragma once

#include <cstdint>
#include <string_view>

namespace stillwatch::dataplane {

enum class SecretLabel : uint8_t {
  kMaster,            // CLIENT_RANDOM: TLS 1.2 and older
  kClientHandshake,   // CLIENT_HANDSHAKE_TRAFFIC_SECRET
  kServerHandshake,
  kClientTraffic,     // CLIENT_TRAFFIC_SECRET_0
  kServerTraffic,
  kCount
};

struct SessionSecret {
  static constexpr size_t kRandomBytes = 32, kBytesMax = 48;
  SecretLabel label;
  uint8_t size;
  uint8_t random[kRandomBytes];
  uint8_t bytes[kBytesMax];
};

enum class KeyLogLine : uint8_t {
  kSecret,   // filled in
  kOther,    // blank, a comment, or a label that is not needed (exporter, early data, RSA ...)
  kBad,      // not of the form, or a secret of another size than 32 or 48 bytes
};
KeyLogLine ParseKeyLogLine(std::string_view line, SessionSecret* secret);

}  // namespace stillwatch::dataplane
