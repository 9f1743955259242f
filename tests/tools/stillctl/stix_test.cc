// What leaves for a partner: objects that refer to each other, and nothing of whom they are about. The standard's own
// validator reads the same bundle in stix_validator_test.sh.
#include "tools/stillctl/stix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/tools/stillctl/a_campaign.h"

namespace stillwatch::stillctl {
namespace {

using nlohmann::json;

json ObjectOf(const json& bundle, const std::string& type) {
  for (const json& object : bundle["objects"]) {
    if (object["type"] == type) return object;
  }
  return {};
}

TEST(StixTest, TellsWhatWasFound) {
  const json bundle = StixBundle(ACampaign(), "fra-1", "2026-01-03T00:00:00.123456789Z");
  const json campaign = ObjectOf(bundle, "campaign");
  EXPECT_EQ(campaign["first_seen"], "2025-12-16T00:00:00.000Z");
  EXPECT_EQ(campaign["last_seen"], "2026-01-01T23:59:59.250Z");
  EXPECT_EQ(campaign["confidence"], 98);
  EXPECT_EQ(campaign["modified"], "2026-01-03T00:00:00.123Z");
  const json extension = campaign["extensions"].at(ObjectOf(bundle, "extension-definition")["id"].get<std::string>());
  EXPECT_EQ(extension["campaign_id"], ACampaign()["campaign_id"]);
  EXPECT_EQ(extension["accounts_count"], 2);
  EXPECT_EQ(extension["evidence"].size(), 1u);
  EXPECT_EQ(extension["checks"][0]["result"], "passed");
}

TEST(StixTest, HoldsNoAccountNoHashAndNoNameOfTheBox) {
  const std::string text = StixBundle(ACampaign(), "fra-1", "2026-01-03T00:00:00.123456789Z").dump();
  for (const char* secret : {"acct-20417", "acct-88031", "acct-90112", "fra-1", "01c3a2b4d5e6f708", "9a8b7c6d5e4f3a2b", "5bd1e9955bd1e995"}) {
    if (std::string(secret) != "fra-1") EXPECT_NE(ACampaign().dump().find(secret), std::string::npos) << "the sample lacks it";
    EXPECT_EQ(text.find(secret), std::string::npos) << secret;
  }
}

TEST(StixTest, ALaterExportIsANewerVersionOfTheSameObjects) {
  const json first = StixBundle(ACampaign(), "fra-1", "2026-01-03T00:00:00.000000000Z");
  const json second = StixBundle(ACampaign(), "fra-1", "2026-01-04T00:00:00.000000000Z");
  EXPECT_EQ(ObjectOf(first, "campaign")["id"], ObjectOf(second, "campaign")["id"]);
  EXPECT_EQ(ObjectOf(first, "campaign")["created"], ObjectOf(second, "campaign")["created"]);
  EXPECT_LT(ObjectOf(first, "campaign")["modified"], ObjectOf(second, "campaign")["modified"]);
  EXPECT_NE(first["id"], second["id"]);
}

TEST(StixTest, EveryReferenceIsToAnObjectOfTheBundle) {
  const json bundle = StixBundle(ACampaign(), "fra-1", "2026-01-03T00:00:00.000000000Z");
  std::set<std::string> ids;
  for (const json& object : bundle["objects"]) EXPECT_TRUE(ids.insert(object["id"]).second);
  for (const json& object : bundle["objects"]) {
    if (object.contains("created_by_ref")) EXPECT_TRUE(ids.contains(object["created_by_ref"]));
    for (const json& marking : object.value("object_marking_refs", json::array())) EXPECT_TRUE(ids.contains(marking));
  }
}

}  // namespace
}  // namespace stillwatch::stillctl
