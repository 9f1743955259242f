// Every malformed capture through inspect: an error that names the file, or lines that are JSON. Under the
// sanitizers this is the test that no capture can crash it.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/tools/stillwatch/inspect_lines.h"
#include "tools/stillwatch/capture_run.h"
#include "tools/stillwatch/inspect_exchange.h"
#include "tools/stillwatch/inspect_layers.h"
#include "tools/stillwatch/json_line.h"

namespace stillwatch {
namespace {

using std::string;
namespace fs = std::filesystem;

template <typename Run>
void RunAndCheck(const fs::path& capture, Run&& run) {
  dataplane::WorkerOptions options;
  // Small pools: a sanitizer touches what is reserved, and there are thousands of captures.
  options.flows_max = 4'096;
  options.parsers_max = 256, options.decoders_max = 16, options.window_bytes_max = 1u << 20;
  options.reassembly_bytes_max = 8u << 20;
  options.tls.connections_max = 256, options.tls.buffers_max = 32, options.tls.wait_bytes_max = 1u << 20;
  options.ignore_checksums = true;
  Status status;
  std::istringstream lines(testing::InspectText(run, capture, options, &status));
  for (string line; std::getline(lines, line);) {
    EXPECT_TRUE(nlohmann::json::accept(line)) << capture << ": " << line;
  }
  if (!status.ok()) {
    EXPECT_NE(status.message().find(capture.filename().string()), string::npos) << status.message();
  }
}

TEST(InspectMalformed, NoCaptureCrashesIt) {
  size_t captures = 0;
  for (const auto& entry : fs::recursive_directory_iterator(STILLWATCH_SOURCE_DIR "/tests/data")) {
    const string kind = entry.path().extension();
    if (!entry.is_regular_file() || (kind != ".pcap" && kind != ".pcapng")) continue;
    SCOPED_TRACE(entry.path().string());
    ++captures;
    RunAndCheck(entry.path(), InspectHttp);
    RunAndCheck(entry.path(), InspectStreams);
    RunAndCheck(entry.path(), [](std::span<const string> paths, const dataplane::WorkerOptions& options, std::FILE* out) {
      InspectExchangeOptions exchange;
      exchange.show_text = true;
      exchange.llm.body_pool_bytes = 16u << 20;
      exchange.llm.exchanges_max = 256, exchange.llm.streams_max = 32;
      exchange.out = out;
      const auto inspector = MakeExchangeInspector(exchange);
      return RunCaptures(paths, options, inspector->http(), inspector->output(), nullptr);
    });
  }
  EXPECT_GT(captures, 100u);
}

TEST(InspectMalformed, AMissingFileIsNamed) {
  const std::vector<string> paths = {"/nowhere/at-all.pcap"};
  const Status status = InspectHttp(paths, {}, stdout);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.message().find("/nowhere/at-all.pcap"), string::npos);
}

TEST(JsonLine, EscapesWhatJsonOrAReaderCannotTake) {
  string out;
  AppendJsonText(string("a\"\\\x01\x7f\xff\xc3\xa9\xc3z\xed\xa0\x80\n") + '\0', &out);
  EXPECT_EQ(out, "\"a\\\"\\\\\\u0001\\u007f\\u00ff\xc3\xa9\\u00c3z\\u00ed\\u00a0\\u0080\\u000a\\u0000\"");
  EXPECT_TRUE(nlohmann::json::accept(out));
}

}  // namespace
}  // namespace stillwatch
