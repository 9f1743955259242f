// Replays a target's corpus, and random mutations of it.
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "base/hash.h"
#include "tests/fuzz/mutations.h"

namespace stillwatch::fuzz {
namespace {

std::vector<Input> Corpus() {
  std::vector<Input> out;
  for (const auto& entry : std::filesystem::directory_iterator(STILLWATCH_SOURCE_DIR "/tests/data/" STILLWATCH_CORPUS)) {
    std::ifstream file(entry.path(), std::ios::binary);
    out.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return out;
}

uint64_t Outcome(const Input& input) {
  return KeyedHash64(Play(input), Salt{1});
}

// In a child of a process that has played nothing yet. 0: it did not end well.
uint64_t OutcomeAlone(const Input& input) {
  int ends[2];
  if (pipe(ends) != 0) return 0;
  const pid_t child = fork();
  if (child == 0) {
    const uint64_t outcome = Outcome(input);
    _exit(write(ends[1], &outcome, sizeof outcome) == sizeof outcome ? 0 : 1);
  }
  close(ends[1]);
  uint64_t outcome = 0;
  if (read(ends[0], &outcome, sizeof outcome) != sizeof outcome) outcome = 0;
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return outcome;
}

// The first test of the file, since nothing may have been played before it.
TEST(Corpus, AnInputGivesAloneWhatItGivesAfterOthers) {
  const auto corpus = Corpus();
  ASSERT_GE(corpus.size(), 10u);
  std::vector<uint64_t> alone;
  for (const Input& input : corpus) alone.push_back(OutcomeAlone(input));
  for (size_t i = 0; i < corpus.size(); ++i) EXPECT_EQ(Outcome(corpus[i]), alone[i]) << i;
  for (size_t i = corpus.size(); i-- > 0;) EXPECT_EQ(Outcome(corpus[i]), alone[i]) << i << ", backwards";
}

TEST(Corpus, MutationsToo) { PlayMutations(Corpus(), 3'000); }

}  // namespace
}  // namespace stillwatch::fuzz
