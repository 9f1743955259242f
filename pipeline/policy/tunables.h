// Every number that detection can be tuned by, in one place: unit, reason, starting value. For
// PipelineOptions, docs/detection.md and whoever tunes on development seeds. Plain data; nothing else
// in pipeline/ holds a threshold. Evidence is in 1/256 nat ("q8"); 4.6 nats is a likelihood ratio of 100.
#pragma once

#include <cstdint>

namespace stillwatch::pipeline {

inline constexpr int32_t Nats(int32_t tenths) { return tenths * 256 / 10; }  // 46 -> 4.6 nats

struct Tunables {
  // --- Memory -------------------------------------------------------------------------------------
  uint32_t profiles_max = 65'536;       // accounts; 4 KiB each
  uint32_t fragment_rows_max = 1u << 20;  // fragments seen from two owners or more; 48 bytes each
  uint32_t doorkeeper_rows = 1u << 22;  // fragments seen from one owner; 8 bytes each
  uint32_t index_entries_max = 4u << 20;  // (fragment, request) pairs in one evaluation; above, sampled
  uint32_t cluster_rows_max = 1u << 14;  // semantic clusters; 669 bytes each. More find no place in the buckets
  uint32_t campaigns_max = 256;         // held at one time; the smallest is given up, counted
  uint32_t retention_days = 60;         // content evidence does not decay, it expires

  // --- When ---------------------------------------------------------------------------------------
  uint32_t evaluate_every_s = 10;       // traffic time between two looks at the groups
  uint32_t evaluate_growth_share = 8;   // a look waits until remembered requests grew by 1/8: it costs what they do
  uint32_t evaluate_requests_min = 32;  // ... and at least by so many
  uint32_t evaluate_at_least_h = 24;    // h; with anything new, look at least so often

  // --- Layer 1: template collision ----------------------------------------------------------------
  uint32_t core_owners_min = 3;         // owners that must share a fragment before it counts, in as many texts (copies of one are no template), and hold both cores of a link
  uint32_t core_owner_share_max = 3;    // a fragment of more than 1/3 of all owners is everyone's
  uint32_t core_merge_percent = 40;     // neighbours that meet in this share of their requests are one core
  uint32_t account_cores_max = 48;      // cores of one account that are paired, half rare, half common; bounds the work
  int32_t link_nats = Nats(50);         // a link of two cores, against independent use
  uint32_t volume_factor_max = 4;       // busy accounts hold many cores: corrects by at most this
  uint32_t edge_neighbours = 6;         // edges an account gets for each core (kNN, not a clique)

  // --- Public cores -------------------------------------------------------------------------------
  uint32_t public_likeness_percent = 200;  // of the pairs of clients that are alike in the population: up to this it is everybody's

  uint32_t public_lift_min = 4;         // ... unless its owners share another core so many times as often as chance has it

  // --- Group: fit and growth ----------------------------------------------------------------------
  uint32_t group_accounts_min = 6;      // fewer unrelated accounts are never a campaign here, nor is it told whether their core is public
  uint32_t carrying_owner_percent = 10;  // of the group's owners hold a core that carries it; less is payload
  int32_t request_hit_nats = Nats(50);  // likelihood ratio from which one request counts as a hit
  int32_t core_nats_max = Nats(90);     // what one core may add to a request
  int32_t fragment_nats_max = Nats(20);  // ... for each of its fragments: three words are less than a sentence
  int32_t tuple_nats_max = Nats(20);    // what parameters may add or take: cheap to vary
  uint32_t benign_rate_floor_ppm = 300;  // no claim below 3e-4 benign hits a request
  int32_t member_nats = Nats(92);       // an account's hits against the benign rate: 1e-4
  uint32_t member_links_min = 3;        // members that an account must share a core with
  uint32_t growth_rounds = 3;           // refits; more lets a group drift
  uint32_t split_share_percent = 15;    // cores that fewer of their accounts share are of different campaigns
  uint32_t merge_percent = 30;          // two groups are one when each admits this share of the other

  // --- Layer 3: division of work ------------------------------------------------------------------
  uint32_t cohort_owners_min = 30;      // owners outside, before the group's continuity can be held against theirs
  uint32_t class_payloads_max = 64;     // as many pairs with equal payload as so few distinct ones would give: a class, a benchmark
  uint32_t payload_fragments_min = 2;   // a payload with fewer own fragments is empty
  uint32_t continuity_ratio = 3;        // own subjects come back this much more often: people, not a dealer
  uint32_t dealer_returns_one_in = 8;   // ... on one in so many of a dealer's accounts that do it among others; an app's users do so on half

  uint32_t languages_many = 3;          // languages of one owner from which they are many: people ask in one or two

  // --- Layer 5: elicitation -----------------------------------------------------------------------
  int32_t elicitation_nats = Nats(25);  // a request that asks for reasoning, rubrics, n-best, schemas

  // --- Layer 10: exact rules ----------------------------------------------------------------------
  uint32_t probe_sets_min = 8;          // distinct sets of biased token ids under which one token's odds were asked: people read a few labels'

  // --- Layers of a whole group: 4, 6, 8, 9, 11 ----------------------------------------------------
  uint32_t synchrony_half_life_days = 7;  // d; the one evidence that decays: what was in step weeks ago says little today
  int32_t hint_nats_max = Nats(20);     // semantic clusters, sign-ups, residual traffic, network: told and not counted, classes share them all

  // --- Layer 2: migration -------------------------------------------------------------------------
  uint32_t migration_rows_max = 1u << 18;   // ids, and again conversations, whose owner is known; 32 bytes each;
                                            // pairs of accounts with events: 1/16 of it
  int32_t migration_nats = Nats(35);        // one conversation that moved: 64 random bits do not meet, but people share links
  int32_t identity_nats_max = Nats(80);     // cap of the family, and of an edge

  // --- Families, labels ---------------------------------------------------------------------------
  int32_t family_nats = Nats(46);       // two families this strong, or the verdict stays at observe
  int32_t harvest_nats = Nats(23);      // work or elicitation must say so much, or nothing says that outputs are harvested
  int32_t content_nats_max = Nats(100);  // caps: no family decides alone
  int32_t work_nats_max = Nats(70);
  int32_t stack_nats_max = Nats(60);    // the client stack, and the hours
  int32_t elicitation_nats_max = Nats(40);
  int32_t prior_pooled = Nats(-92);     // before evidence: one group in 10,000 that is proposed
  int32_t prior_distillation = Nats(-115);  // one in 100,000
  uint32_t equal_text_one_in = 128;     // pairs of hits with equal text, more than 1 in this: a class has few
                                        // distinct texts; a grid that wraps around has many, once or twice each
  uint32_t conversation_percent_max = 50;  // hits inside longer conversations: an agent or a chat
  uint32_t templates_min = 2;           // cores that carry the group; one core alone is a shared app
  uint32_t templates_alone_min = 4;     // ... where owners with several accounts have nothing alike but prompts and dealt work: companies share a public prompt
  uint32_t grown_percent = 10;          // a verdict is written again when the group grew by this
  uint32_t dormant_after_days = 7;      // without a new hit
  uint32_t opinion_growth = 2;          // what a person said of a group holds until it is so many times as large
};

static_assert(sizeof(Tunables) <= 60 * sizeof(uint32_t), "more than anybody can reason about: take one away first");

}  // namespace stillwatch::pipeline
