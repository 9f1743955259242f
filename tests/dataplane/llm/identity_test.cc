// key_id values were computed with Python's hmac and hashlib.
#include "dataplane/llm/identity.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace stillwatch::dataplane {
namespace {

std::string Key() {
  std::string key;
  EXPECT_TRUE(ParseHex("000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f", &key));
  return key;
}
std::string Hex(const KeyId& id) { return HexOf(Bytes(id.data(), id.size())); }

constexpr const char* kSubject =
    "eyJhbGciOiAiUlMyNTYifQ.eyJpc3MiOiAiaHR0cHM6Ly9pc3N1ZXIuZXhhbXBsZSIsICJzdWIiOiAidXNlci03IiwgImV4cCI6IDF9.sig";
constexpr const char* kParty =
    "eyJhbGciOiAiUlMyNTYifQ.eyJpc3MiOiAiaHR0cHM6Ly9pc3N1ZXIuZXhhbXBsZSIsICJhenAiOiAiY2xpZW50LTkifQ.sig";
constexpr const char* kIssuerOnly = "eyJhbGciOiAiUlMyNTYifQ.eyJpc3MiOiAieCJ9.sig";

TEST(Identity, EqualsPythonsHmac) {
  Identity identity(Key());
  EXPECT_EQ(Hex(identity.OfKey("sk-test-123")), "03087cf6c2f02776a616834689de9f0a");
  EXPECT_EQ(Hex(identity.OfKey("  sk-test-123\t")), "03087cf6c2f02776a616834689de9f0a");
  EXPECT_EQ(Hex(Identity("").OfKey("sk-test-123")), "d58800d13f4ce3a9e679921ef992a200");
  EXPECT_EQ(Hex(Identity(std::string(100, 'k')).OfKey("sk-test-123")), "89cc02e7da0b3de4f69ce5e674090b3e");
}

TEST(Identity, TakesTheCredentialOutOfAuthorization) {
  Identity identity(Key());
  for (const char* value : {"Bearer sk-test-123", "bearer   sk-test-123 ", "sk-test-123"}) {
    EXPECT_EQ(Hex(identity.OfAuthorization(value)), "03087cf6c2f02776a616834689de9f0a") << value;
  }
  EXPECT_EQ(Hex(identity.OfAuthorization(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/bedrock/aws4_request, "
                "SignedHeaders=host, Signature=abc")),
            "56eb26aea628d6aa67f133f0c9fa261b");
}

TEST(Identity, AJwtIsItsIssuerAndSubject) {
  Identity identity(Key());
  EXPECT_EQ(Hex(identity.OfAuthorization(std::string("Bearer ") + kSubject)), "41f87adf095d4502343d3c2c9f5617b0");
  EXPECT_EQ(Hex(identity.OfAuthorization(std::string("Bearer ") + kParty)), "9023d069de1cc237e4557084f27135de");
  // A renewed token (another signature) is the same account.
  EXPECT_EQ(Hex(identity.OfAuthorization(std::string("Bearer ") + kSubject + "other")),
            "41f87adf095d4502343d3c2c9f5617b0");
  // Without a subject, or unreadable, it is an opaque key.
  EXPECT_EQ(Hex(identity.OfAuthorization(std::string("Bearer ") + kIssuerOnly)), "a067428800f19d38c8b93e26f101b5c7");
  for (const std::string token : {"eyJ.eyJ.x", "eyJhbGciOiJ9.!!!.x", "eyJ..", "eyJ", "eyJ.W10.x"}) {
    EXPECT_EQ(identity.OfAuthorization("Bearer " + token), identity.OfKey(token)) << token;
  }
}

// Zhipu's clients make a token of their API key every few minutes: {"api_key", "exp", "timestamp"}.
TEST(Identity, TokensMadeOfOneApiKeyAreOneAccount) {
  Identity identity(Key());
  const std::string head = "Bearer eyJhbGciOiJIUzI1NiIsInNpZ25fdHlwZSI6IlNJR04ifQ.";
  const std::string first = head + "eyJhcGlfa2V5IjoiMDEyMzQ1Njc4OWFiY2RlZiIsImV4cCI6MTc2NDAwMzYwMDAwMCwidGltZXN0YW1wIjoxNzY0MDAwMDAwMDAwfQ.a";
  const std::string second = head + "eyJhcGlfa2V5IjoiMDEyMzQ1Njc4OWFiY2RlZiIsImV4cCI6MTc2NDAwMzc4MDAwMCwidGltZXN0YW1wIjoxNzY0MDAwMTgwMDAwfQ.b";
  EXPECT_EQ(identity.OfAuthorization(first), identity.OfAuthorization(second));
}

// A key that looks like a JWT is looked into only where JWTs are sent; the cache keeps the two apart.
TEST(Identity, TheCacheDoesNotMixRoles) {
  Identity identity(Key());
  const KeyId as_key = identity.OfKey(kSubject);
  EXPECT_NE(as_key, identity.OfAuthorization(kSubject));
  EXPECT_EQ(as_key, identity.OfKey(kSubject));
}

TEST(Identity, ManyCredentialsThroughAFullCache) {
  Identity identity(Key()), fresh(Key());
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 20'000; i += 7) identity.OfKey("key-" + std::to_string(i));
  }
  for (int i = 0; i < 20'000; i += 997) {
    EXPECT_EQ(identity.OfKey("key-" + std::to_string(i)), fresh.OfKey("key-" + std::to_string(i)));
  }
}

}  // namespace
}  // namespace stillwatch::dataplane
