// Holds the arrows between folders and the one door of each vendor library, by reading the #include lines of
// every source file in the tree.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace stillwatch {
namespace {

namespace fs = std::filesystem;

struct Include {
  std::string file;    // relative to the tree
  std::string target;  // as written
  size_t line;
};

std::vector<Include> IncludesOf(const fs::path& root) {
  std::vector<Include> includes;
  for (const char* folder : {"base", "dataplane", "gpu", "pipeline", "config", "tools"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const std::string extension = entry.path().extension();
      if (extension != ".h" && extension != ".cc" && extension != ".c" && extension != ".cu") continue;
      std::ifstream file(entry.path());
      std::string text;
      for (size_t line = 1; std::getline(file, text); ++line) {
        const size_t hash = text.find_first_not_of(' ');
        if (hash == std::string::npos || text.compare(hash, 8, "#include") != 0) continue;
        const size_t open = text.find_first_of("\"<"), close = text.find_last_of("\">");
        if (open == std::string::npos || close <= open) continue;
        includes.push_back({fs::relative(entry.path(), root), text.substr(open + 1, close - open - 1), line});
      }
    }
  }
  return includes;
}

bool Starts(const std::string& text, std::initializer_list<const char*> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const char* prefix) { return text.starts_with(prefix); });
}

const std::vector<Include>& AllIncludes() {
  static const std::vector<Include> includes = IncludesOf(STILLWATCH_SOURCE_DIR);
  return includes;
}

bool IsOurs(const std::string& target) {
  return Starts(target, {"base/", "dataplane/", "gpu/", "pipeline/", "config/", "tools/"});
}

bool ArrowAllowed(const std::string& from, const std::string& to) {
  if (to.starts_with("base/")) return true;
  const std::string folder = from.substr(0, from.find('/') + 1);
  if (folder == "tools/") {
    const std::string tool = from.substr(0, from.find('/', 6) + 1);
    if (to.starts_with(tool)) return true;
    if (to.starts_with("tools/stix/") && (tool == "tools/stillctl/" || tool == "tools/stillwatch/")) return true;
    if (tool == "tools/stillgen/") {  // shares nothing with what it tests but the record it writes
      return Starts(to, {"dataplane/llm/exchange.h", "dataplane/llm/exchange_builder.h", "dataplane/llm/exchange_file.h"});
    }
    if (tool == "tools/stillctl/") return to.starts_with("config/");
    if (tool == "tools/benchmarks/" && Starts(to, {"tools/stillwatch/settings.h", "tools/stillwatch/request_hits.h", "tools/stillgen/"})) return true;
    return !to.starts_with("tools/");
  }
  if (to.starts_with(folder)) return true;
  if (folder == "pipeline/") {
    return Starts(to, {"gpu/backend.h", "dataplane/llm/exchange.h", "dataplane/llm/flow_record.h"});
  }
  return false;
}

TEST(LayeringTest, ArrowsPointOneWay) {
  ASSERT_GT(AllIncludes().size(), 100u);
  for (const Include& include : AllIncludes()) {
    if (!IsOurs(include.target)) continue;
    EXPECT_TRUE(ArrowAllowed(include.file, include.target))
        << include.file << ":" << include.line << " includes " << include.target;
  }
}

TEST(LayeringTest, EachVendorLibraryHasOneDoor) {
  struct Door {
    std::initializer_list<const char*> headers;
    std::initializer_list<const char*> folders;
  };
  const Door doors[] = {
      {{"rte_"}, {"dataplane/dpdk/"}},
      {{"bpf/", "xdp/", "linux/bpf"}, {"dataplane/bypass/"}},
      {{"librdkafka/"}, {"pipeline/kafka/"}},
      {{"lmdb.h"}, {"pipeline/store/"}},
      {{"cuda"}, {"gpu/cuda/"}},
      {{"nghttp2/", "zlib.h", "brotli/", "zstd.h"}, {"dataplane/http/"}},
      {{"simdjson"}, {"dataplane/llm/"}},
      {{"toml"}, {"config/"}},
      {{"google/protobuf/", "pipeline/proto/"}, {"pipeline/", "tools/stillwatch/"}},
      {{"openssl/"},
       {"dataplane/tls/", "dataplane/llm/", "pipeline/snapshot/sealed_file", "tools/stillgen/", "tools/stillwatch/"}},
  };
  for (const Include& include : AllIncludes()) {
    for (const Door& door : doors) {
      if (!Starts(include.target, door.headers)) continue;
      EXPECT_TRUE(Starts(include.file, door.folders))
          << include.file << ":" << include.line << " includes " << include.target;
    }
  }
}

}  // namespace
}  // namespace stillwatch
