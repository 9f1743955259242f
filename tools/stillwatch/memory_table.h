// Every pool that the configuration sizes: what one holds, how many, what counts when it is empty
// and what degrades then. Printed by `stillwatch doctor` and docs/memory.md; the daemon does not
// start above memory.max_mib.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

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

// A table for people.
std::string PrintMemoryTable(const std::vector<MemoryPool>& table);

}  // namespace stillwatch
