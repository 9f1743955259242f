// An edge between two accounts, as the assembler reads it. Beside profiles it is the only thing that
// crosses from evidence to campaigns (contract), and it is what topic `edge` carries.
#pragma once

#include <cstdint>
#include <tuple>
#include <vector>

#include "pipeline/profile/profile.h"

namespace stillwatch::pipeline {

inline constexpr uint32_t kEdgeCores = 16;

enum class Layer : uint8_t { kTemplate = 1, kMigration = 2, kWorkDivision = 3, kElicitation = 5, kExactRules = 10 };
constexpr bool IsLayer(uint32_t number) { return number == 1 || number == 2 || number == 3 || number == 5 || number == 10; }

struct EdgeRecord {
  AccountId a, b;  // a < b
  Layer layer = Layer::kTemplate;
  int32_t weight = 0;  // 1/256 nat
  uint32_t count = 0;  // requests of both that carry it
  uint32_t shared_cores = 0;
  uint8_t cores_count = 0;
  uint32_t cores[kEdgeCores] = {};  // anchor fragments
  uint32_t first_s = 0, last_s = 0;  // seconds of traffic time

  auto Key() const { return std::tie(a, b, layer); }
};

// Sorted by accounts and layer. Edges are large, so their places are sorted and each is moved once.
std::vector<EdgeRecord> SortedEdges(std::vector<EdgeRecord> edges);

}  // namespace stillwatch::pipeline
