#include "pipeline/intel/account_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/pipeline/store/temp_folder.h"

namespace stillwatch::pipeline {
namespace {

using ::testing::HasSubstr;

constexpr Salt kSalt{77};
const std::string kKeyA(32, 'a'), kKeyB(32, 'b'), kKeyC(32, 'c');

AccountId Id(const std::string& hex) {
  std::string bytes;
  ParseHex(hex, &bytes);
  AccountId id;
  std::copy(bytes.begin(), bytes.end(), id.bytes);
  return id;
}

class AccountDirectoryTest : public ::testing::Test {
 protected:
  Result<std::shared_ptr<const AccountDirectory>> Load(const std::string& text) {
    std::ofstream(folder_ / "directory.ndjson") << text;
    return AccountDirectory::Load(folder_ / "directory.ndjson", kSalt);
  }
  void ExpectRefused(const std::string& text, const std::string& why) {
    const auto loaded = Load(text);
    ASSERT_FALSE(loaded.ok()) << text;
    EXPECT_THAT(loaded.message(), HasSubstr("directory.ndjson"));
    EXPECT_THAT(loaded.message(), HasSubstr(why));
  }
  TempFolder folder_;
};

TEST_F(AccountDirectoryTest, KeysOfOneAccountMeet) {
  const auto loaded = Load("{\"key_id\":\"" + kKeyB + "\",\"account\":\"acct-1\",\"organisation\":\"lab\",\"created\":\"2026-01-02T00:00:00Z\"}\n\n" +
                           "{\"key_id\":\"" + kKeyA + "\",\"account\":\"acct-1\",\"tier\":\"pro\",\"trust\":40}\n" +
                           "{\"key_id\":\"" + kKeyC + "\"}\n");
  ASSERT_TRUE(loaded.ok()) << loaded.message();
  const AccountDirectory& directory = *loaded.value();
  const auto* a = directory.Find(Id(kKeyA));
  const auto* b = directory.Find(Id(kKeyB));
  const auto* c = directory.Find(Id(kKeyC));
  ASSERT_TRUE(a != nullptr && b != nullptr && c != nullptr);
  EXPECT_EQ(a->account, b->account);
  EXPECT_EQ(a->organisation, 0u);
  EXPECT_EQ(b->organisation, OrganisationId("lab", kSalt));
  EXPECT_EQ(b->created_s, 1'767'312'000);
  EXPECT_EQ(c->account, Id(kKeyC));
  EXPECT_EQ(AccountText(&directory, a->account), "acct-1");
  EXPECT_EQ(AccountText(&directory, c->account), kKeyC);
  EXPECT_EQ(AccountText(&directory, Id(std::string(32, 'd'))), std::string(32, 'd'));
  EXPECT_EQ(AccountText(nullptr, Id(kKeyA)), kKeyA);
  EXPECT_EQ(directory.Find(Id(std::string(32, 'd'))), nullptr);
}

// The same account id from every box of a fleet, another under another salt.
TEST_F(AccountDirectoryTest, NamesAreHashedUnderTheFleetsSalt) {
  const std::string line = "{\"key_id\":\"" + kKeyA + "\",\"account\":\"acct-1\"}";
  const auto one = Load(line), other = AccountDirectory::Load(folder_ / "directory.ndjson", Salt{78});
  ASSERT_TRUE(one.ok() && other.ok());
  EXPECT_NE(one.value()->Find(Id(kKeyA))->account, other.value()->Find(Id(kKeyA))->account);
  // 32 hex digits are the id itself.
  const auto literal = Load("{\"key_id\":\"" + kKeyA + "\",\"account\":\"" + kKeyB + "\"}");
  ASSERT_TRUE(literal.ok());
  EXPECT_EQ(literal.value()->Find(Id(kKeyA))->account, Id(kKeyB));
}

TEST_F(AccountDirectoryTest, OneBadLineRefusesTheFile) {
  const std::string good = "{\"key_id\":\"" + kKeyA + "\"}\n";
  ExpectRefused(good + "{\"key_id\":\"zz\"}", ":2: key_id must be 32 hex digits");
  ExpectRefused(good + "{\"key_id\":\"" + kKeyB + "\",\"acount\":\"x\"}", ":2: ");
  ExpectRefused(good + "nonsense", ":2: ");
  ExpectRefused(good + good, kKeyA + " stands twice");
  ExpectRefused("{\"key_id\":\"" + kKeyA + "\",\"created\":\"yesterday\"}", ":1: created: ");
  ExpectRefused("{\"key_id\":\"" + kKeyA + "\",\"trust\":101}", "trust is 0 to 100");
  ExpectRefused("{\"key_id\":\"" + kKeyA + "\",\"account\":\"" + std::string(65, 'x') + "\"}", "at most 64 bytes");
  ExpectRefused(std::string(5'000, ' ') + "x", "longer than");
  const auto missing = AccountDirectory::Load(folder_ / "none", kSalt);
  ASSERT_FALSE(missing.ok());
  EXPECT_THAT(missing.message(), HasSubstr("cannot be read"));
}

// Records of topic intel take the place of lines of the file, or stand beside them.
TEST_F(AccountDirectoryTest, RecordsStandOverTheFile) {
  const auto base = Load("{\"key_id\":\"" + kKeyA + "\",\"account\":\"alice\",\"organisation\":\"o1\"}\n{\"key_id\":\"" + kKeyB + "\",\"account\":\"bob\"}\n").value();
  v1::DirectoryEntry records[2];
  records[0].set_key_id(kKeyB);
  records[0].set_account("robert");
  records[0].set_organisation("o1");
  records[1].set_key_id(kKeyC);
  const auto both = AccountDirectory::With(base.get(), records, kSalt);
  ASSERT_TRUE(both.ok()) << both.message();
  const AccountDirectory& directory = *both.value();
  EXPECT_EQ(directory.entries().size(), 3u);
  EXPECT_EQ(directory.NameOf(directory.Find(Id(kKeyA))->account), "alice");
  EXPECT_EQ(directory.NameOf(directory.Find(Id(kKeyB))->account), "robert");
  EXPECT_EQ(directory.Find(Id(kKeyB))->organisation, base->Find(Id(kKeyA))->organisation);
  EXPECT_EQ(directory.NameOf(directory.Find(Id(kKeyC))->account), "");
  EXPECT_EQ(base->NameOf(base->Find(Id(kKeyB))->account), "bob");
  records[1].set_key_id("short");
  EXPECT_THAT(AccountDirectory::With(base.get(), records, kSalt).message(), HasSubstr("key_id short"));
  EXPECT_EQ(AccountDirectory::With(nullptr, {records, 1}, kSalt).value()->entries().size(), 1u);
}

}  // namespace
}  // namespace stillwatch::pipeline
