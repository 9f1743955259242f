// A fixed number of objects out of one reservation: taking and giving back never call the allocator, and memory
// that was never taken is never touched, so that a generous limit costs address space only. One thread.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>

namespace stillwatch::dataplane {

template <typename T>
class Slab {
 public:
  explicit Slab(size_t objects_max)
      : objects_max_(objects_max),
        memory_(static_cast<Place*>(
            ::operator new(sizeof(Place) * (objects_max + 1), std::align_val_t{kAlign}))) {
    // Objects are reached at random: large pages spare address translation. Only advice.
    if (sizeof(Place) * objects_max >= kLargePage) {
      const auto begin = (reinterpret_cast<uintptr_t>(memory_.get()) + kLargePage - 1) / kLargePage * kLargePage;
      const auto end = reinterpret_cast<uintptr_t>(memory_.get() + objects_max) / kLargePage * kLargePage;
      if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
    }
  }
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  // A value-initialised object; nullptr when all are taken. The owner gives each back before the slab ends.
  T* Take() {
    Place* const place = TakePlace();
    return place == nullptr ? nullptr : new (place->bytes) T{};
  }
  // The same without touching its bytes, for types that are plain memory.
  T* TakeRaw() {
    static_assert(std::is_trivially_copyable_v<T>);
    Place* const place = TakePlace();
    return place == nullptr ? nullptr : new (place->bytes) T;
  }
  void Give(T* object) {
    object->~T();
    Place* const place = reinterpret_cast<Place*>(object);
    place->next = free_;
    free_ = place;
    --taken_;
  }
  size_t taken() const { return taken_; }

 private:
  static constexpr size_t kLargePage = 2u << 20;
  static constexpr size_t kAlign = alignof(T) > 64 ? alignof(T) : 64;
  union Place {
    Place* next;
    alignas(T) std::byte bytes[sizeof(T)];
  };
  struct Release {
    void operator()(Place* memory) const { ::operator delete(memory, std::align_val_t{kAlign}); }
  };

  Place* TakePlace() {
    Place* place = free_;
    if (place != nullptr) {
      free_ = place->next;
    } else {
      if (fresh_ == objects_max_) return nullptr;
      place = memory_.get() + fresh_++;
    }
    ++taken_;
    return place;
  }

  const size_t objects_max_;
  std::unique_ptr<Place, Release> memory_;
  Place* free_ = nullptr;
  size_t fresh_ = 0, taken_ = 0;
};

}  // namespace stillwatch::dataplane
