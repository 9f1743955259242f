#include "dataplane/http/hpack.h"

#include <algorithm>
#include <cstring>

#include "base/mutant.h"

namespace stillwatch::dataplane {
namespace {

constexpr size_t kStaticEntries = 61;
constexpr size_t kFieldOverhead = 32;  // RFC 7541, 4.1
// Stands for a name that was lost.
constexpr uint8_t kHiddenName[] = {0x40, 1, '?'};

void* HookMalloc(size_t bytes, void* memory) { return static_cast<HpackMemory*>(memory)->Allocate(bytes); }
void HookFree(void* at, void* memory) { static_cast<HpackMemory*>(memory)->Free(at); }
void* HookCalloc(size_t items, size_t bytes, void* memory) {
  void* const at = static_cast<HpackMemory*>(memory)->Allocate(items * bytes);
  return at == nullptr ? nullptr : std::memset(at, 0, items * bytes);
}
void* HookRealloc(void* at, size_t bytes, void* memory) {
  return static_cast<HpackMemory*>(memory)->Reallocate(at, bytes);
}

// RFC 7541, 5.1. False: `*block` ends inside, or the number is over 31 bits (then *overflow).
bool TakeInteger(Bytes* block, int prefix_bits, uint32_t* value, bool* overflow) {
  if (block->empty()) return false;
  const uint32_t full = (1u << prefix_bits) - 1;
  uint64_t number = block->front() & full;
  size_t at = 1;
  if (number == full) {
    for (int shift = 0;; shift += 7) {
      if (at == block->size()) return false;
      const uint8_t byte = (*block)[at++];
      if (shift > 28) {
        *overflow = true;
        return false;
      }
      number += static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) break;
    }
  }
  if (number > INT32_MAX) {
    *overflow = true;
    return false;
  }
  *value = static_cast<uint32_t>(number);
  *block = block->subspan(at);
  return true;
}

// A string's bytes, with its length before them.
bool TakeString(Bytes* block, Bytes* out, bool* overflow) {
  Bytes rest = *block;
  uint32_t length = 0;
  if (!TakeInteger(&rest, 7, &length, overflow) || rest.size() < length) return false;
  const size_t whole = block->size() - rest.size() + length;
  *out = block->first(whole);
  *block = block->subspan(whole);
  return true;
}

// 001 and five bits of a size.
size_t PutTableSize(uint32_t bytes, uint8_t* out) {
  if (bytes < 31) {
    out[0] = static_cast<uint8_t>(0x20 | bytes);
    return 1;
  }
  size_t at = 0;
  out[at++] = 0x3f;
  for (bytes -= 31; bytes >= 0x80; bytes >>= 7) out[at++] = static_cast<uint8_t>(0x80 | (bytes & 0x7f));
  out[at++] = static_cast<uint8_t>(bytes);
  return at;
}

}  // namespace

// One representation of RFC 7541, section 6.
struct HpackDecoder::Instruction {
  enum class Kind : uint8_t { kIndexed, kAdded, kTableSize, kNotAdded } kind;
  uint32_t index = 0;  // or the table size
  Bytes value;         // as coded

  static Instruction Of(uint8_t first) {
    if ((first & 0x80) != 0) return {Kind::kIndexed, 0, {}};
    if ((first & 0x40) != 0) return {Kind::kAdded, 0, {}};
    if ((first & 0x20) != 0) return {Kind::kTableSize, 0, {}};
    return {Kind::kNotAdded, 0, {}};
  }
  // False: more bytes are needed.
  bool Take(Bytes* block, bool* overflow) {
    constexpr int kPrefixBits[] = {7, 6, 5, 4};
    if (!TakeInteger(block, kPrefixBits[static_cast<int>(kind)], &index, overflow)) return false;
    if (kind == Kind::kIndexed || kind == Kind::kTableSize) return true;
    Bytes name;
    return (index != 0 || TakeString(block, &name, overflow)) && TakeString(block, &value, overflow);
  }
};

FieldList::FieldList(size_t list_bytes_max)
    : list_bytes_max_(list_bytes_max),
      fields_(std::make_unique<HttpHeader[]>(list_bytes_max / kFieldOverhead)),
      text_(std::make_unique_for_overwrite<char[]>(list_bytes_max)) {}

void FieldList::Clear() {
  count_ = text_bytes_ = list_bytes_ = 0;
  too_large_ = false;
  lost = 0;
}

void FieldList::Add(std::string_view name, std::string_view value) {
  list_bytes_ += name.size() + value.size() + kFieldOverhead;
  if (list_bytes_ > list_bytes_max_) {
    too_large_ = true;
    return;
  }
  const auto copy = [this](std::string_view text) {
    char* const at = text_.get() + text_bytes_;
    std::copy(text.begin(), text.end(), at);
    text_bytes_ += text.size();
    return std::string_view(at, text.size());
  };
  fields_[count_].name = copy(name);
  fields_[count_++].value = copy(value);
}

HpackShared::HpackShared(size_t memory_bytes_max, uint32_t table_max)
    : memory(memory_bytes_max),
      hooks{&memory, HookMalloc, HookFree, HookCalloc, HookRealloc},
      table_bytes_max(table_max) {}

void HpackDecoder::Drop() {
  if (inflater_ != nullptr) nghttp2_hd_inflate_del(inflater_);
  inflater_ = nullptr;
  rest_ = {};
  hides_ = false;
}

bool HpackDecoder::Lose() {
  const bool fresh = !lost_ || inflater_ != nullptr;
  Drop();
  lost_ = walks_ = true;
  return fresh;
}

void HpackDecoder::SetTableMax(uint32_t bytes) {
  if (bytes > shared_->table_bytes_max) walks_ = true;
  if (bytes <= table_max_) return;
  table_max_ = std::min(bytes, shared_->table_bytes_max);
  if (inflater_ != nullptr) nghttp2_hd_inflate_change_table_size(inflater_, table_max_);
}

// False: no memory.
bool HpackDecoder::Ready() {
  if (inflater_ != nullptr) return true;
  if (nghttp2_hd_inflate_new2(&inflater_, &shared_->hooks) != 0) {
    inflater_ = nullptr;
    return false;
  }
  if (walks_) table_max_ = shared_->table_bytes_max;
  return table_max_ == kHpackTableBytes || nghttp2_hd_inflate_change_table_size(inflater_, table_max_) == 0;
}

HpackDecoder::Step HpackDecoder::Fail(long code) { return code == NGHTTP2_ERR_NOMEM ? Step::kNoMemory : Step::kFailed; }

HpackDecoder::Step HpackDecoder::Feed(Bytes piece, bool final, FieldList* out, uint64_t* dropped_budget) {
  for (;;) {
    if (out->too_large() && *dropped_budget == 0) {
      rest_ = piece;
      return Step::kBudget;
    }
    nghttp2_nv field;
    int flags = 0;
    const auto taken = nghttp2_hd_inflate_hd2(inflater_, &field, &flags, piece.data(), piece.size(), final);
    if (taken < 0) return Fail(taken);
    piece = piece.subspan(static_cast<size_t>(taken));
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
      if (hides_) {
        ++out->lost;
        hides_ = false;
      } else {
        out->Add({reinterpret_cast<const char*>(field.name), field.namelen},
                 {reinterpret_cast<const char*>(field.value), field.valuelen});
      }
      if (out->too_large()) {
        *dropped_budget -= std::min<uint64_t>(*dropped_budget, field.namelen + field.valuelen + kFieldOverhead);
      }
    } else if (piece.empty() || taken == 0) {
      return (flags & NGHTTP2_HD_INFLATE_FINAL) != 0 || !final ? Step::kDone : Step::kFailed;
    }
    if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) return Step::kDone;
  }
}

HpackDecoder::Step HpackDecoder::WalkOne(const Instruction& instruction, Bytes whole, FieldList* out,
                                         uint64_t* dropped_budget) {
  using Kind = Instruction::Kind;
  if (instruction.kind == Kind::kTableSize) {
    uint8_t clipped[6];
    const size_t bytes = PutTableSize(std::min(instruction.index, shared_->table_bytes_max), clipped);
    return Feed({clipped, bytes}, false, out, dropped_budget);
  }
  const bool known = instruction.index <= nghttp2_hd_inflate_get_num_table_entries(inflater_);
  if (known) return Feed(whole, false, out, dropped_budget);
  if (instruction.kind != Kind::kAdded) {
    ++out->lost;
    return Step::kDone;
  }
  // The entry takes its place in the table, its name unknown.
  hides_ = true;
  const Step step = Feed(kHiddenName, false, out, dropped_budget);
  return step == Step::kDone ? Feed(instruction.value, false, out, dropped_budget) : step;
}

HpackDecoder::Step HpackDecoder::Walk(Bytes* block, bool final, FieldList* out, uint64_t* dropped_budget) {
  while (!block->empty()) {
    if (out->too_large() && *dropped_budget == 0) return Step::kBudget;
    Instruction instruction = Instruction::Of(block->front());
    Bytes rest = *block;
    bool overflow = false;
    if (!instruction.Take(&rest, &overflow)) return overflow || final ? Step::kFailed : Step::kDone;
    // A field at a time, so that the budget is looked at between two of them only.
    uint64_t ample = UINT64_MAX;
    const Step step = WalkOne(instruction, block->first(block->size() - rest.size()), out, &ample);
    if (step != Step::kDone) return step;
    *dropped_budget -= std::min(*dropped_budget, UINT64_MAX - ample);
    *block = rest;
  }
  uint64_t ample = UINT64_MAX;
  return final ? Feed({}, true, out, &ample) : Step::kDone;
}

HpackDecoder::Step HpackDecoder::Decode(Bytes* block, bool final, FieldList* out, uint64_t* dropped_budget) {
  const bool first = inflater_ == nullptr;
  Step step = Ready() ? Step::kDone : Step::kNoMemory;
  if (step == Step::kDone && first && walks_) {
    // As large as we follow any: the peer's table may be of any size.
    uint8_t size[6];
    const size_t bytes = PutTableSize(shared_->table_bytes_max, size);
    step = Feed({size, bytes}, false, out, dropped_budget);
  }
  if (step == Step::kDone) {
    if (walks_) {
      step = Walk(block, final, out, dropped_budget);
    } else {
      step = Feed(*block, final, out, dropped_budget);
      *block = step == Step::kBudget ? rest_ : Bytes();
    }
  }
  if (step == Step::kDone && final) nghttp2_hd_inflate_end_headers(inflater_);
  if (step == Step::kFailed || step == Step::kNoMemory) Lose();
  return step;
}

}  // namespace stillwatch::dataplane
