// What was said so far on one realtime connection, as text in chunks of the observer's pool: records of a tag, a
// length and bytes, in order. Audio is never in it. Bounded by the caller's bytes_max; one worker's thread.
#pragma once

#include <cstring>
#include <string_view>

#include "base/endian.h"
#include "dataplane/llm/chunk_list.h"

namespace stillwatch::dataplane {

class ConversationLog {
 public:
  enum Tag : uint8_t {
    kMessage,  // begins a message; its role
    kSystem, kTool, kId,
    kPiece,    // and above: a piece of the message, kPiece + PieceKind
  };
  static constexpr size_t kHeadBytes = 5;

  size_t size() const { return bytes_.size(); }

  // False: the bound is met or the pool is empty. The log is then to be cleared, since part of the record may be there.
  bool Append(uint8_t tag, std::string_view text, size_t bytes_max, ChunkPool* pool) {
    if (bytes_.size() + kHeadBytes + text.size() > bytes_max) return false;
    uint8_t head[kHeadBytes] = {tag};
    StoreLe<uint32_t>(head + 1, static_cast<uint32_t>(text.size()));
    return bytes_.Append(pool, head) && bytes_.Append(pool, AsBytes(text));
  }
  // Copies all of it; `out` has room for size().
  void CopyTo(uint8_t* out) const { bytes_.CopyTo(out); }
  void Clear(ChunkPool* pool) { bytes_.Clear(pool); }

  // on_record(uint8_t tag, std::string_view text) for each whole record of a copy.
  template <typename OnRecord>
  static void Walk(std::string_view log, OnRecord&& on_record) {
    while (log.size() >= kHeadBytes) {
      const auto tag = static_cast<uint8_t>(log[0]);
      const size_t length = LoadLe<uint32_t>(reinterpret_cast<const uint8_t*>(log.data()) + 1);
      log.remove_prefix(kHeadBytes);
      if (length > log.size()) return;
      on_record(tag, log.substr(0, length));
      log.remove_prefix(length);
    }
  }

 private:
  static Bytes AsBytes(std::string_view text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }

  ChunkList bytes_;
};

}  // namespace stillwatch::dataplane
