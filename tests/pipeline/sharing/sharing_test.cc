// Two providers, each with a salt of its own, and one key of the pair: what box A found, box B knows again from its first
// exchanges; and nothing that a partner says, true or poisoned, moves anybody there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/clock.h"
#include "base/time_format.h"
#include "pipeline/pipeline.h"
#include "pipeline/sink/memory_sink.h"
#include "tests/pipeline/detect/crowd.h"

namespace stillwatch::pipeline {
namespace {

using dataplane::Part;
using ::testing::HasSubstr;

constexpr uint64_t kKeyId = 77;
constexpr uint32_t kPair = 0x5a5a1234, kSaltB = 0x0badcafe;

const crowd::Crowd& TheCrowd() {
  static const crowd::Crowd crowd = crowd::MakeCrowd({.seed = 3, .chat_accounts = 200, .app_accounts = 5, .framework_accounts = 40,
                                                      .classes = 1, .harnesses = 1, .batch_jobs = 1, .pack_users = 10, .t1 = true, .t4 = false});
  return crowd;
}

// One of the two boxes; `salt` 0 hashes words as the crowd does.
class Box {
 public:
  explicit Box(uint32_t salt, const std::string& partner) : salt_(salt), pipeline_(Options(salt, partner), nullptr, &sink_, nullptr) {}

  static PipelineOptions Options(uint32_t salt, const std::string& partner) {
    PipelineOptions options;
    options.box = "box";
    options.salt = Salt{salt};
    options.token_hash = [salt](std::string_view word) { return Hashed(crowd::TokenOf(word), salt); };
    options.tunables.profiles_max = 4096;
    options.tunables.fragment_rows_max = 1 << 15;
    options.tunables.doorkeeper_rows = 1 << 17;
    options.seal_key = MakeSealKey("key", Salt{});
    if (!partner.empty()) options.partners = {{partner, kKeyId}};
    return options;
  }
  static uint32_t Hashed(uint32_t word, uint32_t salt) { return salt == 0 ? word : Mix32(word ^ salt); }

  void Play(size_t end) {
    for (; at_ < end; ++at_) {
      const auto plain = crowd::BuildExchange(TheCrowd(), TheCrowd().requests[at_], at_, &made_);
      builder_.Reset();
      builder_.header() = plain.header();
      dataplane::ExchangeHeader& h = builder_.header();
      h.prefix_chain_count = h.ids_issued_count = h.ids_returned_count = 0;
      for (uint64_t hash : plain.prefix_chain()) builder_.AddPrefixChain(hash);
      std::vector<uint32_t> tokens, partner;
      for (const Part part : {Part::kSystem, Part::kInstruction, Part::kTail, Part::kOutput}) {
        tokens.clear();
        for (uint32_t word : plain.tokens(part)) tokens.push_back(Hashed(word, salt_));
        builder_.SetTokens(part, tokens);
      }
      for (uint32_t word : plain.tokens(Part::kInstruction)) partner.push_back(Hashed(word, kPair));
      if (!pipeline_.imports().partners().empty()) builder_.SetPartnerTokens(1, partner);
      builder_.SetModel(plain.model());
      pipeline_.OnExchange(builder_.Finish());
    }
  }
  Pipeline& pipeline() { return pipeline_; }
  const MemorySink& sink() const { return sink_; }
  size_t at() const { return at_; }
  std::vector<const v1::CampaignVerdict*> VerdictsOf(const std::string& id) const {
    std::vector<const v1::CampaignVerdict*> found;
    for (const auto* verdict : sink_.Records<v1::CampaignVerdict>()) {
      if (verdict->campaign_id() == id) found.push_back(verdict);
    }
    return found;
  }

 private:
  const uint32_t salt_;
  MemorySink sink_;
  Pipeline pipeline_;
  dataplane::ExchangeBuilder made_, builder_;
  size_t at_ = 0;
};

std::string KindOf(const std::string& account) {
  for (const crowd::Account& a : TheCrowd().accounts) {
    if (a.id == account) return a.campaign >= 0 ? "campaign" : a.kind;
  }
  return "unknown";
}

int64_t Now() { return TheCrowd().requests[0].time_ns; }
std::string TimeAt(size_t request, int64_t later_ns = 0) { return FormatTime(TheCrowd().requests[request].time_ns + later_ns); }

// What A has to say to B of its first campaign at step-up.
const v1::PartnerClaim& TheClaim() {
  static const v1::PartnerClaim claim = [] {
    Box a(0, "b");
    a.Play(TheCrowd().requests.size());
    for (const auto& campaign : a.pipeline().Campaigns()) {
      if (campaign.advice().action() < v1::ACTION_STEP_UP) continue;
      Result<v1::PartnerClaim> made = a.pipeline().ClaimFor("b", campaign.campaign_id());
      EXPECT_TRUE(made.ok()) << made.message();
      if (!made.ok()) break;
      made.value().set_partner("a");
      made.value().set_valid_until(TimeAt(TheCrowd().requests.size() - 1, 60 * kNsPerSecond));
      return made.value();
    }
    ADD_FAILURE() << "A found nothing";
    return v1::PartnerClaim();
  }();
  return claim;
}

// The records that decide: all but those of the import, without event ids (an import's records take numbers, too) and its sentence.
std::vector<std::string> Decisions(const Box& box, const std::string& import) {
  std::vector<std::string> lines;
  for (const Event& event : box.sink().events()) {
    if (event.key == import || event.topic == Topic::kAudit) continue;
    if (event.message == nullptr) {
      lines.push_back("tombstone " + event.key);
      continue;
    }
    std::unique_ptr<google::protobuf::Message> copy(event.message->New());
    copy->CopyFrom(*event.message);
    if (auto* verdict = dynamic_cast<v1::CampaignVerdict*>(copy.get())) {
      auto* evidence = verdict->mutable_evidence();
      for (int i = evidence->size(); i-- > 0;) {
        if (evidence->Get(i).kind() == "partner_claim") evidence->DeleteSubrange(i, 1);
      }
    }
    const auto* meta = copy->GetDescriptor()->FindFieldByName("meta");
    auto* stamped = static_cast<v1::Meta*>(copy->GetReflection()->MutableMessage(copy.get(), meta));
    stamped->clear_event_id();
    lines.push_back(event.key + " " + copy->ShortDebugString());
  }
  return lines;
}

TEST(SharingTest, WhatOneBoxFoundTheOtherObservesFromThreeOwnersOn) {
  ASSERT_FALSE(TheClaim().pattern().empty());
  Box b(kSaltB, "a"), alone(kSaltB, "");
  const Result<std::string> id = b.pipeline().TakeClaim(TheClaim(), "stillctl uid 0", Now());
  ASSERT_TRUE(id.ok()) << id.message();
  EXPECT_EQ(b.pipeline().FindCampaign(id.value()), nullptr) << "nobody here was seen to send it";
  while (b.VerdictsOf(id.value()).empty() && b.at() < TheCrowd().requests.size()) b.Play(b.at() + 1);
  const auto verdicts = b.VerdictsOf(id.value());
  ASSERT_FALSE(verdicts.empty());
  const v1::CampaignVerdict& first = *verdicts[0];
  // Alone the same box has not found it yet.
  alone.Play(b.at());
  EXPECT_TRUE(alone.sink().Records<v1::CampaignVerdict>().empty());
  EXPECT_GE(first.accounts_size(), 3);
  EXPECT_LE(first.accounts_size(), 8) << "one batch's";
  for (const auto& account : first.accounts()) EXPECT_EQ(KindOf(account.id()), "campaign");
  EXPECT_EQ(first.state(), v1::CAMPAIGN_STATE_SUSPECTED);
  EXPECT_EQ(first.advice().action(), v1::ACTION_OBSERVE);
  EXPECT_EQ(first.advice().reason_code(), "partner_claim");
  EXPECT_EQ(first.labels().pooled() + first.labels().distillation_like(), 0u);
  ASSERT_EQ(first.evidence_size(), 1);
  EXPECT_EQ(first.evidence(0).weight(), 0);
  EXPECT_THAT(first.evidence(0).text(), HasSubstr("partner a names in its campaign " + TheClaim().campaign_id().substr(0, 8)));
  EXPECT_TRUE(b.sink().Records<v1::EnforcementAdvice>().empty());

  // Later it is found by what is seen here; then that verdict names the partner, and the claim gives way to it.
  b.Play(TheCrowd().requests.size());
  ASSERT_TRUE(b.pipeline().Finish().ok());
  const v1::CampaignVerdict& last = *b.VerdictsOf(id.value()).back();
  EXPECT_EQ(last.state(), v1::CAMPAIGN_STATE_CLOSED);
  const auto found = b.pipeline().FindCampaign(last.superseded_by());
  ASSERT_NE(found, nullptr);
  EXPECT_GE(found->advice().action(), v1::ACTION_STEP_UP);
  EXPECT_THAT(found->evidence(found->evidence_size() - 1).text(), HasSubstr("partner a names"));
  size_t matched = 0, benign = 0, members = 0;
  for (const auto& import : b.pipeline().imports().imports()) {
    for (const ImportMatch& match : import.matches) (KindOf(HexOf(Bytes(match.id.bytes, 16))) == "campaign" ? matched : benign) += 1;
  }
  for (const crowd::Account& account : TheCrowd().accounts) members += account.campaign >= 0;
  EXPECT_GE(matched * 10, members * 8);
  EXPECT_LE(benign * 50, matched);
}

TEST(SharingTest, WhatAPartnerSaysChangesNoOtherRecord) {
  Box b(kSaltB, "a"), alone(kSaltB, "");
  const std::string id = b.pipeline().TakeClaim(TheClaim(), "stillctl uid 0", Now()).value();
  for (Box* box : {&b, &alone}) {
    box->Play(TheCrowd().requests.size());
    ASSERT_TRUE(box->pipeline().Finish().ok());
  }
  EXPECT_FALSE(b.VerdictsOf(id).empty());
  EXPECT_EQ(Decisions(b, id), Decisions(alone, id));
}

// A partner, or who broke into it, names the prompts of a framework that forty customers use.
TEST(SharingTest, APoisonedClaimMovesNobody) {
  std::map<uint32_t, std::set<uint32_t>> owners;  // by fragment under the pair's key
  std::set<std::string> victims;
  for (const crowd::Request& request : TheCrowd().requests) {
    const crowd::Account& account = TheCrowd().accounts[request.account];
    if (account.kind != "framework" && account.kind != "chat") continue;
    for (size_t i = 0; i + 1 < request.instruction.size(); ++i) {
      owners[ShingleHash(Box::Hashed(request.instruction[i], kPair), Box::Hashed(request.instruction[i + 1], kPair))].insert(request.account);
    }
  }
  std::vector<std::pair<size_t, uint32_t>> popular;
  for (const auto& [fragment, who] : owners) popular.push_back({who.size(), fragment});
  std::sort(popular.rbegin(), popular.rend());
  ClaimPattern pattern{kKeyId, {}};
  for (size_t c = 0; c < ClaimPattern::kCoresMax; ++c) {
    ClaimedCore& core = pattern.cores.emplace_back();
    for (size_t i = 0; i < ClaimPattern::kFragmentsMax; ++i) core.fragments.push_back(popular[c * 7 + i].second);
    std::sort(core.fragments.begin(), core.fragments.end());
  }
  v1::PartnerClaim poisoned = TheClaim();
  poisoned.set_campaign_id("00000000000000000000000000000bad");
  poisoned.set_pattern(PatternText(pattern));
  Box b(kSaltB, "a"), alone(kSaltB, "");
  const Result<std::string> id = b.pipeline().TakeClaim(poisoned, "stillctl uid 0", Now());
  ASSERT_TRUE(id.ok()) << id.message();
  for (Box* box : {&b, &alone}) {
    box->Play(TheCrowd().requests.size());
    ASSERT_TRUE(box->pipeline().Finish().ok());
  }
  ASSERT_FALSE(b.VerdictsOf(id.value()).empty());
  ASSERT_GE(b.VerdictsOf(id.value()).back()->accounts_size(), 40) << "the claim names what hardly anybody sends";
  for (const auto* verdict : b.VerdictsOf(id.value())) EXPECT_EQ(verdict->advice().action(), v1::ACTION_OBSERVE);
  EXPECT_EQ(b.VerdictsOf(id.value()).back()->state(), v1::CAMPAIGN_STATE_WITHDRAWN) << "a third of all send it";
  EXPECT_EQ(Decisions(b, id.value()), Decisions(alone, id.value()));
}

TEST(SharingTest, AClaimIsForgottenWhenItsTimeIsOver) {
  v1::PartnerClaim brief = TheClaim();
  const size_t half = TheCrowd().requests.size() / 2;
  brief.set_valid_until(TimeAt(half));
  Box b(kSaltB, "a");
  const std::string id = b.pipeline().TakeClaim(brief, "stillctl uid 0", Now()).value();
  b.Play(half);
  ASSERT_FALSE(b.VerdictsOf(id).empty());
  b.Play(TheCrowd().requests.size());
  EXPECT_TRUE(b.pipeline().imports().imports().empty());
  EXPECT_EQ(b.VerdictsOf(id).back()->state(), v1::CAMPAIGN_STATE_CLOSED);
  EXPECT_EQ(b.VerdictsOf(id).back()->changed_since().why(), "the partner's claim is over");
  bool audited = false;
  for (const auto* audit : b.sink().Records<v1::Audit>()) audited |= audit->action() == "import_expired" && audit->subject() == id;
  EXPECT_TRUE(audited);
  EXPECT_EQ(b.pipeline().FindCampaign(id), nullptr);
}

TEST(SharingTest, NoClaimIsHeldLongerThanAnythingElseIs) {
  v1::PartnerClaim endless = TheClaim();
  endless.set_valid_until("2100-01-01T00:00:00Z");
  Box b(kSaltB, "a");
  b.Play(1'000);
  ASSERT_TRUE(b.pipeline().TakeClaim(endless, "stillctl uid 0", Now()).ok());
  EXPECT_LE(b.pipeline().imports().imports()[0].claim.valid_until_s, b.pipeline().newest_ns() / kNsPerSecond + 60 * 86'400);
}

TEST(SharingTest, WhatCannotBeTakenIsRefusedInWordsAndAudited) {
  Box b(kSaltB, "a");
  size_t refused = 0;
  const auto why = [&](auto change) {
    v1::PartnerClaim claim = TheClaim();
    change(&claim);
    const Result<std::string> taken = b.pipeline().TakeClaim(claim, "stillctl uid 0", Now());
    EXPECT_FALSE(taken.ok());
    const auto audits = b.sink().Records<v1::Audit>();
    EXPECT_EQ(audits.size(), ++refused);
    EXPECT_EQ(audits.back()->action(), "import_refused");
    EXPECT_EQ(audits.back()->detail(), taken.message());
    EXPECT_EQ(b.pipeline().imports().counters().Get(ImportCounter::kRefused), refused);
    return taken.message();
  };
  EXPECT_THAT(why([](auto* c) { c->set_campaign_id("xyz"); }), HasSubstr("32 hex digits"));
  EXPECT_THAT(why([](auto* c) { c->set_state("angry"); }), HasSubstr("none of suspected"));
  EXPECT_THAT(why([](auto* c) { c->set_distillation_like(70'000); }), HasSubstr("above 65,536"));
  EXPECT_THAT(why([](auto* c) { c->set_valid_until("soon"); }), HasSubstr("valid_until"));
  EXPECT_THAT(why([](auto* c) { c->set_pattern("ransom"); }), HasSubstr("another kind"));
  EXPECT_THAT(why([](auto* c) { c->set_partner("z"); }), HasSubstr("no partner 'z'"));
  EXPECT_TRUE(b.pipeline().imports().imports().empty());
}

TEST(SharingTest, AnErasedAccountLeavesTheClaimsToo) {
  Box b(kSaltB, "a");
  const std::string id = b.pipeline().TakeClaim(TheClaim(), "stillctl uid 0", Now()).value();
  while (b.VerdictsOf(id).empty()) b.Play(b.at() + 1);
  const v1::CampaignVerdict before = *b.VerdictsOf(id).back();
  const AccountId erased = b.pipeline().imports().imports()[0].matches[1].id;
  const std::string account = HexOf(Bytes(erased.bytes, 16));
  const auto holds = [&] {
    std::string state;
    b.pipeline().SaveState(&state);
    return state.find(std::string(reinterpret_cast<const char*>(erased.bytes), 16)) != std::string::npos;
  };
  ASSERT_TRUE(holds());
  ASSERT_TRUE(b.pipeline().Erase(account, "stillctl uid 0", 7).ok());
  EXPECT_FALSE(holds());
  const v1::CampaignVerdict& after = *b.VerdictsOf(id).back();
  EXPECT_EQ(after.accounts_size(), before.accounts_size() - 1);
  EXPECT_EQ(after.changed_since().why(), "an account was erased");
  for (const auto& left : after.accounts()) EXPECT_NE(left.id(), account);
}

TEST(SharingTest, APersonCanRejectAClaimAndConfirmNone) {
  Box b(kSaltB, "a");
  const std::string id = b.pipeline().TakeClaim(TheClaim(), "stillctl uid 0", Now()).value();
  while (b.VerdictsOf(id).empty()) b.Play(b.at() + 1);
  EXPECT_THAT(b.pipeline().TakeFeedback(FeedbackKind::kConfirm, id, {}, "stillctl uid 0", "", 5).message(), HasSubstr("a partner's claim"));
  ASSERT_TRUE(b.pipeline().TakeFeedback(FeedbackKind::kReject, id, {}, "stillctl uid 0", "ours", 5).ok());
  EXPECT_EQ(b.VerdictsOf(id).back()->state(), v1::CAMPAIGN_STATE_WITHDRAWN);
  const size_t written = b.VerdictsOf(id).size();
  b.Play(TheCrowd().requests.size());
  EXPECT_EQ(b.VerdictsOf(id).size(), written);
  EXPECT_THAT(b.pipeline().TakeClaim(TheClaim(), "stillctl uid 0", Now()).message(), HasSubstr("a person rejected"));
}

TEST(SharingTest, ARestartRemembersClaimsOfPartnersThatAreStillThere) {
  Box b(kSaltB, "a");
  const std::string id = b.pipeline().TakeClaim(TheClaim(), "stillctl uid 0", Now()).value();
  while (b.VerdictsOf(id).empty()) b.Play(b.at() + 1);
  std::string state;
  b.pipeline().SaveState(&state);
  Box again(kSaltB, "a"), another(kSaltB, "c");
  ASSERT_TRUE(again.pipeline().LoadState(state).ok());
  ASSERT_TRUE(another.pipeline().LoadState(state).ok());
  ASSERT_NE(again.pipeline().FindCampaign(id), nullptr);
  EXPECT_TRUE(again.pipeline().imports().active());
  EXPECT_TRUE(another.pipeline().imports().imports().empty());
}

TEST(SharingTest, AWordOfOnesOwnDoesNotComeBack) {
  Box a(0, "b");
  a.Play(TheCrowd().requests.size() * 3 / 4);
  v1::PartnerClaim own = TheClaim();
  own.set_partner("b");
  EXPECT_THAT(a.pipeline().TakeClaim(own, "stillctl uid 0", Now()).message(), HasSubstr("this box's own"));
}

TEST(SharingTest, ACampaignThatCannotBeToldSaysWhy) {
  Box a(0, "b");
  EXPECT_THAT(a.pipeline().ClaimFor("z", TheClaim().campaign_id()).message(), HasSubstr("no partner 'z'"));
  EXPECT_THAT(a.pipeline().ClaimFor("b", "feed").message(), HasSubstr("no campaign feed"));
}

}  // namespace
}  // namespace stillwatch::pipeline
