#include "base/text/fold_table.h"

namespace stillwatch::text {
namespace {
#include "base/text/fold_table.inc"

constexpr uint32_t kBlock = 128;          // code points in a block of stage 2
constexpr uint16_t kFirstSequence = 8;    // records below are classes
}  // namespace

Folded Fold(uint32_t code_point) {
  if (code_point > 0x10FFFF) return {CharClass::kSpace, {}};
  constexpr uint32_t kLast = std::size(kFoldStage1) - 1;
  const uint32_t row = code_point / kBlock < kLast ? code_point / kBlock : kLast;
  const uint16_t record = kFoldStage2[kFoldStage1[row] * kBlock + code_point % kBlock];
  if (record < kFirstSequence) return {static_cast<CharClass>(record), {}};
  const uint16_t* offset = kFoldOffsets + (record - kFirstSequence);
  return {CharClass::kSpace,
          {kFoldPool + offset[0], static_cast<size_t>(offset[1] - offset[0])}};
}

}  // namespace stillwatch::text
