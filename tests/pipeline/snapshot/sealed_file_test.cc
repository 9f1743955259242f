// What lies on the disk says nothing without the box's secrets, and whatever is wrong with it is said in one message.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "pipeline/snapshot/sealed_file.h"
#include "tests/pipeline/store/temp_folder.h"

namespace stillwatch::pipeline {
namespace {

using ::testing::HasSubstr;

const SealKey kKey = MakeSealKey("a secret of the box", Salt{7});
constexpr uint64_t kLayout = 99;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string Plain(size_t size) {
  std::string plain;
  while (plain.size() < size) plain += "account 0123456789abcdef; ";
  plain.resize(size);
  return plain;
}

TEST(SealedFile, OnlyTheKeyOpensIt) {
  const TempFolder folder;
  const std::string path = folder / "a.snapshot";
  for (const size_t size : {size_t{0}, size_t{1}, size_t{1} << 20, (size_t{1} << 20) + 1, size_t{3'000'000}}) {
    const std::string plain = Plain(size);
    const auto written = WriteSealedFile(path, plain, kKey, kLayout);
    ASSERT_TRUE(written.ok()) << written.message();
    const std::string sealed = ReadFile(path);
    EXPECT_EQ(sealed.size(), written.value());
    EXPECT_EQ(sealed.find("account 0123"), std::string::npos);
    const auto read = ReadSealedFile(path, kKey, kLayout);
    ASSERT_TRUE(read.ok()) << read.message();
    EXPECT_TRUE(read.value() == plain);
  }
  struct stat status;
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_NE(stat((path + ".part").c_str(), &status), 0);
  // Equal text twice gives no equal bytes behind the first line.
  const std::string first = SealText("the same", kKey, kLayout), second = SealText("the same", kKey, kLayout);
  EXPECT_NE(first.substr(first.size() - 24), second.substr(second.size() - 24));
}

TEST(SealedFile, EveryDamageIsRefusedInOneMessage) {
  const std::string sealed = SealText(Plain(1'200'000), kKey, kLayout);
  const auto refused = [&](const std::string& bytes, const std::string& why, const SealKey& key = kKey, uint64_t layout = kLayout) {
    const auto read = OpenText(bytes, key, layout, "NAME");
    ASSERT_FALSE(read.ok()) << why;
    EXPECT_THAT(read.message(), HasSubstr("NAME: "));
    EXPECT_THAT(read.message(), HasSubstr(why));
    EXPECT_EQ(read.message().find('\n'), std::string::npos);
  };
  const size_t head = sealed.find('\n') + 1;
  refused("", "is no snapshot");
  refused("{\"event_id\":1}" + sealed, "is no snapshot");
  for (const size_t size : {head, head + 30, head + 100, sealed.size() / 2, sealed.size() - 1}) {
    refused(sealed.substr(0, size), "is cut short");
  }
  refused(sealed + "x", "goes on after its end");
  for (const size_t at : {head, head + 10, head + 30, head + 50, head + 60, sealed.size() / 2, sealed.size() - 1}) {
    std::string damaged = sealed;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    refused(damaged, "is damaged");
  }
  std::string later = sealed;
  later[std::string("stillwatch snapshot ").size()] = '2';
  refused(later, "another version, this program reads version 1");
  refused(sealed, "another version of stillwatch, which remembers other things", kKey, kLayout + 1);
  refused(sealed, "another privacy.salt", MakeSealKey("a secret of the box", Salt{8}));
  refused(sealed, "another privacy.account_key", MakeSealKey("another secret", Salt{7}));
  // Frames of two files do not mix, nor do they change places.
  const std::string other = SealText(Plain(1'200'000), kKey, kLayout);
  refused(sealed.substr(0, sealed.size() - 1'000) + other.substr(other.size() - 1'000), "is damaged (frame 2)");
}

TEST(SealedFile, WhatCannotBeWrittenLeavesTheOldOne) {
  const TempFolder folder;
  EXPECT_FALSE(WriteSealedFile(folder / "none/a.snapshot", "x", kKey, kLayout).ok());
  EXPECT_FALSE(ReadSealedFile(folder / "a.snapshot", kKey, kLayout).ok());
  ASSERT_TRUE(WriteSealedFile(folder / "a.snapshot", "old", kKey, kLayout).ok());
  std::ofstream(folder / "a.snapshot.part") << "of a run that was killed";
  EXPECT_EQ(ReadSealedFile(folder / "a.snapshot", kKey, kLayout).value(), "old");
  ASSERT_TRUE(WriteSealedFile(folder / "a.snapshot", "new", kKey, kLayout).ok());
  EXPECT_EQ(ReadSealedFile(folder / "a.snapshot", kKey, kLayout).value(), "new");
}

}  // namespace
}  // namespace stillwatch::pipeline
