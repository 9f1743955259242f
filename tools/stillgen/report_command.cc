#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "tools/stillgen/commands.h"
#include "tools/stillgen/options.h"
#include "tools/stillgen/report.h"
#include "tools/stillgen/truth.h"

namespace stillwatch::stillgen {
namespace {

int Failed(int status, const std::string& message) {
  std::fprintf(stderr, "stillgen report: %s\n", message.c_str());
  return status;
}

}  // namespace

int RunReport(int argc, char** argv) {
  auto options = Options::Parse(argc, argv, {"truth", "verdicts", "account-key", "json!"});
  if (!options.ok()) return Failed(64, options.message());
  const Options& given = options.value();
  if (!given.Has("truth") || !given.Has("verdicts")) return Failed(64, "--truth FILE and --verdicts FILE are needed");
  std::string key;
  if (given.Has("account-key")) {
    auto read = ReadAccountKey(given.Text("account-key"));
    if (!read.ok()) return Failed(64, read.message());
    key = read.value();
  }
  const auto truth = ReadTruth(given.Text("truth"), key);
  if (!truth.ok()) return Failed(1, truth.message());
  std::ifstream file(given.Text("verdicts"));
  if (!file) return Failed(1, given.Text("verdicts") + ": " + std::strerror(errno));
  const auto groups = ReadVerdicts(file, given.Text("verdicts"));
  if (!groups.ok()) return Failed(1, groups.message());
  const Report report = Compare(truth.value(), groups.value());
  const std::string text = given.Has("json") ? JsonOf(report).dump(1) + "\n" : TextOf(report, groups.value());
  std::fputs(text.c_str(), stdout);
  return 0;
}

}  // namespace stillwatch::stillgen
