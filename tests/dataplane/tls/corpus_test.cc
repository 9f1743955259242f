// Replays the fuzzer's corpus, whole captured connections, and random mutations of both through the fuzz target's
// function. With STILLWATCH_WRITE_SEEDS=DIR the captured connections are written there as seeds.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "tests/dataplane/tls/harness.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace stillwatch::testing {
namespace {

using Input = std::vector<uint8_t>;

void AppendCommand(uint8_t command, std::string_view bytes, Input* out) {
  out->push_back(command);
  out->push_back(static_cast<uint8_t>(bytes.size() >> 8));
  out->push_back(static_cast<uint8_t>(bytes.size()));
  out->insert(out->end(), bytes.begin(), bytes.end());
}

// `late`: pieces before the secrets.
Input Seed(const std::string& name, size_t late) {
  Input out;
  const auto secrets = [&] {
    std::ifstream file(kKeyLogData / name / "keylog.txt");
    for (std::string line; std::getline(file, line);) AppendCommand(14, line, &out);
  };
  const std::vector<Piece> pieces = PiecesOf(name);
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (i == late) secrets();
    AppendCommand(pieces[i].from_client ? 0 : 1, pieces[i].bytes, &out);
  }
  return out;
}

std::vector<Input> Corpus() {
  std::vector<Input> out;
  for (const auto& entry : std::filesystem::directory_iterator(STILLWATCH_SOURCE_DIR "/tests/data/tls/corpus")) {
    std::ifstream file(entry.path(), std::ios::binary);
    out.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  for (const char* name : {"illustrated-tls13-aes128", "snet-TLSv1_3_AES_256_GCM_SHA384_KeyUpdate",
                           "hotplace-curl_http1_tls12", "hotplace-tls12renogotiation"}) {
    for (const size_t late : {0u, 4u}) out.push_back(Seed(name, late));
  }
  return out;
}

TEST(TlsCorpus, Replays) {
  const auto corpus = Corpus();
  ASSERT_GE(corpus.size(), 8u);
  const char* const folder = std::getenv("STILLWATCH_WRITE_SEEDS");
  size_t number = 0;
  for (const Input& input : corpus) {
    LLVMFuzzerTestOneInput(input.data(), input.size());
    if (folder == nullptr) continue;
    std::ofstream file(std::string(folder) + "/seed-" + std::to_string(number++), std::ios::binary);
    file.write(reinterpret_cast<const char*>(input.data()), static_cast<std::streamsize>(input.size()));
  }
}

TEST(TlsCorpus, MutationsToo) {
  const auto corpus = Corpus();
  std::mt19937 random(29);
  for (int round = 0; round < 1'500; ++round) {
    Input input = corpus[random() % corpus.size()];
    for (size_t n = 1 + random() % 4; n > 0 && !input.empty(); --n) {
      const size_t at = random() % input.size();
      const Input& other = corpus[random() % corpus.size()];
      switch (random() % 4) {
        case 0: input[at] = static_cast<uint8_t>(random()); break;
        case 1: input.erase(input.begin() + static_cast<ptrdiff_t>(at)); break;
        case 2: input.resize(at); break;
        default:
          if (!other.empty()) {
            input.insert(input.begin() + static_cast<ptrdiff_t>(at), other.begin(),
                         other.begin() + static_cast<ptrdiff_t>(random() % other.size()));
          }
      }
    }
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
}

}  // namespace
}  // namespace stillwatch::testing
