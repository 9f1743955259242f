#include "dataplane/llm/event_stream.h"

#include <array>

#include "base/mutant.h"

namespace stillwatch::dataplane {
namespace {

constexpr size_t kCrcBytes = 4;

constexpr std::array<uint32_t, 256> kCrcTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ (value & 1 ? 0xEDB88320u : 0);
    table[i] = value;
  }
  return table;
}();

constexpr std::array<int8_t, 256> kBase64 = [] {
  std::array<int8_t, 256> table{};
  table.fill(-1);
  int8_t value = 0;
  for (char c = 'A'; c <= 'Z'; ++c) table[static_cast<uint8_t>(c)] = value++;
  for (char c = 'a'; c <= 'z'; ++c) table[static_cast<uint8_t>(c)] = value++;
  for (char c = '0'; c <= '9'; ++c) table[static_cast<uint8_t>(c)] = value++;
  table['+'] = 62;
  table['/'] = 63;
  return table;
}();

// Bytes of a header's value by its type, without the two that tell a length; -1 for a type that does not exist.
int FixedBytes(uint8_t type) {
  static constexpr int kBytes[] = {0, 0, 1, 2, 4, 8, 0, 0, 8, 16};
  return type < std::size(kBytes) ? kBytes[type] : -1;
}

std::string_view TextOf(Bytes data) { return {reinterpret_cast<const char*>(data.data()), data.size()}; }

}  // namespace

uint32_t Crc32(uint32_t crc, Bytes data) {
  crc = ~crc;
  for (const uint8_t byte : data) crc = crc >> 8 ^ kCrcTable[(crc ^ byte) & 0xFF];
  return ~crc;
}

bool EventStreamFramer::PreludeHolds() const {
  const uint32_t total = LoadBe32(prelude_), headers = LoadBe32(prelude_ + 4);
  return total >= kEventPreludeBytes + kCrcBytes && headers <= total - kEventPreludeBytes - kCrcBytes &&
         Crc32(0, {prelude_, 8}) == LoadBe32(prelude_ + 8);
}

bool ReadEventFrame(Bytes prelude, Bytes rest, EventFrame* frame) {
  const size_t headers_size = LoadBe32(prelude.data() + 4);
  if (rest.size() < kCrcBytes || headers_size > rest.size() - kCrcBytes) return false;
  const Bytes covered = rest.first(rest.size() - kCrcBytes);
  if (Crc32(Crc32(0, prelude), covered) != LoadBe32(rest.data() + covered.size()) &&
      !MutantIs("llm.event_crc_unchecked")) {
    return false;
  }
  Bytes headers = covered.first(headers_size);
  frame->payload = TextOf(covered.subspan(headers_size));
  while (!headers.empty()) {
    const size_t name_size = headers[0];
    if (headers.size() < 1 + name_size + 1) return false;
    const std::string_view name = TextOf(headers.subspan(1, name_size));
    const uint8_t type = headers[1 + name_size];
    headers = headers.subspan(name_size + 2);
    constexpr uint8_t kBytesType = 6, kStringType = 7;
    size_t size = 0;
    if (type == kBytesType || type == kStringType) {
      if (headers.size() < 2) return false;
      size = LoadBe16(headers.data());
      headers = headers.subspan(2);
    } else if (const int fixed = FixedBytes(type); fixed >= 0) {
      size = static_cast<size_t>(fixed);
    } else {
      return false;
    }
    if (headers.size() < size) return false;
    const std::string_view value = TextOf(headers.first(size));
    headers = headers.subspan(size);
    if (name == ":event-type" || name == ":exception-type" || name == ":error-code") frame->type = value;
    if (name == ":message-type") frame->exception = value != "event";
  }
  return true;
}

ptrdiff_t DecodeBase64(std::string_view text, uint8_t* out) {
  while (text.ends_with('=')) text.remove_suffix(1);
  uint8_t* const begin = out;
  uint32_t bits = 0;
  int have = 0;
  for (const char c : text) {
    const int8_t value = kBase64[static_cast<uint8_t>(c)];
    if (value < 0) return -1;
    bits = bits << 6 | static_cast<uint32_t>(value);
    have += 6;
    if (have < 8) continue;
    have -= 8;
    *out++ = static_cast<uint8_t>(bits >> have);
  }
  return out - begin;
}

}  // namespace stillwatch::dataplane
