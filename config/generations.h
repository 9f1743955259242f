// The life of a configuration on one box: candidate -> running-unconfirmed -> confirmed. Each step is a
// file below STATE_DIR/config, written beside and renamed, with fsync of file and folder, so that a power
// cut leaves the old state or the new one. A start takes the last confirmed. Folder and files are the daemon's
// user's alone: a configuration may hold keys.
// Called by the daemon's main and control threads, one at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

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

  Status SaveCandidate(uint64_t generation, const std::string& text);
  Status MarkRunning(uint64_t generation);   // candidate -> running-unconfirmed
  Status Confirm(uint64_t generation);       // running-unconfirmed -> confirmed
  Status Discard(uint64_t generation);       // removes what was not confirmed

 private:
  explicit GenerationStore(std::string folder) : folder_(std::move(folder)) {}
  std::string PathOf(uint64_t generation, const char* state) const;
  Status Move(uint64_t generation, const char* from, const char* to);

  std::string folder_;
};

}  // namespace stillwatch::config
