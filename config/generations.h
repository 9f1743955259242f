// The life of a configuration on one box: candidate -> running-unconfirmed -> confirmed. Each step is a
// file below STATE_DIR/config, written beside and renamed, with fsync of file and folder, so that a power
// cut leaves the old state or the new one. A start takes the last confirmed. One that ran and was not confirmed stays
// below as rolled-back, so that its number is not given again and what ran can be read. Folder and files are the daemon's
// user's alone: a configuration may hold keys.
// Called by the daemon's main and control threads, one at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace stillwatch::config {

class GenerationStore {
 public:
  // Makes STATE_DIR/config when missing.
  static Result<GenerationStore> Open(const std::string& state_dir);

  struct Confirmed {
    uint64_t generation;
    std::string text;  // the TOML file as it was confirmed
  };
  // nullopt when nothing was ever confirmed here.
  Result<std::optional<Confirmed>> LastConfirmed() const;

  // One more than any that ran here.
  Result<uint64_t> Next() const;

  Status SaveCandidate(uint64_t generation, const std::string& text);
  Status MarkRunning(uint64_t generation);   // candidate -> running-unconfirmed
  Status Confirm(uint64_t generation);       // running-unconfirmed -> confirmed
  Status RollBack(uint64_t generation);      // running-unconfirmed -> rolled-back
  Status Discard(uint64_t generation);       // removes what was not confirmed
  // Rolls back what a process left running unconfirmed when it ended; their numbers, ascending. At start, before a new one.
  Result<std::vector<uint64_t>> RollBackLeftovers();

 private:
  explicit GenerationStore(std::string folder) : folder_(std::move(folder)) {}
  std::string PathOf(uint64_t generation, const char* state) const;
  // Numbers of the generations in this state ("": in any), ascending.
  Result<std::vector<uint64_t>> In(const std::string& state) const;
  Status Move(uint64_t generation, const char* from, const char* to);

  std::string folder_;
};

}  // namespace stillwatch::config
