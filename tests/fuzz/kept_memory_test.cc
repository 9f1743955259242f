#include <algorithm>
#include <cstdint>
#include <cstring>
#include <new>

#include <gtest/gtest.h>

namespace {

constexpr size_t kBytes = 100'001;

std::byte* Take(size_t bytes = kBytes) { return static_cast<std::byte*>(::operator new(bytes, std::align_val_t{64})); }
void Give(std::byte* block) { ::operator delete(block, std::align_val_t{64}); }
// For comparing: a block that was given back may not be looked at, nor its pointer.
uintptr_t At(const std::byte* block) { return reinterpret_cast<uintptr_t>(block); }

TEST(KeptMemory, ABlockComesBackAndReadsAsNew) {
  for (const size_t bytes : {kBytes, 10 * kBytes}) {
    const auto zeros = [&](const std::byte* block) {
      return std::all_of(block, block + bytes, [](std::byte b) { return b == std::byte{0}; });
    };
    std::byte* const first = Take(bytes);
    EXPECT_TRUE(zeros(first));
    std::memset(first, 0xab, bytes);
    const uintptr_t at = At(first);
    Give(first);
    std::byte* const again = Take(bytes);
    EXPECT_EQ(At(again), at);
    EXPECT_TRUE(zeros(again));
    Give(again);
  }
}

TEST(KeptMemory, BlocksInUseAreApartAndTheOneGivenBackFirstIsTakenFirst) {
  std::byte* const a = Take();
  std::byte* const b = Take();
  const uintptr_t at_a = At(a), at_b = At(b);
  EXPECT_GE(std::max(at_a, at_b) - std::min(at_a, at_b), kBytes + 4'096);
  Give(b);
  Give(a);
  std::byte* const first = Take();
  std::byte* const second = Take();
  EXPECT_EQ(At(first), at_b);
  EXPECT_EQ(At(second), at_a);
  Give(first);
  Give(second);
}

#if defined(__SANITIZE_ADDRESS__)
TEST(KeptMemoryDeathTest, ASanitizerSeesUsesAfterItAndBesideIt) {
  std::byte* const block = Take();
  volatile std::byte* const at = block;
  // UBSan may know the block's size, and be the first to say so.
  EXPECT_DEATH(at[kBytes] = std::byte{1}, "use-after-poison|insufficient space");
  EXPECT_DEATH(at[-1] = std::byte{1}, "use-after-poison|insufficient space");
  Give(block);
  EXPECT_DEATH(at[70'000] = std::byte{1}, "use-after-poison");
}
#endif

}  // namespace
