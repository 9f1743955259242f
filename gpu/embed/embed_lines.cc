// embed_lines [TABLE]: reads texts from standard input, one a line, and writes the embedding of each, 128
// int8 values a line, as the CPU twin computes it with the table (none: the built-in random one). For
// tools/make-embedding-table, which judges a table by it; all-zero salt.
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "base/text/tokenizer.h"
#include "gpu/cpu/cpu_backend.h"
#include "gpu/window/window.h"

namespace stillwatch::gpu {
namespace {

class Collect final : public text::TokenSink {
 public:
  void Append(std::span<const uint32_t> hashes) override {
    tokens.insert(tokens.end(), hashes.begin(), hashes.end());
  }
  std::vector<uint32_t> tokens;
};

int EmbedLines(const std::string& table) {
  BackendOptions options;
  options.embedding_table_path = table;
  options.window_bytes = LshWindow::BytesMin();
  options.representatives_max = 64;
  auto backend = MakeCpuBackend(options);
  if (!backend.ok()) {
    std::fprintf(stderr, "embed_lines: %s\n", backend.message().c_str());
    return 1;
  }
  for (std::string line; std::getline(std::cin, line);) {
    Collect collect;
    text::Tokenizer tokenizer{text::TokenHasher(options.salt)};
    tokenizer.Feed(line, &collect);
    tokenizer.Finish(&collect);
    const std::vector<uint32_t> offsets = {0, static_cast<uint32_t>(collect.tokens.size())}, cuts = {0};
    Sketch sketch;
    if (Status status = backend.value()->ComputeSketches({collect.tokens, offsets, cuts}, {&sketch, 1});
        !status.ok()) {
      std::fprintf(stderr, "embed_lines: %s\n", status.message().c_str());
      return 1;
    }
    std::fwrite(sketch.embedding, 1, sizeof sketch.embedding, stdout);
  }
  return 0;
}

}  // namespace
}  // namespace stillwatch::gpu

int main(int argc, char** argv) {
  if (argc > 2) {
    std::fprintf(stderr, "usage: embed_lines [TABLE] < TEXTS\n");
    return 64;
  }
  return stillwatch::gpu::EmbedLines(argc == 2 ? argv[1] : "");
}
