// From exchanges to events: batch, sketches, account profiles, evidence, edges, campaigns, advice. One
// thread (the batch thread) calls everything here. Memory is bounded by Tunables; what passes a bound is
// counted. Deterministic: the same exchanges in the same order give the same events, byte for byte,
// however calls to OnWatermark fall between them.
//
//   Pipeline pipeline(options, backend.get(), &sink, &registry);
//   pipeline.OnExchange(view);            // in OrderKey order, from all workers merged
//   pipeline.OnWatermark(packet, time);   // no exchange older than this will follow
//   pipeline.Finish();                    // closes the last batch, judges once more, flushes
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/counters.h"
#include "base/hash.h"
#include "base/result.h"
#include "dataplane/llm/exchange.h"
#include "dataplane/llm/flow_record.h"
#include "gpu/backend.h"
#include "pipeline/batch/edge_recording.h"
#include "pipeline/campaign/campaign_book.h"
#include "pipeline/campaign/feedback_book.h"
#include "pipeline/evidence/core_look.h"
#include "pipeline/evidence/edge.h"
#include "pipeline/evidence/elicitation.h"
#include "pipeline/evidence/language.h"
#include "pipeline/evidence/flat_map.h"
#include "pipeline/evidence/fragment_table.h"
#include "pipeline/evidence/instruction.h"
#include "pipeline/evidence/migration_layer.h"
#include "pipeline/evidence/public_list.h"
#include "pipeline/evidence/semantic_clusters.h"
#include "pipeline/evidence/tied_cores.h"
#include "pipeline/intel/account_directory.h"
#include "pipeline/intel/end_users.h"
#include "pipeline/policy/advice_book.h"
#include "pipeline/policy/tunables.h"
#include "pipeline/profile/profile_table.h"
#include "pipeline/proto/stillwatch.pb.h"
#include "pipeline/sharing/import_book.h"
#include "pipeline/sharing/partner_fragments.h"
#include "pipeline/sink/sink.h"
#include "pipeline/snapshot/sealed_file.h"

namespace stillwatch::pipeline {

struct PipelineOptions {
  std::string box = "box-1";
  uint64_t epoch = 1;              // raised durably before the first event (store/epoch.h); replay: 1
  uint64_t config_generation = 1;
  Salt salt;
  TokenHash token_hash;            // how the dataplane hashes one token; null: layer 5 is off
  bool write_request_sketches = false;
  bool write_account_profiles = true;
  bool write_edges = true;
  PolicyOptions policy;
  std::vector<Reseller> resellers;
  uint32_t end_users_max = 10'000;  // of one reseller; each has a profile
  std::vector<Partner> partners;   // in the order of the exchanges' partner tokens
  Tunables tunables;
  bool commit_books = false;       // give the sink what is known of campaigns together with the events that tell it
  SealKey seal_key;                // ... readable with this key only
  EdgeRecorder* edge_recorder = nullptr;  // gets all that the assembler reads; outlives the pipeline
};

enum class PipelineCounter {
  kExchanges,            // exchanges taken in
  kBatches,              // logical batches closed
  kBatchesCut,           // of those, closed by wall time: live, 1 ms after their first exchange
  kFlowRecords,          // flow records taken in (not yet evidence)
  kNoKey,                // exchanges without a credential: no account to hold them
  kNoInstruction,        // exchanges without instruction text: counted for the account, no content evidence
  kOneSided,             // exchanges of which one direction was unseen
  kNearDuplicates,       // near-duplicate instructions of another row found in the window
  kSketchFailed,         // batches whose sketches the backend could not compute
  kEvaluations,          // looks at the groups
  kEvaluationSampled,    // looks that thinned fragments to stay within tunables.index_entries_max
  kEdges,                // edges at the last look (gauge)
  kEdgesUnknownAccount,  // edges of accounts that have no profile any more
  kCampaigns,            // campaigns held (gauge)
  kCampaignsDropped,     // groups left out because campaigns_max was reached
  kAllowListed,          // accounts spared advice by the allow-list
  kErased,               // accounts erased by `stillctl erase`
  kEventsWritten,        // events the sink took
  kEventsHeld,           // events that wait because the sink refused (gauge)
  kEventsDropped,        // events given up because too many were held
  kCount
};
inline constexpr CounterNames<PipelineCounter> kPipelineCounterNames{
    "pipeline.exchanges", "pipeline.batches", "pipeline.batches_cut", "pipeline.flow_records", "pipeline.no_key",
    "pipeline.no_instruction", "pipeline.one_sided", "pipeline.near_duplicates",
    "pipeline.sketch_failed", "pipeline.evaluations", "pipeline.evaluation_sampled", "pipeline.edges",
    "pipeline.edges_unknown_account", "pipeline.campaigns", "pipeline.campaigns_dropped",
    "pipeline.allow_listed", "pipeline.erased", "pipeline.events_written", "pipeline.events_held",
    "pipeline.events_dropped"};

class Pipeline {
 public:
  // `backend` may be null (no sketches). All pointers outlive the pipeline.
  Pipeline(PipelineOptions options, gpu::Backend* backend, Sink* sink, CounterRegistry* registry);
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  void OnExchange(const dataplane::ExchangeView& exchange);
  void OnFlowRecord(const dataplane::FlowRecord& record);
  void OnWatermark(uint64_t packet, int64_t traffic_time_ns);
  // Live: closes the open batch, wherever it stands, so that nothing waits for traffic time to go on. Never in a replay,
  // whose batches are cut by traffic time alone.
  bool batch_is_open() const { return !block_at_.empty(); }
  void CutBatch();
  // Closes the open batch, judges, writes what changed and the profiles, flushes the sink.
  Status Finish();
  // Closes the open batch and flushes the sink, and leaves the rest as it is: the run goes on in another process.
  Status Suspend();

  // --- Across a restart (pipeline/snapshot) ---
  // All that a verdict rests on, as of the last closed batch: the exchanges of the open one are not in it. Readable text
  // of personal data: seal it (sealed_file.h) and wipe it.
  void SaveState(std::string* out) const;
  // Into a pipeline that has seen nothing; after an error it is good for nothing.
  Status LoadState(std::string_view state);
  // The part that topics tell of: campaigns, and who is advised what. Replaces what LoadState took.
  std::string SealedBooks() const;
  Status LoadSealedBooks(std::string_view sealed);
  // Of both: bytes of another layout were made by another version of this program.
  static uint64_t StateLayoutId();
  int64_t newest_ns() const { return newest_ns_; }  // traffic time of the newest exchange; 0: none so far
  bool holds_events() const { return !pending_.empty(); }  // decided, and not durable yet

  // The assembler alone, from a recording instead of exchanges: nothing above is called but Finish. Gives the
  // same verdicts, states and advice as the run that was recorded, but for their event ids.
  void ReplayVersions(const gpu::SketchVersions& versions) { versions_ = versions; }
  void ReplayAccount(const v1::RecordedAccount& account);
  void ReplayForgotten(const v1::RecordedForgotten& forgotten);
  void ReplayLook(const v1::RecordedLook& look);
  void ReplayRenewal(const v1::RecordedCoverage& at);
  void ReplayEnd(const v1::RecordedCoverage& end);

  // Between two calls above. A reload of hot keys: policy, what is written, how often groups are judged. Standing
  // advice follows the new policy at once.
  void SwapPolicy(PolicyOptions policy, uint64_t config_generation);
  // How far the box looked: exchanges or frames that it had to let pass unseen since start, and whether it does so now.
  void SetCoverage(uint64_t skipped, bool degraded) { coverage_skipped_ = skipped, degraded_ = degraded; }
  // Who owns which key, from now on, and for accounts known already; null: keys are accounts, owners unknown.
  void SwapDirectory(std::shared_ptr<const AccountDirectory> directory);
  // Whose end users are accounts of their own, from now on.
  void SwapResellers(std::span<const Reseller> resellers, uint32_t end_users_max) { end_users_.SetResellers(resellers, end_users_max); }
  // Published prompts, from the next look on; null: the live rule alone.
  void SwapPublicList(std::shared_ptr<const PublicList> list) { public_list_ = std::move(list); }
  void SetTunables(const Tunables& tunables) { options_.tunables = tunables; }
  void SetTopics(bool request_sketches, bool account_profiles) {
    options_.write_request_sketches = request_sketches;
    options_.write_account_profiles = account_profiles;
  }
  // Stamps and writes the box's own status; delivers at once. `time_ns`: of the box's clock.
  void WriteStatus(std::unique_ptr<v1::BoxStatus> status, int64_t time_ns);
  // Writes an audit record (reloads, bypass).
  void Audit(std::string actor, std::string action, std::string subject, std::string detail, int64_t time_ns);

  // For stillctl: as of now, accounts of all parts together. Find: nothing when unknown.
  std::vector<v1::CampaignVerdict> Campaigns() const;
  std::unique_ptr<v1::CampaignVerdict> FindCampaign(std::string_view id) const;

  // What a person says of a campaign; in force, audited and handed to the sink before it returns. `accounts`: those that a
  // split takes out, as topics name them. An error says what was wrong, and nothing changed.
  Status TakeFeedback(FeedbackKind kind, const std::string& campaign_id, const std::vector<std::string>& accounts,
                      const std::string& actor, const std::string& reason, int64_t time_ns);

  // A record of topic feedback; one that was taken before changes nothing. An error: it is none, and nothing changed. What it says of
  // an unknown campaign is refused as above, audited, and no error.
  Status TakeFeedbackRecord(const v1::Feedback& record, int64_t time_ns);

  // Forgets an account, as topics name it: what it left in memory and in the campaigns, and by tombstones what compacted topics
  // hold of it as far as that is known here. Audited under the keyed hash that it gives, never by name; in force before it returns.
  // What the account sends later is seen as a new one's. An error: nothing of it is held.
  Result<std::string> Erase(const std::string& account, const std::string& actor, int64_t time_ns);

  // --- Partners (pipeline/sharing, sharing.cc) ---
  // A live campaign's cores under the key of the pair, without time and signature. The error says why there are none.
  Result<v1::PartnerClaim> ClaimFor(const std::string& partner, const std::string& campaign_id) const;
  // What a partner says, its signature checked by the caller. In force and audited before it returns; gives the id of its record here.
  Result<std::string> TakeClaim(const v1::PartnerClaim& claim, const std::string& actor, int64_t time_ns);
  // The partner takes it back; false: it is not held.
  bool WithdrawClaim(const std::string& partner, const std::string& campaign_id);
  const ImportBook& imports() const { return imports_; }

  const ProfileTable& profiles() const { return profiles_; }
  const CounterBlock<PipelineCounter>& counters() const { return counters_; }
  const MigrationLayer& migration() const { return migration_; }
  AccountNames names() const { return {directory_.get(), &end_users_}; }

 private:
  void CloseBatch();
  bool ComputeSketches();  // false: there are none of this batch
  dataplane::ExchangeView BatchedExchange(size_t i) const;
  void FindFragments(const dataplane::ExchangeView& exchange, std::vector<Fragment>* out) const;
  // `sketch`: null where there is none.
  void NoteExchange(const dataplane::ExchangeView& exchange, std::span<const Fragment> considered, const gpu::Sketch* sketch);
  void NoteCluster(const gpu::Sketch& sketch, uint32_t day, Profile* profile);
  void ForgetClusters(const std::vector<bool>& clusters);
  void RememberInstruction(const dataplane::ExchangeView& exchange, std::span<const Fragment> considered,
                           Profile* profile);
  void ChooseFragments(std::span<const Fragment> considered, uint64_t owner, uint16_t day,
                       RememberedRequest* request);
  bool EvaluationIsDue() const;
  void Evaluate();
  // `look`: as FindEdges gave it; without one the profiles are read again.
  void Judge(std::span<const EdgeRecord> edges, std::optional<LookRequests> look);
  std::vector<EdgeRecord> FindEdges(std::optional<LookRequests>* look = nullptr);  // what was read on the way, for Judge
  void ForgetOld();
  void NoteImports(const dataplane::ExchangeView& exchange, std::span<const Fragment> considered, uint32_t cut, const Profile& profile, uint32_t time_s);
  void WriteImports();
  void ForgetImports();
  void SupersedeImports();
  uint64_t OwnersOf(const Import& import) const;
  v1::CampaignVerdict VerdictOf(const Import& import) const;
  void AddClaims(const Campaign& campaign, v1::CampaignVerdict* out) const;
  Status RejectImport(const std::string& id, const std::string& actor, const std::string& reason, int64_t time_ns);
  void MarkKept();
  void WriteEdges(std::span<const EdgeRecord> edges);
  std::vector<AccountId> MembersShown(const Campaign& campaign) const;
  AdviceGiven AdviceOf(const Campaign& campaign) const;
  AdviceGiven AdviceOf(const Campaign& campaign, bool owners_known) const;
  // Verdicts that changed, then the advice that follows from all.
  void WriteCampaigns();
  void WriteCampaign(Campaign* campaign);
  void WriteAdvice();
  void WriteProfiles(bool all);
  // Whose an exchange is: the account of its key and its line of the directory (null: none), or an end user of that account.
  struct Caller {
    AccountId account;
    const AccountDirectory::Entry* entry;
    EndUsers::Kind kind;
    EndUser end_user;  // of kind kEndUser
  };
  Caller CallerOf(const dataplane::ExchangeHeader& header) const;
  void NoteEndUser(const EndUser& end_user, int64_t time_ns);
  CoverageSeen Coverage() const;
  RecordContext Context() const;
  void SetCoverage(const v1::RecordedCoverage& coverage);
  bool OwnersKnown(const Campaign& campaign) const;
  // The entry of the allow-list that names the account or its organisation, in force or past its end; null: none.
  const AllowedOwner* AllowedAs(const AccountId& id) const;
  void SetBudgets();
  int64_t DelayOf(const std::string& account, const std::string& campaign_id) const;
  void Stamp(v1::Meta* meta) { Stamp(meta, newest_ns_); }
  void Stamp(v1::Meta* meta, int64_t time_ns);
  template <typename S>
  void VisitMemory(S& state);
  template <typename S>
  void VisitBooks(S& state);
  v1::CampaignVerdict VerdictOf(const Campaign& campaign) const;
  void Emit(Topic topic, std::string key, std::unique_ptr<google::protobuf::Message> message);
  void Withdraw(Topic topic, std::string key);  // a tombstone
  void Deliver();

  PipelineOptions options_;
  gpu::Backend* const backend_;
  Sink* const sink_;
  CounterRegistry* const registry_;

  // The open batch: blocks one after another.
  std::vector<uint64_t> blocks_;
  std::vector<size_t> block_at_;  // word offsets
  int64_t batch_tick_ = 0;
  int64_t newest_ns_ = 0;         // newest traffic time of an exchange
  uint64_t rows_ = 0;             // exchanges ever, the window's ids

  std::shared_ptr<const AccountDirectory> directory_;  // shared with who loaded it
  std::shared_ptr<const PublicList> public_list_;
  EndUsers end_users_;
  gpu::SketchVersions versions_;  // as records name them

  ProfileTable profiles_;
  FragmentTable fragments_;
  MigrationLayer migration_;
  SemanticClusters clusters_;
  TiedCores tied_;  // as of the last look
  std::unique_ptr<ElicitationExpert> elicitation_;  // null: no token's hash is known here
  std::unique_ptr<LanguageExpert> languages_;       // null with it
  std::vector<Fragment> considered_[2];  // of the exchange that is noted, and of the next
  struct Instructions {  // of a batch, for the backend
    std::vector<uint32_t> tokens, offsets, cuts;
    std::vector<uint64_t> ids;
    std::vector<gpu::Candidate> candidates;
  };
  Instructions instructions_;  // reused
  std::vector<gpu::Sketch> sketches_;

  PartnerFragments partner_fragments_;
  ImportBook imports_;
  CampaignBook book_;
  FeedbackBook feedback_;
  AdviceBook advice_;
  std::set<std::pair<std::string, AccountId>> spared_;  // by the allow-list: campaign, account
  int64_t next_renewal_ns_ = 0;
  struct Totals {  // of the runs before this one
    uint64_t exchanges = 0, one_sided = 0, skipped = 0;
  };
  Totals before_;
  std::deque<std::string> restored_names_;  // what views in restored structures point to
  bool books_changed_ = false;     // since the sink took them
  uint64_t coverage_skipped_ = 0;
  bool degraded_ = false;
  FlatMap<int32_t> edge_weights_;  // last written, by hash of the edge's key
  uint64_t remembered_ = 0;        // requests remembered since the last look
  int64_t evaluated_ns_ = 0;

  uint64_t sequence_ = 0;
  std::vector<Event> pending_;
  CounterBlock<PipelineCounter> counters_{kPipelineCounterNames};
};

}  // namespace stillwatch::pipeline
