// Partners: a campaign of ours under their key, and theirs under it recognised here. What a partner says makes a record at
// observe and a sentence, and is read by nothing that decides.
#include <algorithm>
#include <map>
#include <set>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/mutant.h"
#include "base/time_format.h"
#include "pipeline/evidence/core_look.h"
#include "pipeline/pipeline.h"

namespace stillwatch::pipeline {

namespace {

constexpr uint32_t kPartnerLayer = 12;
constexpr char kPartnerKind[] = "partner_claim";

std::string Count(uint64_t n) { return std::to_string(n); }
int64_t Nanoseconds(int64_t seconds) { return seconds * kNsPerSecond; }

// One core of a campaign, while its fragments are gathered from the requests that carry it.
struct GatheredCore {
  std::map<uint32_t, uint32_t> requests;  // by fragment
  std::set<uint32_t> owners;
};

const RememberedRequest* RequestOf(const Profile& profile, const Hit& hit) {
  const auto all = profile.remembered();
  const auto at = std::find_if(all.begin(), all.end(), [&](const RememberedRequest& r) { return r.time_s == hit.time_s && r.text_hash == hit.text_hash; });
  return at == all.end() ? nullptr : &*at;
}

std::string SentenceOf(const Import& import, uint64_t accounts, uint64_t requests) {
  return Count(accounts) + " of these accounts sent " + Count(requests) + " requests with prompt cores that partner " + import.partner + " names in its campaign " +
         import.claim.campaign_id.substr(0, 8) + " (" + import.claim.state + " there, " + Count(import.claim.accounts) +
         " accounts); a partner's word alone counts nothing";
}

v1::Evidence* AddClaimEvidence(const Import& import, std::span<const ImportMatch* const> matches, v1::CampaignVerdict* out) {
  v1::Evidence* evidence = out->add_evidence();
  evidence->set_layer(kPartnerLayer);
  evidence->set_kind(kPartnerKind);
  uint64_t requests = 0;
  uint32_t first = UINT32_MAX, last = 0;
  for (const ImportMatch* match : matches) {
    requests += match->requests;
    first = std::min(first, match->first_s), last = std::max(last, match->last_s);
  }
  evidence->set_count(requests);
  evidence->set_accounts(static_cast<uint32_t>(matches.size()));
  evidence->set_first_seen(Nanoseconds(first));
  evidence->set_last_seen(Nanoseconds(last));
  evidence->set_text(SentenceOf(import, matches.size(), requests));
  return evidence;
}

}  // namespace

Result<v1::PartnerClaim> Pipeline::ClaimFor(const std::string& partner, const std::string& campaign_id) const {
  const size_t index = imports_.PartnerIndex(partner);
  if (index == SIZE_MAX) return Error{"no partner '" + partner + "' in sharing.partners: without a key of the pair there are no sketches for it"};
  const Campaign* campaign = book_.Find(campaign_id);
  if (campaign == nullptr) return Error{"no campaign " + campaign_id};
  const CoreSet& cores = campaign->group.cores;
  std::map<uint32_t, GatheredCore> gathered;
  for (const GroupMember& member : campaign->group.members) {
    const Profile* profile = profiles_.Find(member.id);
    for (const Hit& hit : member.hits) {
      const RememberedRequest* request = profile == nullptr ? nullptr : RequestOf(*profile, hit);
      if (request == nullptr) continue;
      for (uint32_t own : request->shingles()) {
        const uint32_t core = cores.CoreOfFragment(own);
        const std::optional<uint32_t> theirs = partner_fragments_.Find(own, index);
        if (core != hit.core || !theirs.has_value()) continue;
        ++gathered[core].requests[*theirs];
        gathered[core].owners.insert(member.owner);
      }
    }
  }
  std::vector<const GatheredCore*> chosen;
  for (const auto& [core, found] : gathered) {
    if (found.requests.size() >= 2 && found.owners.size() >= options_.tunables.core_owners_min) chosen.push_back(&found);
  }
  std::stable_sort(chosen.begin(), chosen.end(), [](const auto* a, const auto* b) { return a->owners.size() > b->owners.size(); });
  if (chosen.size() > ClaimPattern::kCoresMax) chosen.resize(ClaimPattern::kCoresMax);
  if (chosen.empty()) {
    return Error{"no prompt core of campaign " + campaign_id + " is known under " + partner +
                 "'s key yet: that is learned when the campaign sends it again after start, and at the next look at the groups"};
  }
  ClaimPattern pattern{imports_.partners()[index].key_id, {}};
  for (const GatheredCore* core : chosen) {
    std::vector<std::pair<uint32_t, uint32_t>> by_use;  // requests, fragment
    for (const auto& [fragment, requests] : core->requests) by_use.push_back({requests, fragment});
    std::stable_sort(by_use.begin(), by_use.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    if (by_use.size() > ClaimPattern::kFragmentsMax) by_use.resize(ClaimPattern::kFragmentsMax);
    ClaimedCore& claimed = pattern.cores.emplace_back();
    for (const auto& [requests, fragment] : by_use) claimed.fragments.push_back(fragment);
    std::sort(claimed.fragments.begin(), claimed.fragments.end());
    claimed.needed = FragmentsNeeded(static_cast<uint32_t>(claimed.fragments.size()));  // two or more
  }
  v1::PartnerClaim claim;
  claim.set_partner(partner);
  claim.set_campaign_id(campaign_id);
  claim.set_state(campaign->stage == Stage::kConfirmed ? "confirmed" : campaign->stage == Stage::kDormant ? "dormant" : "suspected");
  claim.set_accounts(static_cast<uint32_t>(campaign->group.members.size()));
  claim.set_distillation_like(campaign->judgement.distillation_like);
  claim.set_pattern(PatternText(pattern));
  return claim;
}

Result<std::string> Pipeline::TakeClaim(const v1::PartnerClaim& claim, const std::string& actor, int64_t time_ns) {
  const uint64_t taken_before = imports_.counters().Get(ImportCounter::kTaken);
  const auto taken = [&]() -> Result<const Import*> {
    const auto refuse = [&](std::string why) -> Result<const Import*> {
      imports_.Refuse();
      return Error{std::move(why)};
    };
    std::string bytes;
    if (!ParseHex(claim.campaign_id(), &bytes) || bytes.size() != 16) return refuse("campaign_id is no 32 hex digits");
    if (claim.state() != "suspected" && claim.state() != "confirmed" && claim.state() != "dormant") return refuse("state is none of suspected, confirmed, dormant");
    if (claim.distillation_like() > 65'536) return refuse("distillation_like is above 65,536");
    if (book_.Find(claim.campaign_id()) != nullptr) return refuse("campaign " + claim.campaign_id() + " is this box's own");
    const Result<int64_t> until = ParseTime(claim.valid_until());
    if (!until.ok()) return refuse("valid_until: " + until.message());
    Result<ClaimPattern> pattern = ParsePattern(claim.pattern());
    if (!pattern.ok()) return refuse(pattern.message());
    // No longer than anything else is remembered here, whatever the partner says.
    const int64_t now_ns = std::max(newest_ns_, time_ns);
    const int64_t longest_s = now_ns / kNsPerSecond + int64_t{options_.tunables.retention_days} * 86'400;
    const int64_t until_s = until.value() / kNsPerSecond;
    return imports_.Take(claim.partner(), {claim.campaign_id(), claim.state(), claim.accounts(), claim.distillation_like(),
                                           now_ns == 0 ? until_s : std::min(until_s, longest_s), std::move(pattern).value(), claim.mac()},
                         now_ns / kNsPerSecond);
  }();
  if (!taken.ok()) {
    Audit(actor, "import_refused", claim.partner(), taken.message(), time_ns);
    Deliver();
    return taken.error();
  }
  const Import& import = *taken.value();
  if (imports_.counters().Get(ImportCounter::kTaken) == taken_before) return import.id;  // said again
  Audit(actor, "import", import.id,
        "partner " + import.partner + ", its campaign " + import.claim.campaign_id + ", " + Count(import.claim.pattern.cores.size()) + " cores, until " +
            FormatTime(Nanoseconds(import.claim.valid_until_s)),
        time_ns);
  books_changed_ = true;
  WriteImports();
  Deliver();
  return import.id;
}

bool Pipeline::WithdrawClaim(const std::string& partner, const std::string& campaign_id) {
  if (!imports_.Withdraw(partner, campaign_id)) return false;
  ForgetImports();
  Deliver();
  return true;
}

Status Pipeline::RejectImport(const std::string& id, const std::string& actor, const std::string& reason, int64_t time_ns) {
  if (!imports_.Reject(id)) return Error{"no claim " + id};
  Audit(actor, "feedback_reject", id, reason, time_ns);
  books_changed_ = true;
  WriteImports();
  Deliver();
  return {};
}

void Pipeline::NoteImports(const dataplane::ExchangeView& exchange, std::span<const Fragment> considered, uint32_t cut, const Profile& profile, uint32_t time_s) {
  if (exchange.header().partners == partner_fragments_.partners()) {
    const uint32_t owners_max = CoreOwnersMax(profiles_.size(), options_.tunables);
    for (const Fragment& fragment : considered) {
      const uint32_t owners = fragments_.OwnersOf(fragment.hash);
      if (owners >= options_.tunables.core_owners_min && owners <= owners_max) partner_fragments_.Note(exchange, fragment, time_s / 86'400);
    }
  }
  if (imports_.active()) imports_.Note(exchange, cut, profile.id, time_s);
}

uint64_t Pipeline::OwnersOf(const Import& import) const {
  std::set<uint64_t> owners;
  for (const ImportMatch& match : import.matches) {
    const Profile* profile = profiles_.Find(match.id);
    if (profile != nullptr) owners.insert(profile->owner);
  }
  return owners.size();
}

void Pipeline::ForgetImports() {
  for (Import& import : imports_.TakeExpired(newest_ns_ / kNsPerSecond)) {
    Audit("expiry", "import_expired", import.id, "partner " + import.partner + ", its campaign " + import.claim.campaign_id, newest_ns_);
    books_changed_ = true;
    if (!import.written) continue;
    auto verdict = std::make_unique<v1::CampaignVerdict>(VerdictOf(import));
    verdict->set_state(v1::CAMPAIGN_STATE_CLOSED);
    verdict->mutable_changed_since()->set_why("the partner's claim is over");
    Stamp(verdict->mutable_meta());
    Emit(Topic::kCampaignVerdict, import.id, std::move(verdict));
  }
}

// The campaign found here that most of a claim's accounts are in, after a look; it takes the claim's place for the reader.
void Pipeline::SupersedeImports() {
  for (Import& import : imports_.imports()) {
    if (import.rejected) continue;
    std::string by;
    size_t most = import.matches.size() / 2;
    for (const auto& campaign : book_.campaigns()) {
      if (!campaign->written || !IsLive(*campaign)) continue;
      const std::vector<AccountId> members = MemberIds(campaign->group);
      const auto common = static_cast<size_t>(std::count_if(import.matches.begin(), import.matches.end(), [&](const ImportMatch& m) {
        return std::binary_search(members.begin(), members.end(), m.id);
      }));
      if (common > most) most = common, by = campaign->id;
    }
    if (by == import.superseded_by) continue;
    import.superseded_by = by;
    import.changed |= import.written;
  }
}

// Claims that enough owners match: when new, a tenth larger, superseded, rejected, or with an account erased.
void Pipeline::WriteImports() {
  const Tunables& t = options_.tunables;
  for (Import& import : imports_.imports()) {
    if (!import.changed) continue;
    const uint64_t owners = OwnersOf(import);
    if (!import.written && (owners < t.core_owners_min || import.rejected)) continue;
    const auto matches = static_cast<uint32_t>(import.matches.size());
    const bool everyones = matches >= t.cohort_owners_min && uint64_t{matches} * t.core_owner_share_max > profiles_.size();
    const bool grown = uint64_t{matches} * 100 >= uint64_t{import.matches_written} * (100 + t.grown_percent);
    const bool shrunk = matches < import.matches_written;
    const bool moved = everyones != import.everyones || import.rejected || import.superseded_by != import.superseded_written;
    import.changed = false;
    if (import.written && !grown && !shrunk && !moved) continue;
    import.everyones = everyones;
    v1::CampaignVerdict verdict = VerdictOf(import);
    verdict.mutable_changed_since()->set_why(!import.written                 ? "new"
                                             : import.rejected               ? "rejected by a person"
                                             : everyones                     ? "a third of all accounts send what it names"
                                             : !import.superseded_by.empty() ? "found here"
                                             : shrunk                        ? "an account was erased"
                                                                             : "grew");
    Stamp(verdict.mutable_meta());
    Emit(Topic::kCampaignVerdict, import.id, std::make_unique<v1::CampaignVerdict>(std::move(verdict)));
    import.written = true;
    import.matches_written = matches;
    import.superseded_written = import.superseded_by;
    books_changed_ = true;
  }
}

v1::CampaignVerdict Pipeline::VerdictOf(const Import& import) const {
  const RecordContext context = Context();
  v1::CampaignVerdict out;
  FillCoverage(context, &out);
  out.set_policy_version(options_.policy.version);
  out.set_campaign_id(import.id);
  out.set_part(1), out.set_parts(1);
  out.set_state(import.rejected || import.everyones    ? v1::CAMPAIGN_STATE_WITHDRAWN
                : !import.superseded_by.empty() ? v1::CAMPAIGN_STATE_CLOSED
                                                : v1::CAMPAIGN_STATE_SUSPECTED);
  out.set_superseded_by(import.superseded_by);
  out.mutable_labels();
  out.set_prior(options_.tunables.prior_distillation);
  std::vector<const ImportMatch*> matches;
  uint64_t exchanges = 0, tokens = 0;
  int64_t evidence_s = 0;
  for (const ImportMatch& match : import.matches) {
    matches.push_back(&match);
    v1::AccountInCampaign* account = out.add_accounts();
    const Profile* profile = profiles_.Find(match.id);
    account->set_id(AccountText(names(), match.id));
    account->set_exchanges(profile == nullptr ? match.requests : profile->exchanges);
    account->set_hits(match.requests);
    account->set_first_seen(Nanoseconds(match.first_s));
    account->set_last_seen(Nanoseconds(match.last_s));
    account->add_reasons(Count(match.requests) + " requests hold prompt cores that partner " + import.partner + " names");
    evidence_s = std::max<int64_t>(evidence_s, match.last_s);
    if (profile == nullptr) continue;
    exchanges += profile->day.Exchanges(newest_ns_ / kNsPerSecond);
    tokens += profile->day.TokensOut(newest_ns_ / kNsPerSecond);
  }
  out.set_evidence_time(Nanoseconds(evidence_s));
  AddClaimEvidence(import, matches, &out);
  out.add_counter_evidence("only a partner says so: what was seen here was not weighed, and may be anybody's who sends such prompts");
  out.set_cohort_compared("nobody");
  out.mutable_blast_radius()->set_accounts(matches.size());
  out.mutable_blast_radius()->set_exchanges(exchanges);
  out.mutable_blast_radius()->set_output_tokens(tokens);
  out.mutable_blast_radius()->set_innocents_high(matches.size());
  AdviceGiven advice;
  advice.reason_code = "partner_claim";
  if (MutantIs("import.moves_people")) advice.rung = Rung::kStepUp;
  FillAdvice(advice, import.id, Nanoseconds(import.claim.valid_until_s), out.mutable_advice());
  out.mutable_changed_since();
  return out;
}

void Pipeline::AddClaims(const Campaign& campaign, v1::CampaignVerdict* out) const {
  for (const Import& import : imports_.imports()) {
    if (import.rejected) continue;
    std::vector<const ImportMatch*> matches;
    for (const GroupMember& member : campaign.group.members) {
      const auto at = std::lower_bound(import.matches.begin(), import.matches.end(), member.id,
                                       [](const ImportMatch& m, const AccountId& id) { return m.id < id; });
      if (at != import.matches.end() && at->id == member.id) matches.push_back(&*at);
    }
    if (matches.size() >= options_.tunables.core_owners_min) AddClaimEvidence(import, matches, out);
  }
}

}  // namespace stillwatch::pipeline
