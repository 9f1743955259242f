// The verdict that docs/topics.md shows, with a second account.
#pragma once

#include <nlohmann/json.hpp>

namespace stillwatch::stix {

inline nlohmann::json ACampaign() {
  nlohmann::json campaign = nlohmann::json::parse(R"json(
{
 "event_id": "",
 "event_time": "2026-01-02T00:00:00.123456789Z",
 "box": "",
 "config_generation": 7,
 "schema": 1,
 "evidence_time": "2026-01-01T23:50:00.000000000Z",
 "policy_version": "2026-01",
 "campaign_id": "6f1c0b7a92d84e33a5510c9ce07b4d18",
 "part": 1,
 "parts": 1,
 "state": "confirmed",
 "superseded_by": "",
 "labels": {
  "pooled": 65301,
  "distillation_like": 64880
 },
 "prior": -2358,
 "accounts": [
  {
   "id": "acct-20417",
   "score": 5230,
   "exchanges": 642,
   "hits": 588,
   "first_seen": "2025-12-16T00:00:00.000000000Z",
   "last_seen": "2026-01-01T23:59:59.250000000Z",
   "reasons": [
    "3 non-public cores shared with 211 unrelated accounts (likelihood ratio 1300)"
   ]
  }
 ],
 "evidence": [
  {
   "layer": 1,
   "kind": "template_collision",
   "family": "content",
   "weight": 1843,
   "count": 12044,
   "accounts": 212,
   "first_seen": "2025-12-16T00:00:00.000000000Z",
   "last_seen": "2026-01-01T23:59:59.250000000Z",
   "text": "212 unrelated accounts share 3 prompt cores that nobody else uses.",
   "exemplars": [
    {
     "account": "acct-20417",
     "traffic_time": "2026-01-01T23:59:59.250000000Z",
     "request_id_hash": "01c3a2b4d5e6f708",
     "response_id_hash": "9a8b7c6d5e4f3a2b",
     "core_hash": "5bd1e9955bd1e995"
    }
   ]
  }
 ],
 "counter_evidence": [
  "9 of 212 accounts have paid for over a year."
 ],
 "checks": [
  {
   "name": "classroom",
   "result": "passed",
   "text": "Activity covers 23 of 24 hours, a class 6."
  }
 ],
 "cohort_compared": "4,300 accounts created in the same weeks, same tier",
 "coverage": {
  "exchanges_seen": 8812044,
  "skipped": 310,
  "one_sided_share": 128,
  "degraded": false
 },
 "blast_radius": {
  "accounts": 212,
  "exchanges": 5512,
  "output_tokens": 7750311,
  "innocents_low": 0,
  "innocents_high": 2
 },
 "advice": {
  "action": "throttle",
  "expires": "2026-01-03T00:00:00.000000000Z",
  "needs_human": false,
  "reversible": true,
  "reason_code": "SW-POOL-DISTIL",
  "shared_budget": {
   "group": "",
   "exchanges_24h": 0,
   "output_tokens_24h": 0
  }
 },
 "exposure": {
  "exchanges_before_first_verdict": 40118
 },
 "changed_since": {
  "joined": [
   "acct-90112"
  ],
  "left": [],
  "why": "One more account carries two of the cores."
 },
 "replay_id": "",
 "harvest_rate_24h": 5512,
 "action_cost": [
  {
   "action": "step_up",
   "accounts": 212,
   "innocents_high": 2
  },
  {
   "action": "block",
   "accounts": 212,
   "innocents_high": 2
  }
 ],
 "epoch": {
  "sketch": 1,
  "salt_id": 3,
  "rarity_id": 2,
  "table_id": 1
 }
}
)json");
  campaign["accounts"].push_back(campaign["accounts"][0]);
  campaign["accounts"][1]["id"] = "acct-88031";
  return campaign;
}

// What its box says of it to a partner, as signed.
inline nlohmann::json AClaim() {
  return {{"partner", "other-lab"}, {"campaign_id", "6f1c0b7a92d84e33a5510c9ce07b4d18"}, {"state", "confirmed"}, {"accounts", 2}, {"distillation_like", 64880},
          {"valid_until", "2026-02-02T00:00:00.000Z"}, {"pattern", "stillwatch-fragments/1 0123456789abcdef: 2 of 00aa11bb 22cc33dd 44ee55ff"},
          {"mac", "00112233445566778899aabbccddeeff"}};
}

}  // namespace stillwatch::stix
