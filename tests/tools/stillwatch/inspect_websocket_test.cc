// inspect --layer websocket: on every capture with WebSocket the frames that tshark lists, field for field.
#include <gtest/gtest.h>

#include "tests/tools/stillwatch/inspect_lines.h"
#include "tools/stillwatch/inspect_layers.h"

namespace stillwatch {
namespace {

const std::filesystem::path kPcap = STILLWATCH_SOURCE_DIR "/tests/data/pcap";

TEST(InspectWebSocket, FramesOfEveryCapture) {
  testing::Exceptions exceptions = testing::ReadExceptions(
      STILLWATCH_SOURCE_DIR "/tests/tools/stillwatch/websocket_exceptions.txt");
  size_t captures = 0, frames = 0;
  for (const auto& folder : std::filesystem::directory_iterator(kPcap)) {
    if (!std::filesystem::exists(folder.path() / "websocket.csv")) continue;
    const std::string name = folder.path().filename();
    ++captures;
    dataplane::WorkerOptions options;
    options.flows_max = 4'096;
    options.ignore_checksums = true;
    const auto ours = testing::InspectLines(InspectWebSocket, testing::CaptureIn(folder.path()), options);
    std::ifstream file(folder.path() / "websocket.csv");
    std::string line;
    const auto next = [&] {
      const bool read = static_cast<bool>(std::getline(file, line));
      if (line.ends_with('\r')) line.pop_back();
      return read;
    };
    ASSERT_TRUE(next());
    std::vector<std::string> columns;
    std::istringstream head(line);
    for (std::string cell; std::getline(head, cell, ',');) columns.push_back(cell);
    size_t row = 0;
    for (; next(); ++row) {
      std::istringstream cells(line);
      if (row >= ours.size()) break;
      for (const std::string& column : columns) {
        std::string expected;
        std::getline(cells, expected, ',');
        ASSERT_TRUE(ours[row].contains(column)) << column;
        const nlohmann::json& value = ours[row][column];
        const std::string seen = value.is_string() ? value.get<std::string>() : value.dump();
        if (seen == expected) continue;
        const auto exception = exceptions.find({name, std::to_string(row), column});
        EXPECT_NE(exception, exceptions.end()) << name << " row " << row << " " << column << ": ours is " << seen
                                               << ", expected " << expected;
        if (exception != exceptions.end()) exceptions.erase(exception);
      }
    }
    EXPECT_EQ(ours.size(), row) << name;
    frames += row;
  }
  EXPECT_EQ(captures, 7u);
  EXPECT_GT(frames, 200u);
  testing::ExpectNoneLeft(exceptions);
}

}  // namespace
}  // namespace stillwatch
