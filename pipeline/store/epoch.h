// Event ids. An id is BOX-EPOCH-SEQUENCE: the box's name, the epoch of this start, and a count from
// 1 within it. The epoch is raised durably before the first event of a start, so an id is never
// given twice even where the last events of the start before were lost. The daemon takes the epoch
// from Outbox::epoch() (live) or uses kReplayEpoch (replay, which must repeat itself), and the
// pipeline counts the sequence.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace stillwatch::pipeline {

inline constexpr uint64_t kReplayEpoch = 1;

// The epoch after `last`. Never below the wall clock's seconds: where an operator deleted the
// store, the count starts anew, yet consumers that remember the old ids must not drop the new
// events.
uint64_t NextEpoch(uint64_t last, const Clock& clock);

// For a daemon without an outbox: reads the last epoch from the file at `path` (none: 0), stores
// the next one durably and returns it. A file that holds anything but a number is an error, not a
// 0.
Result<uint64_t> RaiseEpochFile(const std::string& path, const Clock& clock);

std::string EventId(std::string_view box, uint64_t epoch, uint64_t sequence);

struct EventIdParts {
  std::string box;
  uint64_t epoch;
  uint64_t sequence;
};
// Reads what EventId writes; the box's name may itself hold '-'.
std::optional<EventIdParts> ParseEventId(std::string_view id);

}  // namespace stillwatch::pipeline
