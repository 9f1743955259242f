// Header blocks of one direction to fields (RFC 7541), through nghttp2's inflater with memory from a bounded pool.
// For Http2Reader, on the worker's thread.
//
// A watcher may have lost the dynamic table (joined in the middle, missing bytes). Then the block is walked
// instruction by instruction: what refers to an entry that was never seen is left out and counted, entries that
// are added from here on are known, and so the table heals. The same walk is taken where the peer announced a
// larger table than table_bytes_max: entries past it count as never seen.
#pragma once

#include <nghttp2/nghttp2.h>

#include <memory>
#include <span>

#include "base/bytes.h"
#include "dataplane/http/hpack_memory.h"
#include "dataplane/http/http_observer.h"

namespace stillwatch::dataplane {

inline constexpr uint32_t kHpackTableBytes = 4'096;  // until SETTINGS_HEADER_TABLE_SIZE says otherwise

// Fields of one header block, copied: nghttp2 gives each for a moment. One a worker.
class FieldList {
 public:
  explicit FieldList(size_t list_bytes_max);
  void Clear();
  // Over the bound (of names, values and 32 bytes a field, RFC 9113, 6.5.2) all later fields are dropped: too_large().
  void Add(std::string_view name, std::string_view value);
  void DropAll() { too_large_ = true; }
  bool too_large() const { return too_large_; }
  std::span<const HttpHeader> fields() const { return {fields_.get(), count_}; }
  uint32_t lost = 0;  // fields whose name or value stood in a lost table

 private:
  const size_t list_bytes_max_;
  std::unique_ptr<HttpHeader[]> fields_;
  std::unique_ptr<char[]> text_;
  size_t count_ = 0, text_bytes_ = 0, list_bytes_ = 0;
  bool too_large_ = false;
};

// What the decoders of one worker share. `table_bytes_max`: of one dynamic table.
struct HpackShared {
  HpackShared(size_t memory_bytes_max, uint32_t table_max);
  HpackMemory memory;
  nghttp2_mem hooks;
  const uint32_t table_bytes_max;
};

class HpackDecoder {
 public:
  explicit HpackDecoder(HpackShared* shared) : shared_(shared) {}
  ~HpackDecoder() { Drop(); }
  HpackDecoder(const HpackDecoder&) = delete;
  HpackDecoder& operator=(const HpackDecoder&) = delete;

  enum class Step : uint8_t {
    kDone,      // `*block` was taken in, as far as it makes whole instructions where it is not final
    kBudget,    // fields are dropped and the budget is spent: call again
    kFailed,    // not HPACK: the table is lost
    kNoMemory,  // the pool is empty: the table is lost
  };
  // Takes in (a part of) a header block; `final` closes it. `*dropped_budget` is charged with fields that `out` drops.
  Step Decode(Bytes* block, bool final, FieldList* out, uint64_t* dropped_budget);

  // The peer acknowledged a SETTINGS_HEADER_TABLE_SIZE; between blocks only. A larger one lets it say a larger
  // size in a block. A smaller one changes nothing here: the peer must say the smaller size itself (RFC 7541, 4.2),
  // and entries kept longer than the peer keeps them are referred to by nobody.
  void SetTableMax(uint32_t bytes);
  // Bytes of the direction that may have changed the table are missing. False: it was lost already.
  bool Lose();
  bool walks() const { return walks_; }

 private:
  struct Instruction;
  bool Ready();
  void Drop();
  Step Feed(Bytes piece, bool final, FieldList* out, uint64_t* dropped_budget);
  Step Walk(Bytes* block, bool final, FieldList* out, uint64_t* dropped_budget);
  Step WalkOne(const Instruction& instruction, Bytes whole, FieldList* out, uint64_t* dropped_budget);
  Step Fail(long code);

  HpackShared* const shared_;
  nghttp2_hd_inflater* inflater_ = nullptr;  // made at the first block
  uint32_t table_max_ = kHpackTableBytes;  // the largest that the peer may say
  bool walks_ = false, lost_ = false;
  bool hides_ = false;  // the next field has a name in place of a lost one
  Bytes rest_;          // of a piece that Feed could not end for the budget
};

}  // namespace stillwatch::dataplane
