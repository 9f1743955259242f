// Flow records for tests: random ones and the awkward ones.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "gpu/backend.h"

namespace stillwatch::gpu {

// Owns what a FlowBatch points at.
struct Flows {
  std::vector<FlowStep> steps;
  std::vector<uint32_t> step_offsets{0};
  std::vector<int8_t> instructions;
  std::vector<uint32_t> instruction_offsets{0};

  void Add(const std::vector<FlowStep>& flow, const std::vector<int8_t>& rows = {}) {
    steps.insert(steps.end(), flow.begin(), flow.end());
    step_offsets.push_back(static_cast<uint32_t>(steps.size()));
    instructions.insert(instructions.end(), rows.begin(), rows.end());
    instruction_offsets.push_back(static_cast<uint32_t>(instructions.size() / kEmbeddingDims));
  }
  FlowBatch batch() const { return {steps, step_offsets, instructions, instruction_offsets}; }
  size_t size() const { return step_offsets.size() - 1; }
};

inline std::vector<FlowStep> RandomSteps(std::mt19937_64& random, size_t count) {
  std::vector<FlowStep> steps(count);
  for (FlowStep& step : steps) {
    // Sizes and gaps of every magnitude.
    step = {static_cast<uint32_t>(random()) >> random() % 32,
            static_cast<uint32_t>(random()) >> random() % 32, static_cast<uint8_t>(random() % 2), {}};
  }
  return steps;
}

inline std::vector<int8_t> RandomInstructions(std::mt19937_64& random, size_t rows) {
  std::vector<int8_t> values(rows * kEmbeddingDims);
  for (int8_t& value : values) value = static_cast<int8_t>(random());
  return values;
}

// No record, one, all lengths near a boundary, more than are looked at; extreme sizes and gaps, one
// direction only; instructions none, one, many, all equal and extreme.
inline Flows AwkwardFlows(uint64_t seed) {
  std::mt19937_64 random(seed);
  Flows flows;
  flows.Add({});
  flows.Add({}, std::vector<int8_t>(kEmbeddingDims, 0));
  flows.Add({}, std::vector<int8_t>(kEmbeddingDims * kFlowInstructionsMax, -128));
  for (const uint32_t count : {1u, 2u, 3u, 4u, 5u, 7u, 8u, 9u, 15u, 16u, 17u, 31u, 32u, 33u, 63u, 64u, 65u,
                               127u, 128u, 129u, 247u, 248u, 249u, 254u, 255u, 256u, 257u, 1000u}) {
    flows.Add(RandomSteps(random, count), RandomInstructions(random, random() % 4));
  }
  for (const uint32_t size : {0u, 1u, 0x7fffffffu, 0x80000000u, 0xfffffffeu, 0xffffffffu}) {
    for (const uint32_t gap : {0u, 1u, 0x80000000u, 0xffffffffu}) {
      for (const uint8_t from_client : {0, 1, 255}) {
        flows.Add(std::vector<FlowStep>(1, {size, gap, from_client, {}}));
        flows.Add(std::vector<FlowStep>(256, {size, gap, from_client, {}}),
                  std::vector<int8_t>(kEmbeddingDims * 3, static_cast<int8_t>(size & 127)));
      }
    }
  }
  return flows;
}

}  // namespace stillwatch::gpu
