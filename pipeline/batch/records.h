// Fills the Protobuf records that leave the box (pipeline/proto) from the pipeline's plain structs. Text
// is made of fixed sentences and counts; no fragment, no token hash leaves: cores go out under a keyed
// hash of their own.
#pragma once

#include <cstdint>

#include "base/hash.h"
#include "gpu/backend.h"
#include "pipeline/campaign/campaign_book.h"
#include "pipeline/evidence/edge.h"
#include "pipeline/intel/end_users.h"
#include "pipeline/policy/ladder.h"
#include "pipeline/profile/profile_table.h"
#include "pipeline/proto/stillwatch.pb.h"

namespace stillwatch::pipeline {

// What the dataplane saw as a whole; says how far a verdict can be trusted.
struct CoverageSeen {
  uint64_t exchanges = 0, skipped = 0, one_sided = 0;
  bool degraded = false;
};

struct RecordContext {
  const ProfileTable* profiles;
  AccountNames accounts;
  const Tunables* tunables;
  const PolicyOptions* policy;
  gpu::SketchVersions versions;
  Salt salt;
  CoverageSeen coverage;
  int64_t now_ns = 0;
};

uint64_t ExportedCore(uint32_t anchor, Salt salt);

void FillEdge(const EdgeRecord& edge, const RecordContext& context, v1::Edge* out);
void FillProfile(const Profile& profile, const AccountNames& accounts, v1::AccountProfile* out);
void FillAdvice(const AdviceGiven& given, const std::string& campaign_id, int64_t expires_ns, v1::Advice* out);
// All accounts in one record, part 1 of 1; SplitVerdict makes parts.
void FillVerdict(const Campaign& campaign, const AdviceGiven& advice, bool owners_known,
                 const RecordContext& context, v1::CampaignVerdict* out);
// What the box saw, and the sketches' epoch.
void FillCoverage(const RecordContext& context, v1::CampaignVerdict* out);
// The accounts [first, last) of `whole`, numbered part of parts.
v1::CampaignVerdict PartOf(const v1::CampaignVerdict& whole, uint32_t part, uint32_t parts, uint32_t per_part);

}  // namespace stillwatch::pipeline
