// Plays whole captured connections, and random mutations of them, through the fuzz target: too long for its corpus, which
// tls_corpus_test replays. With STILLWATCH_WRITE_SEEDS=DIR they are written there as seeds.
#include <cstdlib>
#include <fstream>

#include <gtest/gtest.h>

#include "tests/dataplane/tls/harness.h"
#include "tests/fuzz/mutations.h"

namespace stillwatch::testing {
namespace {

using fuzz::Input;

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

std::vector<Input> Seeds() {
  std::vector<Input> out;
  for (const char* name : {"illustrated-tls13-aes128", "snet-TLSv1_3_AES_256_GCM_SHA384_KeyUpdate",
                           "hotplace-curl_http1_tls12", "hotplace-tls12renogotiation"}) {
    for (const size_t late : {0u, 4u}) out.push_back(Seed(name, late));
  }
  return out;
}

TEST(TlsSeeds, Replay) {
  const char* const folder = std::getenv("STILLWATCH_WRITE_SEEDS");
  size_t number = 0;
  for (const Input& input : Seeds()) {
    fuzz::Play(input);
    if (folder == nullptr) continue;
    std::ofstream file(std::string(folder) + "/seed-" + std::to_string(number++), std::ios::binary);
    file.write(reinterpret_cast<const char*>(input.data()), static_cast<std::streamsize>(input.size()));
  }
}

TEST(TlsSeeds, MutationsToo) { fuzz::PlayMutations(Seeds(), 1'000); }

}  // namespace
}  // namespace stillwatch::testing
