// Every pool that the configuration sizes: what one holds, how many, what counts when it is empty
// and what degrades then. Printed by `stillwatch doctor` and docs/memory.md; the daemon does not
// start above memory.max_mib.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/config.h"

namespace stillwatch {

struct MemoryPool {
  std::string_view name;
  std::string_view key;  // configuration key that sizes it; empty: fixed
  uint64_t bytes_each;
  uint64_t count;
  std::string_view counter;   // moves when the pool is empty
  std::string_view degrades;  // what is lost then
  uint64_t bytes() const { return bytes_each * count; }
};

std::vector<MemoryPool> MemoryTable(const config::Config& config);
uint64_t TotalBytes(const std::vector<MemoryPool>& table);

// Ok, or by how much memory.max_mib is exceeded and which key to lower. For run, replay and doctor.
Status CheckMemory(const config::Config& config);

// Ok, or that sketch.device_mib is too little and what would fit. The backend's start says the same.
Status CheckDeviceBudget(const config::Config& config);

// A table for people.
std::string PrintMemoryTable(const std::vector<MemoryPool>& table);
// What a GPU's own memory has to hold, in words; empty where none is asked for. Not part of the table: it is
// not this machine's memory.
std::string DeviceMemoryText(const config::Config& config);
// docs/memory.md, whole.
std::string MemoryMarkdown(const config::Config& config);

}  // namespace stillwatch
