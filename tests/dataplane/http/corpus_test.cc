// Replays the fuzzer's corpus, and random mutations of it, through the fuzz target's function.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

#include <gtest/gtest.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

std::vector<std::vector<uint8_t>> Corpus() {
  std::vector<std::vector<uint8_t>> out;
  for (const auto& entry :
       std::filesystem::directory_iterator(STILLWATCH_SOURCE_DIR "/tests/data/" STILLWATCH_CORPUS)) {
    std::ifstream file(entry.path(), std::ios::binary);
    out.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return out;
}

TEST(HttpCorpus, Replays) {
  const auto corpus = Corpus();
  ASSERT_GE(corpus.size(), 10u);
  for (const auto& input : corpus) LLVMFuzzerTestOneInput(input.data(), input.size());
}

TEST(HttpCorpus, MutationsToo) {
  const auto corpus = Corpus();
  std::mt19937 random(23);
  for (int round = 0; round < 3'000; ++round) {
    auto input = corpus[random() % corpus.size()];
    for (size_t n = 1 + random() % 4; n > 0 && !input.empty(); --n) {
      const size_t at = random() % input.size();
      const auto& other = corpus[random() % corpus.size()];
      switch (random() % 4) {
        case 0: input[at] = static_cast<uint8_t>(random()); break;
        case 1: input.erase(input.begin() + static_cast<ptrdiff_t>(at)); break;
        case 2: input[at] = static_cast<uint8_t>("\r\n :;,0a"[random() % 8]); break;
        default: input.insert(input.begin() + static_cast<ptrdiff_t>(at), other.begin(),
                              other.begin() + static_cast<ptrdiff_t>(random() % other.size()));
      }
    }
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
}

}  // namespace
