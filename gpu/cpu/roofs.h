// What this core can do at best, measured beside the kernels of bench_stages so that each is judged by a
// roof of the same minute: 512-bit operations from registers, bins updated, cache lines at random
// addresses. Vector roofs need AVX-512 VNNI; elsewhere they are 0 and nothing is said of them.
#pragma once

#include <cstdint>

namespace stillwatch::gpu {

struct Roofs {
  double vector_ops = 0;    // exclusive ors of 64 bytes a second: the simplest operation
  double multiplies = 0;    // vectors of 16 32-bit products
  double int8_pairs = 0;    // int8 products with their addition
  double bin_updates = 0;   // minima taken into one of 128 bins, hashes known ahead
  double lines_8mib = 0;    // lines read at random out of 8 MiB, addresses known ahead
  double lines_1gib = 0;    // the same, read and written, out of 1 GiB
};
Roofs MeasureRoofs();

}  // namespace stillwatch::gpu
