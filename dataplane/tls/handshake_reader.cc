#include "dataplane/tls/handshake_reader.h"

#include <algorithm>
#include <cstring>

namespace stillwatch::dataplane {

void HandshakeReader::Clear(BlockPool* buffers) {
  if (block_ != nullptr) buffers->Give(block_);
  block_ = nullptr;
  header_bytes_ = 0;
  gathered_ = left_ = 0;
  done_ = false;
  body_ = {};
}

HandshakeReader::Result HandshakeReader::Next(Bytes* data, BlockPool* buffers) {
  if (done_) Clear(buffers);
  if (header_bytes_ < sizeof header_) {
    const size_t take = std::min(data->size(), sizeof header_ - header_bytes_);
    std::memcpy(header_ + header_bytes_, data->data(), take);
    header_bytes_ = static_cast<uint8_t>(header_bytes_ + take);
    *data = data->subspan(take);
    if (header_bytes_ < sizeof header_) return Result::kMore;
    left_ = uint32_t{header_[1]} << 16 | uint32_t{header_[2]} << 8 | header_[3];
  }
  const bool wanted = header_[0] == static_cast<uint8_t>(HandshakeType::kClientHello) ||
                      header_[0] == static_cast<uint8_t>(HandshakeType::kServerHello);
  if (wanted && left_ + gathered_ > buffers->block_bytes()) return Result::kTooLarge;
  const size_t take = std::min<size_t>(data->size(), left_);
  const Bytes piece = data->first(take);
  if (wanted && (gathered_ != 0 || take < left_)) {
    if (block_ == nullptr && take != 0) {
      block_ = static_cast<uint8_t*>(buffers->Take());
      if (block_ == nullptr) return Result::kNoBuffer;
    }
    if (take != 0) std::memcpy(block_ + gathered_, piece.data(), take);
    gathered_ += static_cast<uint32_t>(take);
    body_ = Bytes(block_, gathered_);
  } else {
    body_ = wanted ? piece : Bytes{};
  }
  left_ -= static_cast<uint32_t>(take);
  *data = data->subspan(take);
  if (left_ != 0) return Result::kMore;
  done_ = true;
  return Result::kMessage;
}

}  // namespace stillwatch::dataplane
