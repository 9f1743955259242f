// What instructions do to lanes, found by name and type.
#pragma once

#include <string>

#include "tests/ptx/kernel.h"

namespace stillwatch::ptx {

struct Type {
  char kind = 'u';  // u, s, b; p: predicate
  uint32_t bits = 32;
};

// Codes of setp, atom and shfl in Instruction::code; kNoCode when the word is none.
inline constexpr uint8_t kNoCode = 255;
uint8_t CompareCode(const std::string& word);
uint8_t AtomicCode(const std::string& word);
uint8_t ShuffleCode(const std::string& word);

// Integer arithmetic, logic, selection: "add", "mul.wide" ..; null when not covered.
Action IntegerAction(const std::string& name, Type type);

// The others each have one action; the instruction's fields say the rest.
void Load(Warp& warp, const Instruction& in, uint32_t mask);
void LoadParameter(Warp& warp, const Instruction& in, uint32_t mask);
void Store(Warp& warp, const Instruction& in, uint32_t mask);
void Atomic(Warp& warp, const Instruction& in, uint32_t mask);
void Move(Warp& warp, const Instruction& in, uint32_t mask);  // mov, also to and from halves
void Convert(Warp& warp, const Instruction& in,
             uint32_t mask);  // cvt: width and sign of the source
void AddShared(Warp& warp, const Instruction& in, uint32_t mask);
void TakeShared(Warp& warp, const Instruction& in, uint32_t mask);
void Shuffle(Warp& warp, const Instruction& in, uint32_t mask);
void Ballot(Warp& warp, const Instruction& in, uint32_t mask);
void WarpBarrier(Warp& warp, const Instruction& in, uint32_t mask);
void MmaS8(Warp& warp, const Instruction& in, uint32_t mask);  // m16n8k32 row.col s32.s8.s8.s32

}  // namespace stillwatch::ptx
