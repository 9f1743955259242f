// One growing NDJSON file. Only whole lines are ever left in it: an append that fails midway is cut
// back, and a torn last line that a crash left is cut off at Open. One thread. Owns the descriptor.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace stillwatch::pipeline {

class NdjsonFile {
 public:
  NdjsonFile() = default;
  ~NdjsonFile();
  NdjsonFile(const NdjsonFile&) = delete;
  NdjsonFile& operator=(const NdjsonFile&) = delete;

  // Creates `path` when missing. With `keep` what is there stays (less a torn last line), else the
  // file starts empty.
  Status Open(const std::string& path, bool keep);

  // Appends whole lines. On failure nothing of them stays in the file.
  Status Append(std::string_view lines);
  // Undoes appends since the file had `size` bytes. Used when another file of the same step failed.
  Status CutBackTo(uint64_t size);
  // Durable: fsync of the file.
  Status Sync();
  // Renames the file to `target` (same folder) and starts a new empty one.
  Status MoveAside(const std::string& target);

  uint64_t size() const { return size_; }
  bool torn_line_cut() const { return torn_line_cut_; }

 private:
  Status CutTornLine();
  Error Failed(std::string_view what, int error) const;

  std::string path_;
  int fd_ = -1;
  uint64_t size_ = 0;
  bool torn_line_cut_ = false;
};

// Durable names: fsync of the folder after files were made or renamed in it.
Status SyncFolder(const std::string& folder);

}  // namespace stillwatch::pipeline
