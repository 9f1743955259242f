// What leaves for a partner: objects that refer to each other, and nothing of whom they are about. The standard's own
// validator reads the same bundle in stix_validator_test.sh.
#include "tools/stix/bundle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/tools/stix/a_campaign.h"

namespace stillwatch::stix {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

json ObjectOf(const json& bundle, const std::string& type) {
  for (const json& object : bundle["objects"]) {
    if (object["type"] == type) return object;
  }
  return {};
}

TEST(StixTest, TellsWhatWasFound) {
  const json bundle = Bundle(ACampaign(), AClaim(), "fra-1", "2026-01-03T00:00:00.123456789Z");
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
  const std::string text = Bundle(ACampaign(), AClaim(), "fra-1", "2026-01-03T00:00:00.123456789Z").dump();
  for (const char* secret : {"acct-20417", "acct-88031", "acct-90112", "fra-1", "01c3a2b4d5e6f708", "9a8b7c6d5e4f3a2b", "5bd1e9955bd1e995"}) {
    if (std::string(secret) != "fra-1") EXPECT_NE(ACampaign().dump().find(secret), std::string::npos) << "the sample lacks it";
    EXPECT_EQ(text.find(secret), std::string::npos) << secret;
  }
}

TEST(StixTest, ALaterExportIsANewerVersionOfTheSameObjects) {
  const json first = Bundle(ACampaign(), AClaim(), "fra-1", "2026-01-03T00:00:00.000000000Z");
  const json second = Bundle(ACampaign(), AClaim(), "fra-1", "2026-01-04T00:00:00.000000000Z");
  EXPECT_EQ(ObjectOf(first, "campaign")["id"], ObjectOf(second, "campaign")["id"]);
  EXPECT_EQ(ObjectOf(first, "campaign")["created"], ObjectOf(second, "campaign")["created"]);
  EXPECT_LT(ObjectOf(first, "campaign")["modified"], ObjectOf(second, "campaign")["modified"]);
  EXPECT_NE(first["id"], second["id"]);
}

TEST(StixTest, EveryReferenceIsToAnObjectOfTheBundle) {
  const json bundle = Bundle(ACampaign(), AClaim(), "fra-1", "2026-01-03T00:00:00.000000000Z");
  std::set<std::string> ids;
  for (const json& object : bundle["objects"]) EXPECT_TRUE(ids.insert(object["id"]).second);
  for (const json& object : bundle["objects"]) {
    if (object.contains("created_by_ref")) EXPECT_TRUE(ids.contains(object["created_by_ref"]));
    for (const json& marking : object.value("object_marking_refs", json::array())) EXPECT_TRUE(ids.contains(marking));
  }
}

TEST(StixTest, ABundleComesBackAsTheClaimThatWasSigned) {
  const json bundle = Bundle(ACampaign(), AClaim(), "fra-1", "2026-01-03T00:00:00.000000000Z");
  const Result<json> claim = ClaimOf(bundle.dump());
  ASSERT_TRUE(claim.ok()) << claim.message();
  json signed_claim = AClaim();
  signed_claim.erase("partner");
  EXPECT_EQ(claim.value(), signed_claim);
  EXPECT_EQ(ObjectOf(bundle, "relationship")["target_ref"], ObjectOf(bundle, "campaign")["id"]);
  EXPECT_EQ(ObjectOf(bundle, "indicator")["valid_until"], AClaim()["valid_until"]);
}

TEST(StixTest, ABundleThatCannotBeTakenSaysWhy) {
  const auto why = [](const std::string& text) {
    const Result<json> claim = ClaimOf(text);
    return claim.ok() ? "taken" : claim.message();
  };
  const json good = Bundle(ACampaign(), AClaim(), "fra-1", "2026-01-03T00:00:00.000000000Z");
  EXPECT_EQ(why(good.dump()), "taken");
  EXPECT_THAT(why("{"), HasSubstr("no JSON"));
  EXPECT_THAT(why("[]"), HasSubstr("no STIX bundle"));
  EXPECT_THAT(why(R"({"type":"bundle","objects":7})"), HasSubstr("no STIX bundle"));
  EXPECT_THAT(why(std::string(kBundleBytesMax + 1, ' ')), HasSubstr("more than 1 MiB"));
  EXPECT_THAT(why(Bundle(ACampaign(), nullptr, "fra-1", "2026-01-03T00:00:00.000000000Z").dump()), HasSubstr("without sketches"));
  const auto changed = [&](const char* pointer, const json& value) {
    json bundle = good;
    for (json& object : bundle["objects"]) {
      if (object["type"] != "indicator") continue;
      if (value.is_null()) object.erase(pointer);
      else object[pointer] = value;
    }
    return why(bundle.dump());
  };
  EXPECT_THAT(changed("pattern", 7), HasSubstr("pattern is no text"));
  EXPECT_THAT(changed("valid_until", nullptr), HasSubstr("valid_until is no text"));
  EXPECT_THAT(changed("extensions", {{"x", 1}}), HasSubstr("lacks the extension"));
  EXPECT_THAT(changed("extensions", "x"), HasSubstr("lacks the extension"));
  EXPECT_THAT(changed("revoked", true), HasSubstr("revoked"));
  json negative = good;
  for (json& object : negative["objects"]) {
    if (object["type"] == "indicator") object["extensions"].begin().value()["accounts"] = -1;
  }
  EXPECT_THAT(why(negative.dump()), HasSubstr("accounts is no number"));
  json two = good;
  two["objects"].push_back(ObjectOf(good, "indicator"));
  EXPECT_THAT(why(two.dump()), HasSubstr("two indicators"));
}

}  // namespace
}  // namespace stillwatch::stix
