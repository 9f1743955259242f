// docs/bad-input.md promises a test and a counter in every line: each must exist.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>

namespace stillwatch {
namespace {

namespace fs = std::filesystem;

std::string TextOf(const fs::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(BadInputIndex, EveryTestAndCounterItNamesExists) {
  const fs::path root = STILLWATCH_SOURCE_DIR;
  std::string tests;
  for (const auto& entry : fs::recursive_directory_iterator(root / "tests")) {
    if (entry.path().extension() == ".cc") tests += TextOf(entry.path());
  }
  const std::string page = TextOf(root / "docs/bad-input.md"), counters = TextOf(root / "docs/counters.md");
  const std::regex name("`([A-Z]\\w+)\\.([A-Z]\\w+)`"), counter("`([a-z]+\\.[a-z_]+)`");
  size_t named = 0;
  for (std::sregex_iterator at(page.begin(), page.end(), name), end; at != end; ++at, ++named) {
    const std::string arguments = (*at)[1].str() + ", " + (*at)[2].str() + ")";
    EXPECT_TRUE(tests.find("TEST(" + arguments) != std::string::npos || tests.find("TEST_F(" + arguments) != std::string::npos) << arguments;
  }
  EXPECT_GE(named, 20u);
  for (std::sregex_iterator at(page.begin(), page.end(), counter), end; at != end; ++at) {
    EXPECT_NE(counters.find("| `" + (*at)[1].str() + "` |"), std::string::npos) << (*at)[1];
  }
}

}  // namespace
}  // namespace stillwatch
