// Memory for secrets: kept out of swap (mlock) and of core dumps (MADV_DONTDUMP), wiped when given back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <type_traits>

namespace stillwatch::dataplane {

class LockedMemory {
 public:
  // Zeroes. Where the system refuses to lock so much (RLIMIT_MEMLOCK), locked() says so and the memory serves
  // all the same.
  explicit LockedMemory(size_t bytes);
  ~LockedMemory();
  LockedMemory(const LockedMemory&) = delete;
  LockedMemory& operator=(const LockedMemory&) = delete;

  std::byte* data() const { return data_; }
  bool locked() const { return locked_; }

 private:
  const size_t bytes_;
  std::byte* data_;
  bool locked_;
};

// Overwrites in a way that no compiler removes.
void Wipe(void* data, size_t bytes);

// A fixed number of plain objects in locked memory. One thread.
template <typename T>
class LockedSlab {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  explicit LockedSlab(size_t objects_max) : objects_max_(objects_max), memory_(sizeof(Place) * objects_max) {}
  // All zero; nullptr when all are taken.
  T* Take() {
    Place* place = free_;
    if (place != nullptr) {
      free_ = place->next;
      std::memset(static_cast<void*>(place), 0, sizeof(Place));
    } else {
      if (fresh_ == objects_max_) return nullptr;
      place = reinterpret_cast<Place*>(memory_.data()) + fresh_++;
    }
    ++taken_;
    return new (static_cast<void*>(place)) T{};
  }
  void Give(T* object) {
    Wipe(object, sizeof(T));
    auto* const place = reinterpret_cast<Place*>(object);
    place->next = free_;
    free_ = place;
    --taken_;
  }
  size_t taken() const { return taken_; }
  bool locked() const { return memory_.locked(); }

 private:
  union Place {
    Place* next;
    alignas(T) std::byte bytes[sizeof(T)];
  };
  const size_t objects_max_;
  LockedMemory memory_;
  Place* free_ = nullptr;
  size_t fresh_ = 0, taken_ = 0;
};

}  // namespace stillwatch::dataplane
