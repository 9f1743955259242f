// How much device memory the CUDA twin takes, all of it at its start: known without a device, so that a budget
// is refused by the same words on every machine. Pure, but for the table files that it opens.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "gpu/backend.h"
#include "gpu/window/window.h"

namespace stillwatch::gpu {

// What one round trip to the device carries; larger batches go in several, so that a batch of the
// pipeline (4,096 exchanges) has copies that run beside kernels.
inline constexpr uint32_t kTripTokens = 1u << 18;
inline constexpr uint32_t kTripRows = 1'024;
inline constexpr uint32_t kTripQueries = 4'096;
inline constexpr uint64_t kListKeysMax = 1ull << 22;  // lists of a top-k trip, 32 MiB

// What the backend itself takes: tables, two lanes, representatives. In this order.
struct DevicePart {
  uint64_t bytes;
  const char* what;
};
using DeviceParts = std::array<DevicePart, 15>;
DeviceParts DevicePartsOf(const BackendOptions& options, uint64_t rarity_bytes, uint64_t embedding_bytes);

// With tables of these sizes.
DeviceMemory DeviceMemoryWith(const BackendOptions& options, uint64_t rarity_bytes, uint64_t embedding_bytes);

// Ok, or that `available` bytes are too few, whose they are ("NAME has 5 free"), and what would fit them.
Status CheckDeviceMemory(const DeviceMemory& needed, uint64_t available, const std::string& whose);

}  // namespace stillwatch::gpu
