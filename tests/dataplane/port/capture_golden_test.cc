// Captures of other projects: the number of whole records in each file, counted by other readers.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "dataplane/port/capture_reader.h"

namespace stillwatch::dataplane {
namespace {

TEST(CaptureGoldenTest, WholeRecordsAreAllRead) {
  // STILLWATCH_CAPTURES names another folder of the same form (index.csv beside the files).
  const char* other = std::getenv("STILLWATCH_CAPTURES");
  const std::string folder =
      other != nullptr ? other : STILLWATCH_SOURCE_DIR "/tests/data/port/captures";
  std::ifstream index(folder + "/index.csv");
  ASSERT_TRUE(index) << folder;
  std::string line;
  std::getline(index, line);
  size_t files = 0;
  while (std::getline(index, line)) {
    std::stringstream fields(line);
    std::string name, sha256, format, link, records;
    std::getline(fields, name, ',');
    std::getline(fields, sha256, ',');
    std::getline(fields, format, ',');
    std::getline(fields, link, ',');
    std::getline(fields, records, ',');
    auto reader = CaptureReader::Open(folder + "/" + name);
    ASSERT_TRUE(reader.ok()) << reader.message();
    CaptureRecord record;
    size_t count = 0;
    while (reader.value()->Next(&record) == ReadResult::kRecord) {
      ++count;
      if (link == "ETHERNET") {
        EXPECT_EQ(record.link_type, kLinkEthernet) << name;
      }
    }
    EXPECT_EQ(count, std::stoul(records)) << name;
    ++files;
  }
  EXPECT_GE(files, 40u);
}

}  // namespace
}  // namespace stillwatch::dataplane
