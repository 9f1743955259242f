#include "pipeline/batch/records.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/endian.h"
#include "base/mutant.h"
#include "dataplane/llm/exchange.h"
#include "pipeline/campaign/calibration.h"
#include "pipeline/campaign/group_layer.h"
#include "pipeline/evidence/fixed_point.h"

namespace stillwatch::pipeline {

namespace {

constexpr uint32_t kExemplarsMax = 20;

std::string Count(uint64_t n) { return std::to_string(n); }

// "about 10^N" for exp(q8 / 256): log10(e) = 0.4343 = 28,462 / 65,536.
std::string RatioText(int32_t q8) {
  return "10^" + Count(static_cast<uint64_t>(std::max<int64_t>(static_cast<int64_t>(q8) * 28'462 >> 24, 0)));
}

v1::Family FamilyOf(Layer layer) {
  switch (layer) {
    case Layer::kMigration: return v1::FAMILY_IDENTITY;
    case Layer::kWorkDivision: return v1::FAMILY_WORK;
    case Layer::kTemplate:
    case Layer::kElicitation:
    case Layer::kExactRules: break;
  }
  return v1::FAMILY_CONTENT;
}

int64_t Nanoseconds(uint32_t seconds) { return static_cast<int64_t>(seconds) * kNsPerSecond; }

void FillAccounts(const Campaign& campaign, const RecordContext& context, v1::CampaignVerdict* out) {
  for (const GroupMember& member : campaign.group.members) {
    v1::AccountInCampaign* account = out->add_accounts();
    const Profile* profile = context.profiles->Find(member.id);
    account->set_id(AccountText(context.accounts, member.id));
    account->set_score(member.score);
    account->set_exchanges(profile == nullptr ? member.requests : profile->exchanges);
    account->set_hits(member.hits.size());
    account->set_first_seen(Nanoseconds(member.first_s));
    account->set_last_seen(Nanoseconds(member.last_s));
    account->add_reasons(Count(member.hits.size()) + " of " + Count(member.requests) +
                         " remembered requests carry the group's prompt cores; by chance that is " +
                         RatioText(member.score - member.kin_nats) + " times less likely");
    account->add_reasons("it holds " + Count(member.cores) + " of the group's " +
                         Count(campaign.group.cores.cores.size()) + " cores" + (member.hits.size() > 1 ? ", through different requests" : ""));
    const auto fitting = std::count_if(member.hits.begin(), member.hits.end(),
                                       [](const Hit& hit) { return hit.tuple_nats > 0; });
    if (member.kin_nats != 0) {
      account->add_reasons("conversations moved between it and other members, " + RatioText(member.kin_nats) + " times as likely of accounts that one hand runs");
    } else {
      account->add_reasons(Count(static_cast<uint64_t>(fitting)) + " of these use the group's usual model parameters");
    }
  }
}

void FillExemplars(const Campaign& campaign, const RecordContext& context, v1::Evidence* evidence) {
  // Round the members, one hit each, until there are enough.
  for (const GroupMember& member : campaign.group.members) {
    if (evidence->exemplars_size() >= static_cast<int>(kExemplarsMax)) return;
    const Profile* profile = context.profiles->Find(member.id);
    if (profile == nullptr || member.hits.empty()) continue;
    const Hit& hit = member.hits.front();
    if (hit.request >= profile->requests_count) continue;
    const RememberedRequest& request = profile->requests[hit.request];
    v1::Exemplar* exemplar = evidence->add_exemplars();
    exemplar->set_account(AccountText(context.accounts, member.id));
    exemplar->set_traffic_time(Nanoseconds(request.time_s));
    exemplar->set_request_id_hash(request.request_id_hash);
    exemplar->set_core_hash(ExportedCore(campaign.group.cores.cores[hit.core].anchor, context.salt));
  }
}

v1::Evidence* AddEvidence(const Campaign& campaign, uint32_t layer, std::string_view kind, v1::Family family,
                          int32_t weight, uint64_t count, std::string text, v1::CampaignVerdict* out) {
  v1::Evidence* evidence = out->add_evidence();
  evidence->set_layer(layer);
  evidence->set_kind(std::string(kind));
  evidence->set_family(family);
  evidence->set_weight(weight);
  evidence->set_count(count);
  evidence->set_accounts(static_cast<uint32_t>(campaign.group.members.size()));
  uint32_t first = UINT32_MAX, last = 0;
  for (const GroupMember& member : campaign.group.members) {
    first = std::min(first, member.first_s), last = std::max(last, member.last_s);
  }
  evidence->set_first_seen(Nanoseconds(first == UINT32_MAX ? 0 : first));
  evidence->set_last_seen(Nanoseconds(last));
  evidence->set_text(std::move(text));
  return evidence;
}

v1::Family FamilyOf(EvidenceFamily family) {
  switch (family) {
    case EvidenceFamily::kContent: return v1::FAMILY_CONTENT;
    case EvidenceFamily::kMeaning: return v1::FAMILY_CONTENT;
    case EvidenceFamily::kTiming: return v1::FAMILY_TIMING;
    case EvidenceFamily::kStack: return v1::FAMILY_STACK;
    case EvidenceFamily::kCohort: return v1::FAMILY_COHORT;
    case EvidenceFamily::kNetwork: return v1::FAMILY_NETWORK;
  }
  return v1::FAMILY_UNSPECIFIED;
}

void FillEvidence(const Campaign& campaign, const RecordContext& context, v1::CampaignVerdict* out) {
  const GroupCounts& c = campaign.group.counts;
  const GroupEvidence& raw = campaign.group.evidence;
  FillExemplars(campaign, context,
                AddEvidence(campaign, 1, "template_collision", v1::FAMILY_CONTENT, raw.content, c.hits,
                            Count(c.owners) + " accounts that nobody declared related sent " + Count(c.hits) +
                                " requests built from " + Count(c.templates) + " shared prompt cores; outside the group " +
                                Count(c.benign_hits) + " of " + Count(c.benign_requests) + " requests match",
                            out));
  const IdentityCounts& identity = campaign.group.identity;
  AddEvidence(campaign, 2, "migration", v1::FAMILY_IDENTITY, raw.identity, identity.events,
              Count(identity.accounts) + " of these accounts sent what the server had given to another of them: ids, or conversations that went on"
              " from where the other was, " + Count(identity.events) + " times between " + Count(identity.edges) +
                  " pairs; of " + Count(identity.outside) + " other accounts " + Count(identity.outside_accounts) + " did among themselves",
              out);
  AddEvidence(campaign, 3, "division_of_work", v1::FAMILY_WORK, raw.work, c.payload_pairs,
              Count(c.continuity.returning) + " of " + Count(c.continuity.compared) +
                  " accounts come back to subjects of their own; of other accounts, by as many requests, " +
                  Count(c.cohort.returning) + " of " + Count(c.cohort.compared) + " do. Payloads of different accounts met " +
                  Count(c.collisions) + " times in " + Count(c.payload_pairs) + " pairs; one payload came under two cores from two accounts " +
                  Count(c.crossing_pairs) + " times",
              out);
  AddEvidence(campaign, 5, "elicitation", v1::FAMILY_CONTENT, raw.elicitation, c.eliciting_hits,
              Count(c.eliciting_hits) + " of " + Count(c.hits) +
                  " matching requests ask for written-out reasoning, rubrics, several candidates or a fixed schema",
              out);
  for (size_t i = 0; i < kGroupLayers; ++i) {
    const GroupLayer& layer = GroupLayers()[i];
    const Finding& finding = campaign.group.findings[i];
    AddEvidence(campaign, layer.number, layer.kind, FamilyOf(layer.family), finding.nats, c.owners, layer.sentence(finding), out);
  }
}

void FillCounterEvidence(const Campaign& campaign, bool owners_known, const RecordContext& context,
                         v1::CampaignVerdict* out) {
  const GroupCounts& c = campaign.group.counts;
  if (!owners_known) out->add_counter_evidence("ownership unknown: one customer with many keys would look alike");
  if (campaign.judgement.said == Said::kRejectedWhenSmaller) {
    out->add_counter_evidence("a person rejected a group like this when it was smaller; it has grown well beyond that");
  }
  if (!Stands(campaign, *context.tunables)) {
    out->add_counter_evidence(Count(campaign.agreed) + " looks in a row speak for it; nothing is advised before " + Count(LooksNeeded(campaign)) +
                              " do and find its accounts again" +
                              (campaign.relapses == 0 ? "" : ": looks took it back " + Count(campaign.relapses) + " times"));
  } else if (!campaign.waiting.empty()) {
    out->add_counter_evidence(Count(campaign.waiting.size()) +
                              " accounts were found by the last look only; nothing is advised against them before the next one finds them again");
  }
  if (c.continuity.compared == 0) out->add_counter_evidence("too few payload words to say whether accounts keep subjects of their own");
  if (c.benign_requests < 1000) {
    out->add_counter_evidence("only " + Count(c.benign_requests) + " requests outside the group to compare with");
  }
  if (campaign.judgement.families < 2) out->add_counter_evidence("fewer than two families of evidence are strong");
  if (c.cohort.compared < context.tunables->cohort_owners_min) {
    out->add_counter_evidence("too few other accounts to say how people come back to their subjects here");
  }
  for (const LookAlike& check : campaign.judgement.checks) {
    if (check.verdict == Verdict::kFailed) {
      out->add_counter_evidence("looks like " + std::string(check.name) + ": " + check.text);
    }
  }
}

}  // namespace

uint64_t ExportedCore(uint32_t anchor, Salt salt) {
  uint8_t bytes[4];
  StoreBe32(bytes, anchor);
  return KeyedHash64(Bytes(bytes, 4), DeriveSalt(salt, "core"));
}

void FillEdge(const EdgeRecord& edge, const RecordContext& context, v1::Edge* out) {
  out->set_account_a(AccountText(context.accounts, edge.a));
  out->set_account_b(AccountText(context.accounts, edge.b));
  out->set_layer(static_cast<uint32_t>(edge.layer));
  out->set_family(FamilyOf(edge.layer));
  out->set_weight(edge.weight);
  out->set_count(edge.count);
  out->set_shared_cores(edge.shared_cores);
  for (uint32_t i = 0; i < edge.cores_count; ++i) out->add_cores(ExportedCore(edge.cores[i], context.salt));
  out->set_first_seen(Nanoseconds(edge.first_s));
  out->set_last_seen(Nanoseconds(edge.last_s));
  out->mutable_epoch()->set_sketch(context.versions.sketch);
  out->mutable_epoch()->set_salt_id(context.versions.salt_id);
  out->mutable_epoch()->set_rarity_id(context.versions.rarity_id);
  out->mutable_epoch()->set_table_id(context.versions.table_id);
}

void FillProfile(const Profile& profile, const AccountNames& accounts, v1::AccountProfile* out) {
  out->set_account(AccountText(accounts, profile.id));
  out->set_organisation(profile.organisation() == 0 ? "" : HexOf(profile.organisation()));
  out->set_exchanges(profile.exchanges);
  out->set_tokens_in(profile.tokens_in);
  out->set_tokens_out(profile.tokens_out);
  out->set_refusals(profile.refusals);
  out->set_rate_limited(profile.rate_limited);
  out->set_first_seen(profile.first_ns);
  out->set_last_seen(profile.last_ns);
  out->set_cores(profile.cores);
  for (uint32_t d = 1; d < dataplane::kDialects; ++d) {
    if (profile.dialects >> d & 1) out->add_dialects(std::string(NameOf(static_cast<dataplane::Dialect>(d))));
  }
  out->set_evicted(profile.evicted);
}

void FillAdvice(const AdviceGiven& given, const std::string& campaign_id, int64_t expires_ns, v1::Advice* out) {
  out->set_action(static_cast<v1::Action>(given.rung));
  out->set_expires(expires_ns);
  out->set_needs_human(given.needs_human);
  out->set_reversible(given.reversible);
  out->set_reason_code(given.reason_code);
  if (given.budget_exchanges == 0) return;
  out->mutable_shared_budget()->set_group(campaign_id);
  out->mutable_shared_budget()->set_exchanges_24h(given.budget_exchanges);
  out->mutable_shared_budget()->set_output_tokens_24h(given.budget_tokens);
}

void FillVerdict(const Campaign& campaign, const AdviceGiven& advice, bool owners_known,
                 const RecordContext& context, v1::CampaignVerdict* out) {
  const Judgement& j = campaign.judgement;
  out->set_evidence_time(campaign.evidence_s * kNsPerSecond);
  out->set_policy_version(context.policy->version);
  out->set_campaign_id(campaign.id);
  out->set_part(1);
  out->set_parts(1);
  out->set_state(static_cast<v1::CampaignState>(campaign.stage));
  out->set_superseded_by(campaign.superseded_by);
  out->mutable_labels()->set_pooled(context.policy->calibrated && !MutantIs("calibration.off") ? CalibratedPooled(j.pooled) : j.pooled);
  out->mutable_labels()->set_distillation_like(j.distillation_like);
  out->set_prior(context.tunables->prior_distillation);
  FillAccounts(campaign, context, out);
  FillEvidence(campaign, context, out);
  FillCounterEvidence(campaign, owners_known, context, out);
  for (const LookAlike& check : j.checks) {
    v1::Check* record = out->add_checks();
    record->set_name(std::string(check.name));
    record->set_result(check.verdict == Verdict::kPassed   ? v1::CHECK_RESULT_PASSED
                       : check.verdict == Verdict::kFailed ? v1::CHECK_RESULT_FAILED
                                                           : v1::CHECK_RESULT_NO_DATA);
    record->set_text(check.text);
  }
  out->set_cohort_compared("all accounts outside the group, " + Count(campaign.group.counts.benign_requests) +
                           " remembered requests; parameters within the same model; hours and other requests: " +
                           Count(campaign.group.counts.draws) + " groups of as many accounts, matched by dialect and volume");
  FillCoverage(context, out);

  uint64_t exchanges = 0, tokens = 0, day_hits = 0;
  const int64_t day_ago = context.now_ns / kNsPerSecond - 86'400;
  for (const GroupMember& member : campaign.group.members) {
    const Profile* profile = context.profiles->Find(member.id);
    if (profile == nullptr) continue;
    exchanges += profile->day.Exchanges(context.now_ns / kNsPerSecond);
    tokens += profile->day.TokensOut(context.now_ns / kNsPerSecond);
    for (const Hit& hit : member.hits) {
      day_hits += hit.request < profile->requests_count && profile->requests[hit.request].time_s > day_ago;
    }
  }
  v1::BlastRadius* blast = out->mutable_blast_radius();
  blast->set_accounts(campaign.group.members.size());
  blast->set_exchanges(exchanges);
  blast->set_output_tokens(tokens);
  blast->set_innocents_low(j.innocents_low);
  blast->set_innocents_high(j.innocents_high);
  FillAdvice(advice, campaign.id, context.now_ns + context.policy->advice_ttl_hours * kNsPerHour, out->mutable_advice());
  out->mutable_exposure()->set_exchanges_before_first_verdict(campaign.exposure);
  v1::ChangedSince* changed = out->mutable_changed_since();
  for (const AccountId& id : campaign.joined) changed->add_joined(AccountText(context.accounts, id));
  for (const AccountId& id : campaign.left) changed->add_left(AccountText(context.accounts, id));
  changed->set_why(campaign.why);
  out->set_harvest_rate_24h(day_hits);
  for (int rung = v1::ACTION_STEP_UP; rung <= v1::ACTION_BLOCK; ++rung) {
    v1::ActionCost* cost = out->add_action_cost();
    cost->set_action(static_cast<v1::Action>(rung));
    cost->set_accounts(campaign.group.members.size());
    cost->set_innocents_high(j.innocents_high);
  }
}

void FillCoverage(const RecordContext& context, v1::CampaignVerdict* out) {
  v1::Coverage* coverage = out->mutable_coverage();
  coverage->set_exchanges_seen(context.coverage.exchanges);
  coverage->set_skipped(context.coverage.skipped);
  coverage->set_one_sided_share(static_cast<uint32_t>(
      context.coverage.exchanges == 0 ? 0 : context.coverage.one_sided * 65'536 / context.coverage.exchanges));
  coverage->set_degraded(context.coverage.degraded);
  out->mutable_epoch()->set_sketch(context.versions.sketch);
  out->mutable_epoch()->set_salt_id(context.versions.salt_id);
  out->mutable_epoch()->set_rarity_id(context.versions.rarity_id);
  out->mutable_epoch()->set_table_id(context.versions.table_id);
}

v1::CampaignVerdict PartOf(const v1::CampaignVerdict& whole, uint32_t part, uint32_t parts, uint32_t per_part) {
  v1::CampaignVerdict record = whole;
  record.clear_accounts();
  record.set_part(part);
  record.set_parts(parts);
  const int first = static_cast<int>((part - 1) * per_part);
  const int last = std::min(first + static_cast<int>(per_part), whole.accounts_size());
  for (int i = first; i < last; ++i) *record.add_accounts() = whole.accounts(i);
  if (part != 1) {  // who joined and left is told once
    record.mutable_changed_since()->clear_joined();
    record.mutable_changed_since()->clear_left();
  }
  return record;
}

}  // namespace stillwatch::pipeline
