// Initial packets of QUIC clients (RFC 9000, 17.2.2; RFC 9001, 5; RFC 9369 for version 2): found in a datagram, opened
// with the keys that anybody on the path can derive from them, and their CRYPTO frames taken out. Authenticated, so
// what opens is an Initial packet of a client and nothing else. Nothing behind Initial packets can be read.
//
// Versions 1 and 2 and the drafts 23 to 32. One object a worker: contexts and scratch memory are made once, nothing is
// allocated afterwards but inside OpenSSL. Any bytes are legal.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"

struct evp_cipher_ctx_st;

namespace stillwatch::dataplane {

struct QuicKeys {
  uint8_t key[16], iv[12], header[16];
};

struct QuicInitial {
  uint32_t version = 0;
  Bytes connection_id;     // the destination's
  Bytes packet;            // header, packet number, sealed payload
  size_t number_at = 0;    // where the packet number stands
};

enum class QuicNext : uint8_t {
  kInitial,
  kOther,           // another packet with a long header, passed over
  kRetry,           // the server wants the first packet again, to another id
  kVersionUnknown,  // none of ours: nothing behind it can be told
  kEnd,             // no long header here
  kMalformed,       // lengths do not fit
};

// Takes the packet at the front of `*datagram` off it.
QuicNext NextQuicPacket(Bytes* datagram, QuicInitial* initial);

// Begins with a long header that says QUIC.
inline bool MayBeQuic(Bytes datagram) {
  constexpr size_t kLeast = 7 + 8;  // a client's first connection id has at least 8 bytes (RFC 9000, 7.2)
  return datagram.size() >= kLeast && (datagram[0] & 0xc0) == 0xc0;
}

class QuicOpener {
 public:
  QuicOpener();
  ~QuicOpener();
  QuicOpener(const QuicOpener&) = delete;
  QuicOpener& operator=(const QuicOpener&) = delete;

  // The client's keys of a connection whose first packet went to this id.
  static void DeriveClientKeys(uint32_t version, Bytes connection_id, QuicKeys* keys);
  // The frames; valid until the next call. Nothing: other keys seal it, or it is damaged.
  std::optional<Bytes> Open(const QuicInitial& initial, const QuicKeys& keys);

 private:
  evp_cipher_ctx_st *const sealed_, *const mask_;
  std::vector<uint8_t> plain_;
};

// A walk over the frames that an Initial packet may hold (RFC 9000, 12.4). on_crypto(offset, data) for each CRYPTO
// frame. False: a frame that cannot be there, or a length that does not fit.
class QuicFrames {
 public:
  explicit QuicFrames(Bytes frames) : left_(frames) {}
  enum class Next : uint8_t { kCrypto, kEnd, kMalformed };
  Next Take(uint64_t* offset, Bytes* data);

 private:
  Bytes left_;
};

}  // namespace stillwatch::dataplane
