// Rows of int8 values and the best dot products among them, by a sort of all: what top k and account pairs must equal.
#pragma once

#include <algorithm>
#include <climits>
#include <random>
#include <vector>

#include "gpu/backend.h"

namespace stillwatch::gpu {

// range: values in -range..range (128: all of int8), so that a small range makes many ties.
inline std::vector<int8_t> Values(std::mt19937_64& random, size_t rows, int range) {
  std::vector<int8_t> values(rows * kEmbeddingDims);
  for (int8_t& value : values) {
    value = range == 128 ? static_cast<int8_t>(random())
                         : static_cast<int8_t>(static_cast<int>(random() % (2 * range + 1)) - range);
  }
  return values;
}

enum class Among { kAll, kOthers };  // kOthers: the queries are the rows, and none finds itself

inline std::vector<RepresentativeMatch> BruteForce(const std::vector<int8_t>& rows, const std::vector<int8_t>& queries, uint32_t k,
                                                   int32_t threshold = INT32_MIN, Among among = Among::kAll) {
  std::vector<RepresentativeMatch> out;
  for (size_t q = 0; q < queries.size(); q += kEmbeddingDims) {
    std::vector<RepresentativeMatch> all;
    for (size_t r = 0; r < rows.size(); r += kEmbeddingDims) {
      int32_t dot = 0;
      for (uint32_t d = 0; d < kEmbeddingDims; ++d) dot += rows[r + d] * queries[q + d];
      if (among == Among::kOthers && r == q) continue;
      if (dot > threshold) all.push_back({static_cast<uint32_t>(r / kEmbeddingDims), dot});
    }
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.dot > b.dot; });
    all.resize(k, {UINT32_MAX, INT32_MIN});
    out.insert(out.end(), all.begin(), all.end());
  }
  return out;
}

}  // namespace stillwatch::gpu
