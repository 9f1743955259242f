// Memory, moves, and what the lanes of a warp do together.
#include <bit>
#include <cstring>

#include "tests/ptx/ops.h"
#include "tests/ptx/warp.h"

namespace stillwatch::ptx {
namespace {

uint64_t Extended(uint64_t value, uint32_t bytes, bool sign) {
  if (bytes == 8) return value;
  const uint32_t bits = bytes * 8;
  value &= (1ull << bits) - 1;
  if (sign && (value >> (bits - 1) & 1) != 0) value |= ~0ull << bits;
  return value;
}

bool Aligned(Warp& warp, const Instruction& in, uint32_t lane, uint64_t address, size_t elements) {
  if (address % (in.width * elements) == 0) return true;
  warp.Fail(lane, "misaligned vector access");
  return false;
}

}  // namespace

void Load(Warp& warp, const Instruction& in, uint32_t mask) {
  ForLanes(mask, [&](uint32_t lane) {
    uint64_t address = warp.Row(in.from[0])[lane] + static_cast<uint64_t>(in.offset);
    if (warp.failed() || !Aligned(warp, in, lane, address, in.to.size())) return;
    for (const uint32_t row : in.to) {
      const uint8_t* data = warp.Touch(in, lane, address, in.width, Access::kRead, nullptr);
      if (data == nullptr) return;
      uint64_t value = 0;
      std::memcpy(&value, data, in.width);
      warp.Row(row)[lane] = Extended(value, in.width, in.sign);
      address += in.width;
    }
  });
}

void Store(Warp& warp, const Instruction& in, uint32_t mask) {
  ForLanes(mask, [&](uint32_t lane) {
    uint64_t address = warp.Row(in.from[0])[lane] + static_cast<uint64_t>(in.offset);
    if (warp.failed() || !Aligned(warp, in, lane, address, in.from.size() - 1)) return;
    for (size_t i = 1; i < in.from.size(); ++i, address += in.width) {
      const uint64_t value = warp.Row(in.from[i])[lane];
      uint8_t* data = warp.Touch(in, lane, address, in.width, Access::kWrite, &value);
      if (data == nullptr) return;
      std::memcpy(data, &value, in.width);
    }
  });
}

void Atomic(Warp& warp, const Instruction& in, uint32_t mask) {
  ForLanes(mask, [&](uint32_t lane) {
    const uint64_t address = warp.Row(in.from[0])[lane] + static_cast<uint64_t>(in.offset);
    if (warp.failed()) return;
    uint8_t* data = warp.Touch(in, lane, address, in.width, Access::kAtomic, nullptr);
    if (data == nullptr) return;
    uint64_t raw = 0;
    std::memcpy(&raw, data, in.width);
    const uint64_t old = Extended(raw, in.width, in.sign);
    const uint64_t b = Extended(warp.Row(in.from[1])[lane], in.width, in.sign);
    const auto less = [&](uint64_t x, uint64_t y) {
      return in.sign ? static_cast<int64_t>(x) < static_cast<int64_t>(y) : x < y;
    };
    uint64_t value = b;  // exch
    switch (in.code) {
      case 0:
        value = old + b;
        break;
      case 1:
        value = less(b, old) ? b : old;
        break;
      case 2:
        value = less(old, b) ? b : old;
        break;
      case 3:
        value = old & b;
        break;
      case 4:
        value = old | b;
        break;
      case 5:
        value = old ^ b;
        break;
      case 7:
        value = old == b ? warp.Row(in.from[2])[lane] : old;
        break;
      default:
        break;
    }
    std::memcpy(data, &value, in.width);
    if (!in.to.empty()) warp.Row(in.to[0])[lane] = Extended(raw, in.width, false);
  });
}

// mov d, a; mov d, {low, high}; mov {low, high}, a. Width is that of the whole.
void Move(Warp& warp, const Instruction& in, uint32_t mask) {
  const uint32_t half = in.width * 4u;
  ForLanes(mask, [&](uint32_t lane) {
    if (in.from.size() == 2) {
      const uint64_t low = Extended(warp.Row(in.from[0])[lane], in.width / 2, false);
      warp.Row(in.to[0])[lane] = low | Extended(warp.Row(in.from[1])[lane], in.width / 2, false)
                                           << half;
      return;
    }
    const uint64_t value = warp.Row(in.from[0])[lane];
    if (in.to.size() == 2) {
      warp.Row(in.to[0])[lane] = Extended(value, in.width / 2, false);
      warp.Row(in.to[1])[lane] = Extended(value >> half, in.width / 2, false);
      return;
    }
    warp.Row(in.to[0])[lane] = Extended(value, in.width, false);
  });
}

void Convert(Warp& warp, const Instruction& in, uint32_t mask) {
  ForLanes(mask, [&](uint32_t lane) {
    const uint64_t value = Extended(warp.Row(in.from[0])[lane], in.width, in.sign);
    warp.Row(in.to[0])[lane] = Extended(value, in.code, false);  // code: bytes of the result
  });
}

void AddShared(Warp& warp, const Instruction& in, uint32_t mask) {
  ForLanes(mask, [&](uint32_t lane) {
    warp.Row(in.to[0])[lane] = (warp.Row(in.from[0])[lane] & 0xffffffffu) + kSharedBase;
  });
}
void TakeShared(Warp& warp, const Instruction& in, uint32_t mask) {
  ForLanes(mask, [&](uint32_t lane) {
    warp.Row(in.to[0])[lane] = warp.Row(in.from[0])[lane] - kSharedBase;
  });
}

// shfl.sync mode.b32 d|p, a, b, c, members
void Shuffle(Warp& warp, const Instruction& in, uint32_t mask) {
  uint64_t before[kLanes];
  std::memcpy(before, warp.Row(in.from[0]), sizeof before);
  ForLanes(mask, [&](uint32_t lane) {
    const uint32_t b = static_cast<uint32_t>(warp.Row(in.from[1])[lane]) & 31u;
    const uint32_t c = static_cast<uint32_t>(warp.Row(in.from[2])[lane]);
    const uint32_t segment = c >> 8 & 31u;
    const uint32_t lowest = lane & segment;
    const uint32_t bound = lowest | (c & 31u & ~segment);
    uint32_t source = lane;
    bool inside = true;
    switch (in.code) {
      case 0:
        source = lane ^ b, inside = source <= bound;
        break;
      case 1:
        source = lowest | (b & ~segment), inside = source <= bound;
        break;
      case 2:
        source = lane - b, inside = static_cast<int32_t>(source) >= static_cast<int32_t>(bound);
        break;
      default:
        source = lane + b, inside = source <= bound;
        break;
    }
    if (!inside) source = lane;
    if ((warp.members() >> source & 1) == 0) {
      warp.Fail(lane, "shuffle from lane " + std::to_string(source) + ", which takes no part");
      return;
    }
    warp.Row(in.to[0])[lane] = Extended(before[source], 4, false);
    if (in.to.size() > 1) warp.Row(in.to[1])[lane] = inside;
  });
}

void Ballot(Warp& warp, const Instruction& in, uint32_t mask) {
  const bool invert = !in.from_not.empty() && in.from_not[0];
  uint32_t votes = 0;
  ForLanes(mask, [&](uint32_t lane) {
    if (((warp.Row(in.from[0])[lane] & 1) != 0) != invert) votes |= 1u << lane;
  });
  ForLanes(mask, [&](uint32_t lane) {
    const uint64_t results[] = {votes, votes != 0, votes == mask};  // ballot, any, all
    warp.Row(in.to[0])[lane] = results[in.code];
  });
}

void WarpBarrier(Warp& warp, const Instruction&, uint32_t mask) {
  if (mask == warp.live()) warp.OrderLanes();
}

// Fragments of the 16 x 32 and 32 x 8 operands and the 16 x 8 result lie over the lanes as the PTX
// manual's figures for .m16n8k32 say: lane = 4 * group + place.
void MmaS8(Warp& warp, const Instruction& in, uint32_t) {
  int8_t a[16][32], b[8][32];
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    const uint32_t group = lane / 4, place = lane % 4;
    for (uint32_t i = 0; i < 4; ++i) {
      const uint32_t bytes = static_cast<uint32_t>(warp.Row(in.from[i])[lane]);
      std::memcpy(&a[group + 8 * (i % 2)][place * 4 + 16 * (i / 2)], &bytes, 4);
    }
    for (uint32_t i = 0; i < 2; ++i) {
      const uint32_t bytes = static_cast<uint32_t>(warp.Row(in.from[4 + i])[lane]);
      std::memcpy(&b[group][place * 4 + 16 * i], &bytes, 4);
    }
  }
  uint32_t sums[4][kLanes];
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    for (uint32_t i = 0; i < 4; ++i) {
      const uint32_t row = lane / 4 + 8 * (i / 2), column = lane % 4 * 2 + i % 2;
      int32_t sum = 0;
      for (uint32_t k = 0; k < 32; ++k) sum += a[row][k] * b[column][k];
      sums[i][lane] =
          static_cast<uint32_t>(sum) + static_cast<uint32_t>(warp.Row(in.from[6 + i])[lane]);
    }
  }
  for (uint32_t i = 0; i < 4; ++i) {
    for (uint32_t lane = 0; lane < kLanes; ++lane) warp.Row(in.to[i])[lane] = sums[i][lane];
  }
}

}  // namespace stillwatch::ptx
