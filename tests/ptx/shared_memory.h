// A block's shared memory and what has been done to it: which bytes are initialised, and for each
// word who touched it since the last barrier. Two threads that touch one word, one of them writing,
// race unless a barrier of the block or of their warp (bar.warp.sync of all lanes) lies between.
// Atomics do not race with each other, nor do two writes of one value.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace stillwatch::ptx {

enum class Access : uint8_t { kRead, kWrite, kAtomic };

// When and by whom, as far as ordering goes.
struct Moment {
  uint32_t thread;       // in the block
  uint32_t block_epoch;  // barriers of the block so far
  uint32_t warp_epoch;   // barriers of the thread's warp so far
  uint32_t line;
};

class SharedMemory {
 public:
  explicit SharedMemory(uint32_t bytes) : bytes_(bytes), valid_(bytes), words_((bytes + 3) / 4) {}

  uint8_t* data() { return bytes_.data(); }
  uint32_t size() const { return static_cast<uint32_t>(bytes_.size()); }

  // Bounds, alignment, initialisation and races of one access; "" when all is well. For writes
  // `value` is what will be stored (null: unknown).
  std::string Check(uint64_t at, uint32_t bytes, Access access, const Moment& now,
                    const void* value) {
    if (at % bytes != 0) return "misaligned shared access at byte " + std::to_string(at);
    if (at > size() || bytes > size() - at) {
      return "shared access at byte " + std::to_string(at) + " of " + std::to_string(size());
    }
    if (access != Access::kWrite) {
      for (uint32_t i = 0; i < bytes; ++i) {
        if (valid_[at + i] == 0) {
          return "read of uninitialised shared byte " + std::to_string(at + i);
        }
      }
    }
    const bool same = access == Access::kWrite && value != nullptr && valid_[at] != 0 &&
                      std::memcmp(&bytes_[at], value, bytes) == 0;
    for (uint64_t word = at / 4; word <= (at + bytes - 1) / 4; ++word) {
      if (std::string race = Touch(words_[word], access, now, same); !race.empty()) {
        return "shared-memory race at byte " + std::to_string(word * 4) + ": " + race;
      }
    }
    if (access != Access::kRead) std::memset(&valid_[at], 1, bytes);
    return "";
  }

 private:
  // One kind of access to a word since it was last ordered: by one thread, by several of one warp
  // (the warp of `last`), or by several warps.
  enum class By : uint8_t { kNobody, kThread, kWarp, kBlock };
  struct Seen {
    Moment last = {};
    By by = By::kNobody;
  };
  struct Word {
    Seen read, write, atomic;
  };

  static bool Ordered(const Seen& seen, const Moment& now) {
    if (seen.by == By::kNobody || seen.last.block_epoch < now.block_epoch) return true;
    if (seen.by == By::kBlock || seen.last.thread / 32 != now.thread / 32) return false;
    return (seen.by == By::kThread && seen.last.thread == now.thread) ||
           seen.last.warp_epoch < now.warp_epoch;
  }
  static void Note(Seen& seen, const Moment& now) {
    if (seen.by == By::kNobody || Ordered(seen, now)) {
      seen = {now, By::kThread};
    } else if (seen.by != By::kBlock) {
      seen.by = seen.last.thread / 32 == now.thread / 32 ? By::kWarp : By::kBlock;
      seen.last = now;
    }
  }
  static std::string Touch(Word& word, Access access, const Moment& now, bool same_value) {
    const auto clash = [&](const Seen& seen, const char* what) {
      if (Ordered(seen, now)) return std::string();
      return std::string(what) + " by thread " + std::to_string(seen.last.thread) + " at line " +
             std::to_string(seen.last.line) + " with no barrier between";
    };
    std::string race;
    if (!same_value) race = clash(word.write, "written");
    if (race.empty() && access != Access::kAtomic) race = clash(word.atomic, "atomically changed");
    if (race.empty() && access != Access::kRead) race = clash(word.read, "read");
    Note(access == Access::kRead    ? word.read
         : access == Access::kWrite ? word.write
                                    : word.atomic,
         now);
    return race;
  }

  std::vector<uint8_t> bytes_, valid_;
  std::vector<Word> words_;
};

}  // namespace stillwatch::ptx
