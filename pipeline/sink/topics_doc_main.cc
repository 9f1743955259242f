// topics_doc FILE: makes the generated parts of docs/topics.md anew, in place.
#include <cstdio>
#include <fstream>
#include <sstream>

#include "pipeline/sink/topics_doc.h"

int main(int argc, char** argv) {
  using namespace stillwatch::pipeline;
  if (argc != 2) {
    std::fprintf(stderr, "usage: topics_doc docs/topics.md\n");
    return 64;
  }
  std::stringstream document;
  document << std::ifstream(argv[1]).rdbuf();
  const auto input =
      ReadTopicsDocInput(STILLWATCH_BINARY_DIR "/generated/pipeline/proto/stillwatch.desc",
                         STILLWATCH_SOURCE_DIR "/pipeline/proto/examples");
  if (!input.ok()) {
    std::fprintf(stderr, "topics_doc: %s\n", input.message().c_str());
    return 1;
  }
  const auto made = RegenerateTopicsDoc(document.str(), input.value());
  if (!made.ok()) {
    std::fprintf(stderr, "topics_doc: %s\n", made.message().c_str());
    return 1;
  }
  std::ofstream(argv[1]) << made.value();
  return 0;
}
