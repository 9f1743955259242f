// PTX text cut into statements. Knows nothing of what instructions mean.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace stillwatch::ptx {

// One of: "{" or "}" (a scope of registers), a label "L:", a directive ".reg .b32 %r<4>", an
// instruction "@%p1 add.s32 %r1, %r2, %r3". Comments and the final ";" are gone.
struct Statement {
  uint32_t line;
  std::string text;
};

struct EntryText {
  std::string name;
  std::vector<std::string> parameters;  // ".param .u64 name"
  std::vector<Statement> directives;    // between parameters and body: ".maxntid 128, 1, 1"
  std::vector<Statement> body;
};

Result<std::vector<EntryText>> EntriesOf(const std::string& ptx);

std::string Trimmed(const std::string& text);
// Cuts at `by` outside of brackets and braces; parts are trimmed.
std::vector<std::string> Split(const std::string& text, char by);

}  // namespace stillwatch::ptx
