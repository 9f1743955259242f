// A file mapped for reading. For capture readers. The mapping is private: what is written into it
// (after MakeWritable) never reaches the file. A file that another program cuts short while it is
// mapped ends this process with SIGBUS, as it does for every reader of mapped files: copy a capture
// that is still being rotated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace stillwatch::dataplane {

class MappedFile {
 public:
  static Result<MappedFile> Open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  Bytes bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }

  // Copy on write, for link headers that are made up in place.
  Status MakeWritable();
  uint8_t* writable() { return writable_ ? data_ : nullptr; }

  // Gives the memory of [begin, end) back; it is read again from the file when touched. What was
  // written there is lost. Bounds are rounded inwards to pages.
  void Forget(size_t begin, size_t end);

 private:
  MappedFile() = default;

  std::string path_;
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
  bool writable_ = false;
};

}  // namespace stillwatch::dataplane
