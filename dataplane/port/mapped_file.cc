#include "dataplane/port/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace stillwatch::dataplane {

namespace {

constexpr size_t kPage = 4096;

Error FileError(const std::string& path, const std::string& reason) {
  return Error{path + ": " + reason};
}

}  // namespace

Result<MappedFile> MappedFile::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FileError(path, std::strerror(errno));
  struct stat info {};
  if (fstat(fd, &info) != 0) {
    const int reason = errno;
    close(fd);
    return FileError(path, std::strerror(reason));
  }
  if (!S_ISREG(info.st_mode)) {
    close(fd);
    return FileError(path, S_ISDIR(info.st_mode)
                               ? "is a directory; name the capture files in it"
                               : "is not a regular file; save the capture to a file first");
  }
  MappedFile file;
  file.path_ = path;
  file.size_ = static_cast<size_t>(info.st_size);
  if (file.size_ != 0) {
    void* at = mmap(nullptr, file.size_, PROT_READ, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
    const int reason = errno;
    close(fd);
    if (at == MAP_FAILED)
      return FileError(path, std::string("cannot be mapped: ") + std::strerror(reason));
    file.data_ = static_cast<uint8_t*>(at);
    madvise(at, file.size_, MADV_SEQUENTIAL);  // advice only
  } else {
    close(fd);
  }
  return file;
}

MappedFile::MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(writable_, other.writable_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(data_, size_);
}

Status MappedFile::MakeWritable() {
  if (writable_ || size_ == 0) return {};
  if (mprotect(data_, size_, PROT_READ | PROT_WRITE) != 0) {
    return FileError(path_, std::string("cannot be made copy-on-write: ") + std::strerror(errno));
  }
  writable_ = true;
  return {};
}

void MappedFile::Forget(size_t begin, size_t end) {
  begin = (begin + kPage - 1) / kPage * kPage;
  end = std::min(end, size_) / kPage * kPage;
  if (begin < end) madvise(data_ + begin, end - begin, MADV_DONTNEED);
}

}  // namespace stillwatch::dataplane
