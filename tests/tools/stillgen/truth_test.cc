#include "tools/stillgen/truth.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace stillwatch::stillgen {
namespace {

TEST(TruthTest, KeyIdIsTheFirstHalfOfHmacSha256) {
  // RFC 4231, test case 2.
  EXPECT_EQ(KeyId("Jefe", "what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c7");
  // RFC 4231, test case 1.
  EXPECT_EQ(KeyId(std::string(20, '\x0b'), "Hi There"), "b0344c61d8db38535ca8afceaf0bf12b");
}

TEST(TruthTest, AccountKeyIsReadAsTheConfigurationReadsIt) {
  EXPECT_EQ(ReadAccountKey("hex:4a656665").value(), "Jefe");
  const auto path = std::filesystem::temp_directory_path() / ("stillgen-key-" + std::to_string(getpid()));
  std::ofstream(path) << "4a656665\n";
  EXPECT_EQ(ReadAccountKey("file:" + path.string()).value(), "Jefe");
  std::ofstream(path) << "plain words\n";
  EXPECT_EQ(ReadAccountKey("file:" + path.string()).value(), "plain words");
  std::filesystem::remove(path);
  for (const char* bad : {"", "hex:", "hex:abc", "Jefe", "file:/no/such/file"}) EXPECT_FALSE(ReadAccountKey(bad).ok()) << bad;
}

}  // namespace
}  // namespace stillwatch::stillgen
