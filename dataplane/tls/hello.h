// ClientHello and ServerHello (RFC 8446, 4.1.2 and 4.1.3; RFC 5246, 7.4.1), taken apart in place. Views point into
// the message and live as long as it does. Nothing is believed: lengths that do not fit end the parsing there, and
// what was read so far stands with `malformed` set.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/endian.h"

namespace stillwatch::dataplane {

// RFC 8701: values that clients send to keep servers tolerant. They tell nothing about the client.
constexpr bool IsGrease(uint16_t value) { return (value & 0x0f0f) == 0x0a0a && (value >> 8) == (value & 0xff); }

inline constexpr uint16_t kTls12 = 0x0303, kTls13 = 0x0304;

// A list of 16-bit numbers as it stands in the message.
class U16List {
 public:
  U16List() = default;
  explicit U16List(Bytes bytes) : bytes_(bytes.first(bytes.size() / 2 * 2)) {}
  size_t size() const { return bytes_.size() / 2; }
  uint16_t operator[](size_t i) const { return LoadBe16(bytes_.data() + 2 * i); }

 private:
  Bytes bytes_;
};

// The extensions of a hello, walked in their order.
class ExtensionWalk {
 public:
  explicit ExtensionWalk(Bytes block) : left_(block) {}
  // False at the end, or where a length does not fit.
  bool Next(uint16_t* type, Bytes* body);
  bool malformed() const { return malformed_; }

 private:
  Bytes left_;
  bool malformed_ = false;
};

struct ClientHello {
  uint16_t version = 0;          // as the fixed field says
  uint16_t version_best = 0;     // the highest of supported_versions, else the fixed field
  Bytes random;                  // 32 bytes
  Bytes session_id;
  U16List ciphers, groups;
  // The last list of the hello: FoxIO's reference lets signature_algorithms_cert replace signature_algorithms (both
  // are sent by Java), its text does not speak of it.
  U16List signature_algorithms;
  Bytes extensions;              // the whole block
  Bytes point_formats;
  Bytes alpn;                    // the protocol names, each behind its length
  std::string_view sni;
  bool has_sni = false;
  bool ech = false;              // encrypted_client_hello: the name may be another one's
  bool early_data = false;       // 0-RTT is tried
  bool resumes = false;          // a pre-shared key is offered
  bool ssl2 = false;             // in the form of SSL 2: no extensions, no fingerprint
  bool malformed = false;
};

struct ServerHello {
  uint16_t version = 0;
  uint16_t version_chosen = 0;   // by supported_versions, else the fixed field
  uint16_t cipher = 0;
  uint8_t compression = 0;
  Bytes random;
  Bytes extensions;
  std::string_view alpn;         // TLS 1.3 says it encrypted only
  bool retry = false;            // HelloRetryRequest: another ClientHello follows
  bool encrypt_then_mac = false; // of CBC suites (RFC 7366)
  bool malformed = false;
};

// The body of a handshake message, without its four bytes of header. False: not even random and ciphers fit.
bool ParseClientHello(Bytes body, ClientHello* hello);
bool ParseServerHello(Bytes body, ServerHello* hello);

// A hello in the form of SSL 2 (RFC 5246, E.2) at the beginning of a connection, which wants at least 11 bytes.
bool BeginsSsl2Hello(Bytes data);
void ParseSsl2Hello(Bytes data, ClientHello* hello);

// Whose hello a TLS record at the beginning of `data` carries.
enum class HandshakeSide : uint8_t { kUnknown, kClient, kServer };
inline HandshakeSide SniffHello(Bytes data) {
  constexpr size_t kRecordHeader = 5;
  if (data.size() < kRecordHeader + 4 || data[0] != 22 || data[1] != 3 || data[2] > 4) return HandshakeSide::kUnknown;
  if (data[5] > 2 || data[6] != 0) return HandshakeSide::kUnknown;  // hellos over 64 KiB are none
  return data[5] == 1 ? HandshakeSide::kClient : data[5] == 2 ? HandshakeSide::kServer : HandshakeSide::kUnknown;
}

// Calls visit(name) for each protocol name of a ClientHello's list.
template <typename Visit>
void ForEachAlpn(Bytes alpn, Visit visit) {
  while (!alpn.empty() && alpn[0] < alpn.size()) {
    visit(AsText(alpn.subspan(1, alpn[0])));
    alpn = alpn.subspan(size_t{1} + alpn[0]);
  }
}

}  // namespace stillwatch::dataplane
