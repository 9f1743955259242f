// A kernel after decoding. Every operand is a row of 32 lane values in the warp's register file:
// named registers, special registers (%tid.x ..) and constants alike, so that an instruction only
// names rows.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace stillwatch::ptx {

class Warp;
struct Instruction;
// What an instruction does to the lanes of `mask`.
using Action = void (*)(Warp& warp, const Instruction& in, uint32_t mask);

inline constexpr uint32_t kNoRow = 0xffffffffu;

enum class Kind : uint8_t {
  kPlain,   // `action` on the active lanes
  kBranch,  // to `target`
  kExit,
  kGathered,      // waits until all lanes of the mask in row `members` are here, then `action`
  kBlockBarrier,  // waits until the whole block is here; `reduce` then combines predicates
};
enum class Space : uint8_t { kGlobal, kShared, kParam, kGeneric };
enum class Reduce : uint8_t { kNone, kOr, kAnd, kPopc };

struct Instruction {
  Kind kind = Kind::kPlain;
  Action action = nullptr;
  uint32_t guard = kNoRow;  // predicate row; lanes where it is false skip
  bool guard_not = false;
  uint32_t target = 0;        // branch: index of an instruction
  uint32_t members = kNoRow;  // gathered: row of the mask
  bool whole_warp = false;    // gathered: all 32 lanes must live and take part
  Reduce reduce = Reduce::kNone;
  Space space = Space::kGlobal;
  uint8_t width = 0;           // bytes of one element in memory
  bool sign = false;           // a narrow load extends its sign
  uint8_t code = 0;            // comparison, atomic operation or shuffle mode
  uint8_t combine = 0;         // setp: 'a', 'o' or 'x' with a further predicate
  int64_t offset = 0;          // added to an address
  std::vector<uint32_t> to;    // rows written
  std::vector<uint32_t> from;  // rows read
  std::vector<bool> from_not;  // predicates taken inverted; empty: none
  uint32_t line = 0;
  std::string text;
};

struct Parameter {
  uint32_t offset, bytes;
};

struct Kernel {
  std::string name;
  std::vector<Instruction> code;
  std::vector<Parameter> parameters;
  uint32_t parameter_bytes = 0;
  uint32_t shared_bytes = 0;
  uint32_t threads_max = 1024;  // .maxntid
  uint32_t rows = 0;
  std::map<uint32_t, uint64_t> constants;    // row -> value in every lane
  std::map<std::string, uint32_t> specials;  // "%tid.x" -> row
  std::string refusal;                       // what is not covered
};

}  // namespace stillwatch::ptx
