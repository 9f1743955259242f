// Arithmetic, as the PTX ISA manual (version 9.0) defines it.
#include "tests/ptx/ops.h"

#include <bit>
#include <limits>
#include <type_traits>

#include "tests/ptx/warp.h"

namespace stillwatch::ptx {
namespace {

template <typename T>
using U = std::make_unsigned_t<T>;
using Wide = unsigned __int128;

template <typename T>
T Get(Warp& warp, uint32_t row, uint32_t lane) {
  return static_cast<T>(warp.Row(row)[lane]);
}
template <typename T>
void Set(Warp& warp, uint32_t row, uint32_t lane, T value) {
  warp.Row(row)[lane] = static_cast<U<T>>(value);
}

// Each operation is F<T>::Do of its operands; Run calls it for every lane.
template <typename T, typename R, auto F>
void Run1(Warp& warp, const Instruction& in, uint32_t mask) {
  ForLanes(mask, [&](uint32_t l) { Set<R>(warp, in.to[0], l, F(Get<T>(warp, in.from[0], l))); });
}
template <typename T, typename R, auto F>
void Run2(Warp& warp, const Instruction& in, uint32_t mask) {
  ForLanes(mask, [&](uint32_t l) {
    Set<R>(warp, in.to[0], l, F(Get<T>(warp, in.from[0], l), Get<T>(warp, in.from[1], l)));
  });
}
template <typename T, typename R, auto F>
void Run3(Warp& warp, const Instruction& in, uint32_t mask) {
  ForLanes(mask, [&](uint32_t l) {
    Set<R>(
        warp, in.to[0], l,
        F(Get<T>(warp, in.from[0], l), Get<T>(warp, in.from[1], l), Get<R>(warp, in.from[2], l)));
  });
}
// Shifts take their amount as 32 bits.
template <typename T, auto F>
void RunShift(Warp& warp, const Instruction& in, uint32_t mask) {
  ForLanes(mask, [&](uint32_t l) {
    Set<T>(warp, in.to[0], l, F(Get<T>(warp, in.from[0], l), Get<uint32_t>(warp, in.from[1], l)));
  });
}
template <typename T>
void Divide(Warp& warp, const Instruction& in, uint32_t mask) {
  ForLanes(mask, [&](uint32_t l) {
    const T a = Get<T>(warp, in.from[0], l), b = Get<T>(warp, in.from[1], l);
    if (b == 0) return warp.Fail(l, "division by zero");
    if (std::is_signed_v<T> && a == std::numeric_limits<T>::min() && b == static_cast<T>(-1)) {
      return warp.Fail(l, "division overflows");
    }
    Set<T>(warp, in.to[0], l, static_cast<T>(in.code != 0 ? a % b : a / b));
  });
}
template <typename T>
bool Compare(uint8_t code, T a, T b) {
  switch (code) {
    case 0:
      return a == b;
    case 1:
      return a != b;
    case 2:
      return a < b;
    case 3:
      return a <= b;
    case 4:
      return a > b;
    default:
      return a >= b;
  }
}
template <typename T>
void SetPredicate(Warp& warp, const Instruction& in, uint32_t mask) {
  ForLanes(mask, [&](uint32_t l) {
    const bool is = Compare<T>(in.code, Get<T>(warp, in.from[0], l), Get<T>(warp, in.from[1], l));
    bool result = is, inverse = !is;
    if (in.combine != 0) {
      const bool other = ((Get<uint32_t>(warp, in.from[2], l) & 1) != 0) !=
                         (in.from_not.size() > 2 && in.from_not[2]);
      const auto with = [&](bool x) {
        return in.combine == 'a' ? x && other : in.combine == 'o' ? x || other : x != other;
      };
      result = with(is);
      inverse = with(!is);
    }
    warp.Row(in.to[0])[l] = result;
    if (in.to.size() > 1) warp.Row(in.to[1])[l] = inverse;
  });
}
template <typename T>
void Select(Warp& warp, const Instruction& in, uint32_t mask) {
  ForLanes(mask, [&](uint32_t l) {
    const bool first = (warp.Row(in.from[2])[l] & 1) != 0;
    Set<T>(warp, in.to[0], l, Get<T>(warp, in.from[first ? 0 : 1], l));
  });
}
// bfi d, a, b, position, length: the low bits of a into b.
template <typename T>
void InsertField(Warp& warp, const Instruction& in, uint32_t mask) {
  ForLanes(mask, [&](uint32_t l) {
    const uint32_t at = Get<uint32_t>(warp, in.from[2], l) & 255u;
    const uint32_t length = Get<uint32_t>(warp, in.from[3], l) & 255u;
    const Wide ones = length >= 64 ? ~Wide{0} : (Wide{1} << length) - 1;
    const T field = at >= sizeof(T) * 8 ? T{0} : static_cast<T>(ones << at);
    const T a =
        at >= sizeof(T) * 8 ? T{0} : static_cast<T>(Wide{Get<T>(warp, in.from[0], l)} << at);
    Set<T>(warp, in.to[0], l, static_cast<T>((a & field) | (Get<T>(warp, in.from[1], l) & ~field)));
  });
}
// bfe of unsigned: `length` bits from `position`.
template <typename T>
void ExtractField(Warp& warp, const Instruction& in, uint32_t mask) {
  ForLanes(mask, [&](uint32_t l) {
    const uint32_t at = Get<uint32_t>(warp, in.from[1], l) & 255u;
    const uint32_t length = Get<uint32_t>(warp, in.from[2], l) & 255u;
    const Wide ones = length >= 64 ? ~Wide{0} : (Wide{1} << length) - 1;
    const Wide value = at >= sizeof(T) * 8 ? Wide{0} : Wide{Get<T>(warp, in.from[0], l)} >> at;
    Set<T>(warp, in.to[0], l, static_cast<T>(value & ones));
  });
}
template <typename A, typename B>
void Dp4a(Warp& warp, const Instruction& in, uint32_t mask) {
  ForLanes(mask, [&](uint32_t l) {
    const uint32_t a = Get<uint32_t>(warp, in.from[0], l), b = Get<uint32_t>(warp, in.from[1], l);
    uint32_t sum = Get<uint32_t>(warp, in.from[2], l);
    for (uint32_t i = 0; i < 32; i += 8) {
      sum +=
          static_cast<uint32_t>(int32_t{static_cast<A>(a >> i)} * int32_t{static_cast<B>(b >> i)});
    }
    Set<uint32_t>(warp, in.to[0], l, sum);
  });
}
void ReverseBits(Warp& warp, const Instruction& in, uint32_t mask) {
  ForLanes(mask, [&](uint32_t l) {
    uint32_t x = Get<uint32_t>(warp, in.from[0], l), y = 0;
    for (uint32_t i = 0; i < 32; ++i, x >>= 1) y = y << 1 | (x & 1);
    Set<uint32_t>(warp, in.to[0], l, y);
  });
}
// prmt without a mode: each selector nibble names one of eight bytes, its top bit asks for the
// sign.
void PermuteBytes(Warp& warp, const Instruction& in, uint32_t mask) {
  ForLanes(mask, [&](uint32_t l) {
    const uint64_t bytes =
        uint64_t{Get<uint32_t>(warp, in.from[1], l)} << 32 | Get<uint32_t>(warp, in.from[0], l);
    const uint32_t selector = Get<uint32_t>(warp, in.from[2], l);
    uint32_t out = 0;
    for (uint32_t i = 0; i < 4; ++i) {
      const uint32_t nibble = selector >> 4 * i & 15u;
      uint8_t byte = static_cast<uint8_t>(bytes >> 8 * (nibble & 7u));
      if ((nibble & 8u) != 0) byte = (byte & 0x80) != 0 ? 0xff : 0;
      out |= uint32_t{byte} << 8 * i;
    }
    Set<uint32_t>(warp, in.to[0], l, out);
  });
}
void LookUp3(Warp& warp, const Instruction& in, uint32_t mask) {
  ForLanes(mask, [&](uint32_t l) {
    const uint32_t a = Get<uint32_t>(warp, in.from[0], l), b = Get<uint32_t>(warp, in.from[1], l),
                   c = Get<uint32_t>(warp, in.from[2], l),
                   table = Get<uint32_t>(warp, in.from[3], l);
    uint32_t out = 0;
    for (uint32_t i = 0; i < 8; ++i) {
      if ((table >> i & 1) == 0) continue;
      out |= ((i & 4) != 0 ? a : ~a) & ((i & 2) != 0 ? b : ~b) & ((i & 1) != 0 ? c : ~c);
    }
    Set<uint32_t>(warp, in.to[0], l, out);
  });
}
// shf.l and shf.r of 32 bits: a funnel of from[1]:from[0].
template <bool kLeft, bool kWrap>
void Funnel(Warp& warp, const Instruction& in, uint32_t mask) {
  ForLanes(mask, [&](uint32_t l) {
    const uint64_t both =
        uint64_t{Get<uint32_t>(warp, in.from[1], l)} << 32 | Get<uint32_t>(warp, in.from[0], l);
    uint32_t by = Get<uint32_t>(warp, in.from[2], l);
    by = kWrap ? by & 31u : by < 32 ? by : 32;
    Set<uint32_t>(warp, in.to[0], l, static_cast<uint32_t>(kLeft ? both << by >> 32 : both >> by));
  });
}

template <typename T>
Action Arithmetic(const std::string& name) {
  if (name == "add") return Run2<T, T, [](T a, T b) { return T(U<T>(a) + U<T>(b)); }>;
  if (name == "sub") return Run2<T, T, [](T a, T b) { return T(U<T>(a) - U<T>(b)); }>;
  if (name == "mul.lo") return Run2<T, T, [](T a, T b) { return T(Wide(U<T>(a)) * U<T>(b)); }>;
  if (name == "mul.hi") {
    using W = std::conditional_t<std::is_signed_v<T>, __int128, Wide>;
    return Run2<T, T, [](T a, T b) { return T(W(a) * W(b) >> sizeof(T) * 8); }>;
  }
  if (name == "mad.lo") {
    return Run3<T, T, [](T a, T b, T c) { return T(Wide(U<T>(a)) * U<T>(b) + U<T>(c)); }>;
  }
  if (name == "min") return Run2<T, T, [](T a, T b) { return b < a ? b : a; }>;
  if (name == "max") return Run2<T, T, [](T a, T b) { return a < b ? b : a; }>;
  if (name == "neg") return Run1<T, T, [](T a) { return T(U<T>(0) - U<T>(a)); }>;
  if (name == "abs") return Run1<T, T, [](T a) { return a < 0 ? T(U<T>(0) - U<T>(a)) : a; }>;
  if (name == "div" || name == "rem") return Divide<T>;
  if (name == "shr") {
    return RunShift<T, [](T a, uint32_t by) {
      if (by >= sizeof(T) * 8) return a < 0 ? T(-1) : T(0);
      return T(a >> by);
    }>;
  }
  if (name == "setp") return SetPredicate<T>;
  if (name == "selp") return Select<T>;
  if constexpr (sizeof(T) == 4) {
    using W = std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>;
    if (name == "mul.wide") return Run2<T, W, [](T a, T b) { return W(a) * W(b); }>;
    if (name == "mad.wide") {
      return Run3<T, W, [](T a, T b, W c) { return W(uint64_t(W(a) * W(b)) + uint64_t(c)); }>;
    }
  }
  if constexpr (std::is_unsigned_v<T> && sizeof(T) >= 4) {
    if (name == "bfe") return ExtractField<T>;
  }
  return nullptr;
}

template <typename T>
Action Bits(const std::string& name) {
  if (name == "and") return Run2<T, T, [](T a, T b) { return T(a & b); }>;
  if (name == "or") return Run2<T, T, [](T a, T b) { return T(a | b); }>;
  if (name == "xor") return Run2<T, T, [](T a, T b) { return T(a ^ b); }>;
  if (name == "not") return Run1<T, T, [](T a) { return T(~a); }>;
  if (name == "shl") {
    return RunShift<T, [](T a, uint32_t by) { return by < sizeof(T) * 8 ? T(a << by) : T(0); }>;
  }
  if (name == "shr") return Arithmetic<T>(name);
  if (name == "setp") return SetPredicate<T>;
  if (name == "selp") return Select<T>;
  if constexpr (sizeof(T) >= 4) {
    if (name == "popc") return Run1<T, uint32_t, [](T a) { return uint32_t(std::popcount(a)); }>;
    if (name == "clz") return Run1<T, uint32_t, [](T a) { return uint32_t(std::countl_zero(a)); }>;
    if (name == "bfi") return InsertField<T>;
  }
  if constexpr (sizeof(T) == 4) {
    if (name == "brev") return ReverseBits;
    if (name == "prmt") return PermuteBytes;
    if (name == "lop3") return LookUp3;
    if (name == "shf.l.wrap") return Funnel<true, true>;
    if (name == "shf.l.clamp") return Funnel<true, false>;
    if (name == "shf.r.wrap") return Funnel<false, true>;
    if (name == "shf.r.clamp") return Funnel<false, false>;
  }
  return nullptr;
}

Action Logic(const std::string& name) {
  using P = uint64_t;
  if (name == "and") return Run2<P, P, [](P a, P b) { return a & b & 1; }>;
  if (name == "or") return Run2<P, P, [](P a, P b) { return (a | b) & 1; }>;
  if (name == "xor") return Run2<P, P, [](P a, P b) { return (a ^ b) & 1; }>;
  if (name == "not") return Run1<P, P, [](P a) { return ~a & 1; }>;
  return nullptr;
}

uint8_t CodeOf(const std::string& word, std::initializer_list<const char*> words) {
  uint8_t code = 0;
  for (const char* one : words) {
    if (word == one) return code;
    ++code;
  }
  return kNoCode;
}

}  // namespace

uint8_t CompareCode(const std::string& word) {
  const uint8_t code = CodeOf(word, {"eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs"});
  return code == kNoCode || code < 6 ? code : static_cast<uint8_t>(code - 4);
}
uint8_t AtomicCode(const std::string& word) {
  return CodeOf(word, {"add", "min", "max", "and", "or", "xor", "exch", "cas"});
}
uint8_t ShuffleCode(const std::string& word) { return CodeOf(word, {"bfly", "idx", "up", "down"}); }

Action IntegerAction(const std::string& name, Type type) {
  if (type.kind == 'p') return Logic(name);
  if (name == "dp4a") return nullptr;  // has two types: below
  if (name == "dp4a.s32.s32") return Dp4a<int8_t, int8_t>;
  if (name == "dp4a.u32.u32") return Dp4a<uint8_t, uint8_t>;
  if (name == "dp4a.s32.u32") return Dp4a<int8_t, uint8_t>;
  if (name == "dp4a.u32.s32") return Dp4a<uint8_t, int8_t>;
  if (type.kind == 'b') {
    if (type.bits == 16) return Bits<uint16_t>(name);
    if (type.bits == 32) return Bits<uint32_t>(name);
    if (type.bits == 64) return Bits<uint64_t>(name);
    return nullptr;
  }
  if (type.kind == 'u') {
    if (type.bits == 16) return Arithmetic<uint16_t>(name);
    if (type.bits == 32) return Arithmetic<uint32_t>(name);
    if (type.bits == 64) return Arithmetic<uint64_t>(name);
    return nullptr;
  }
  if (type.bits == 16) return Arithmetic<int16_t>(name);
  if (type.bits == 32) return Arithmetic<int32_t>(name);
  if (type.bits == 64) return Arithmetic<int64_t>(name);
  return nullptr;
}

}  // namespace stillwatch::ptx
