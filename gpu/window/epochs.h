// How a window numbers texts and what counts as live: epochs are ranges of sequence numbers.
#pragma once

#include <algorithm>
#include <cstdint>

#include "gpu/window/bucket.h"

namespace stillwatch::gpu {

struct WindowEpochs {
  uint64_t head = 0;  // sequence number of the next text
  uint64_t epoch = 0;
  uint64_t start[64] = {};  // first sequence number of epoch e at e % 64

  void Advance() {
    ++epoch;
    start[epoch % 64] = head;
  }
  // Of a batch of `rows` texts, in a ring of `texts_max`. kept: 1..64.
  WindowAges AgesOf(uint32_t rows, uint64_t texts_max, uint32_t epochs_kept) const {
    const uint64_t back = std::min<uint64_t>(epoch, epochs_kept - 1);
    const uint64_t kept = head - start[(epoch - back) % 64];
    const auto at_most = [](uint64_t age) {  // far below 2^32, far above any live age
      return static_cast<uint32_t>(std::min<uint64_t>(age, 1u << 30));
    };
    WindowAges ages;
    ages.end = static_cast<uint32_t>(head + rows);
    ages.rows = rows;
    ages.live_max = rows + at_most(std::min(kept, texts_max));
    ages.epoch_max = rows + at_most(head - start[epoch % 64]);
    ages.before_max = epoch == 0 ? ages.epoch_max : rows + at_most(head - start[(epoch - 1) % 64]);
    return ages;
  }
};

}  // namespace stillwatch::gpu
