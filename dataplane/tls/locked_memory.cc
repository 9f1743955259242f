#include "dataplane/tls/locked_memory.h"

#include <openssl/crypto.h>
#include <sys/mman.h>

#include "base/check.h"
#include "base/mutant.h"

namespace stillwatch::dataplane {

namespace {

constexpr size_t kPage = 4096;

}  // namespace

LockedMemory::LockedMemory(size_t bytes) : bytes_((bytes + kPage - 1) / kPage * kPage + kPage) {
  void* const memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  data_ = static_cast<std::byte*>(memory);
  if (!MutantIs("tls.secrets_in_core_dumps")) madvise(memory, bytes_, MADV_DONTDUMP);
  locked_ = MutantIs("tls.secrets_in_swap") || mlock(memory, bytes_) == 0;
}

LockedMemory::~LockedMemory() {
  // Without the lock most pages may never have been touched; the kernel zeroes them before anyone else sees them.
  if (locked_) Wipe(data_, bytes_);
  munmap(data_, bytes_);
}

void Wipe(void* data, size_t bytes) { OPENSSL_cleanse(data, bytes); }

}  // namespace stillwatch::dataplane
