// One int8 tensor-core product of a warp. Device code.
#pragma once

#include <cstdint>

namespace stillwatch::gpu {

// sums (16 rows by 8 columns) += a (16 by 32) times b (32 by 8). Lane l gives of a the rows l / 4 and
// l / 4 + 8 (even and odd words), of b the column l / 4; its two words of each are the l % 4th four
// values of the first 16 and of the last 16. It gets the sums of its rows at the columns 2 * (l % 4)
// and the next: of the first row sums[0] and [1], of the second [2] and [3].
__device__ inline void MultiplyTile(uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0,
                                    uint32_t b1, int32_t sums[4]) {
  asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+r"(sums[0]), "+r"(sums[1]), "+r"(sums[2]), "+r"(sums[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

}  // namespace stillwatch::gpu
