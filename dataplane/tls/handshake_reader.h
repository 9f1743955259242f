// Finds handshake messages (RFC 8446, 4) in the content of one direction's records, wherever records and segments
// cut them. Hellos come whole; of other messages only that they ended is told.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "dataplane/http/block_pool.h"

namespace stillwatch::dataplane {

enum class HandshakeType : uint8_t { kClientHello = 1, kServerHello = 2, kFinished = 20, kKeyUpdate = 24 };

class HandshakeReader {
 public:
  enum class Result : uint8_t { kMore, kMessage, kTooLarge, kNoBuffer };

  // Takes bytes off the front of `*data` up to the end of a message. kMessage: type() has ended, body() holds a
  // hello's bytes until the next call. Call again while there is data.
  Result Next(Bytes* data, BlockPool* buffers);
  uint8_t type() const { return header_[0]; }
  Bytes body() const { return body_; }
  bool at_rest() const { return header_bytes_ == 0 || done_; }
  // Gives its buffer back and forgets what it had begun.
  void Clear(BlockPool* buffers);

 private:
  uint8_t header_[4] = {};
  uint8_t header_bytes_ = 0;
  bool done_ = false;        // what body_ shows has been told
  uint32_t left_ = 0, gathered_ = 0;
  uint8_t* block_ = nullptr;
  Bytes body_;
};

}  // namespace stillwatch::dataplane
