#include "pipeline/pipeline.h"

#include <algorithm>
#include <cstring>

#include "base/mutant.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/time_format.h"
#include "pipeline/batch/records.h"
#include "pipeline/campaign/assembler.h"
#include "pipeline/evidence/core_look.h"
#include "pipeline/evidence/elicitation_layer.h"
#include "pipeline/evidence/exact_rules_layer.h"
#include "pipeline/evidence/template_layer.h"
#include "pipeline/evidence/work_layer.h"

namespace stillwatch::pipeline {

namespace {

// A logical batch: so many exchanges, or so much traffic time. Contract: records follow from it.
constexpr size_t kBatchExchanges = 4'096;
constexpr int64_t kBatchTrafficMs = 1'000;
// Of one verdict record, so that it stays below Kafka's 1 MB.
constexpr uint32_t kAccountsPerPart = 1'000;

using dataplane::ExchangeHeader;
using dataplane::ExchangeView;
using dataplane::Part;

constexpr size_t kEventsHeldMax = 200'000;
constexpr uint32_t kSharedKept = 16;  // of the fragments remembered; the rest stays for the payload
constexpr uint32_t kEpochRows = 1u << 20;  // exchanges in one epoch of the similarity window

uint32_t Low32(uint64_t x) { return static_cast<uint32_t>(x); }

uint16_t ParametersOf(const ExchangeHeader& h) {
  constexpr uint32_t kCounted = dataplane::kHasTemperature | dataplane::kHasTopP | dataplane::kHasMaxTokens |
                                dataplane::kHasN | dataplane::kResponseFormat | dataplane::kLogprobs;
  uint64_t x = h.flags & kCounted;
  for (uint64_t value : {static_cast<uint64_t>(static_cast<uint32_t>(h.temperature_milli)),
                         static_cast<uint64_t>(static_cast<uint32_t>(h.top_p_milli)),
                         static_cast<uint64_t>(h.max_tokens), static_cast<uint64_t>(h.n)}) {
    x = Mix64(x * 31 + value + 1);
  }
  return static_cast<uint16_t>(x >> 48);
}

// JA4 and HTTP/2 fingerprint as one; 0: neither was seen.
uint16_t TransportOf(const ExchangeHeader& h) {
  if (h.ja4_hash == 0 && h.http2_hash == 0) return 0;
  return static_cast<uint16_t>(Mix64(h.ja4_hash * 31 + h.http2_hash) >> 48 | 1);
}

// The client's /24 or /48, salted; 0: unknown.
uint16_t NetworkOf(const ExchangeHeader& h, Salt salt) {
  if (h.client.length == 0) return 0;
  const size_t kept = h.client.length == 4 ? 3 : 6;
  return static_cast<uint16_t>(KeyedHash64(Bytes(h.client.bytes, kept), salt) >> 48 | 1);
}

// Where an instruction over the limit was cut, as a token index; 0: it is whole.
uint32_t CutOf(const ExchangeView& exchange) {
  if (!exchange.truncated(Part::kInstruction)) return 0;
  return static_cast<uint32_t>(exchange.tokens(Part::kInstruction).size() / 2);
}

AccountId IdOf(const ExchangeHeader& h) {
  AccountId id;
  std::memcpy(id.bytes, h.key_id, sizeof id.bytes);
  return id;
}

void TakeOver(const AccountDirectory::Entry& entry, Profile* profile) {
  profile->owner = entry.organisation != 0 ? entry.organisation : OwnOwner(profile->id);
  profile->created_s = static_cast<uint32_t>(std::clamp<int64_t>(entry.created_s, 0, UINT32_MAX));
}

}  // namespace

Pipeline::Pipeline(PipelineOptions options, gpu::Backend* backend, Sink* sink, CounterRegistry* registry)
    : options_(std::move(options)),
      backend_(backend),
      sink_(sink),
      registry_(registry),
      end_users_(options_.salt),
      profiles_(options_.tunables.profiles_max),
      fragments_(options_.tunables.fragment_rows_max, options_.tunables.doorkeeper_rows),
      migration_(options_.tunables),
      clusters_(backend_ == nullptr ? 0 : options_.tunables.cluster_rows_max),
      partner_fragments_(options_.partners.size()),
      imports_(options_.partners, options_.salt),
      book_(options_.salt, options_.tunables.campaigns_max) {
  if (options_.token_hash) {
    elicitation_ = std::make_unique<ElicitationExpert>(options_.token_hash);
    languages_ = std::make_unique<LanguageExpert>(options_.salt);
  }
  end_users_.SetResellers(options_.resellers, options_.end_users_max);
  if (backend_ != nullptr) versions_ = backend_->Versions();
  if (options_.edge_recorder != nullptr) options_.edge_recorder->Start(versions_);
  if (registry_ == nullptr) return;
  registry_->Register(counters_);
  registry_->Register(profiles_.counters());
  registry_->Register(fragments_.counters());
  registry_->Register(feedback_.counters());
  registry_->Register(migration_.counters());
  registry_->Register(clusters_.counters());
  registry_->Register(imports_.counters());
  registry_->Register(end_users_.counters());
}

Pipeline::~Pipeline() {
  if (registry_ == nullptr) return;
  registry_->Unregister(counters_);
  registry_->Unregister(profiles_.counters());
  registry_->Unregister(fragments_.counters());
  registry_->Unregister(feedback_.counters());
  registry_->Unregister(migration_.counters());
  registry_->Unregister(clusters_.counters());
  registry_->Unregister(imports_.counters());
  registry_->Unregister(end_users_.counters());
}

// --- Batches ------------------------------------------------------------------------------------------

// A batch holds the exchanges of one tick of traffic time, so a watermark that ends the tick and the
// first exchange of the next tick cut at the same place.
void Pipeline::OnExchange(const ExchangeView& exchange) {
  const int64_t tick_ns = kBatchTrafficMs * kNsPerMs;
  const int64_t tick = std::max(newest_ns_, exchange.header().response_end_ns) / tick_ns;
  if (!block_at_.empty() && (tick != batch_tick_ || block_at_.size() >= kBatchExchanges)) {
    CloseBatch();
  }
  batch_tick_ = tick;
  newest_ns_ = std::max(newest_ns_, exchange.header().response_end_ns);
  const Bytes block = exchange.block();
  block_at_.push_back(blocks_.size());
  blocks_.resize(blocks_.size() + (block.size() + 7) / 8);
  std::memcpy(blocks_.data() + block_at_.back(), block.data(), block.size());
  counters_.Add(PipelineCounter::kExchanges);
}

void Pipeline::OnFlowRecord(const dataplane::FlowRecord&) { counters_.Add(PipelineCounter::kFlowRecords); }

void Pipeline::OnWatermark(uint64_t, int64_t traffic_time_ns) {
  if (block_at_.empty()) return;
  if (traffic_time_ns / (kBatchTrafficMs * kNsPerMs) > batch_tick_ ||
      MutantIs("detect.watermark_cuts")) {
    CloseBatch();
  }
}

void Pipeline::CutBatch() {
  if (block_at_.empty()) return;
  counters_.Add(PipelineCounter::kBatchesCut);
  CloseBatch();
}

void Pipeline::CloseBatch() {
  counters_.Add(PipelineCounter::kBatches);
  const bool sketched = backend_ != nullptr && ComputeSketches();
  // One exchange ahead, so that the table's lines are on their way while the one before is noted.
  for (size_t i = 0; i <= block_at_.size(); ++i) {
    if (i < block_at_.size()) FindFragments(BatchedExchange(i), &considered_[i & 1]);
    if (i > 0) NoteExchange(BatchedExchange(i - 1), considered_[(i - 1) & 1], sketched ? &sketches_[i - 1] : nullptr);
    if (i < block_at_.size()) {
      for (const Fragment& fragment : considered_[i & 1]) fragments_.PrefetchRow(fragment.hash);
    }
  }
  block_at_.clear();
  blocks_.clear();
  if (!imports_.imports().empty()) ForgetImports();
  if (EvaluationIsDue()) Evaluate();
  if (!imports_.imports().empty()) WriteImports();
  if (newest_ns_ >= next_renewal_ns_) {
    if (options_.edge_recorder != nullptr) options_.edge_recorder->Renewal(Coverage(), newest_ns_);
    WriteAdvice();
  }
  Deliver();
}

ExchangeView Pipeline::BatchedExchange(size_t i) const {
  const auto* bytes = reinterpret_cast<const uint8_t*>(blocks_.data() + block_at_[i]);
  ExchangeHeader header;
  std::memcpy(&header, bytes, sizeof header);
  return ExchangeView(Bytes(bytes, dataplane::ExchangeBytes(header)));
}

bool Pipeline::ComputeSketches() {
  Instructions& in = instructions_;
  in.tokens.clear(), in.cuts.clear(), in.ids.clear(), in.candidates.clear();
  in.offsets.assign(1, 0);
  for (size_t i = 0; i < block_at_.size(); ++i) {
    const ExchangeView view = BatchedExchange(i);
    const auto instruction = view.tokens(Part::kInstruction);
    in.tokens.insert(in.tokens.end(), instruction.begin(), instruction.end());
    in.offsets.push_back(static_cast<uint32_t>(in.tokens.size()));
    in.cuts.push_back(CutOf(view));
    in.ids.push_back(rows_++);
    if (rows_ % kEpochRows == 0) backend_->AdvanceEpoch();
  }
  sketches_.resize(in.cuts.size());
  Status status = backend_->ComputeSketches({in.tokens, in.offsets, in.cuts}, sketches_);
  if (status.ok()) status = backend_->ProbeAndInsert(sketches_, in.ids, &in.candidates);
  if (!status.ok()) {
    if (counters_.Get(PipelineCounter::kSketchFailed) == 0) Log(LogLevel::kWarning, "sketches: " + status.message());
    counters_.Add(PipelineCounter::kSketchFailed);
    return false;
  }
  counters_.Add(PipelineCounter::kNearDuplicates, in.candidates.size());
  if (!options_.write_request_sketches) return true;
  for (size_t i = 0; i < block_at_.size(); ++i) {
    const ExchangeView view = BatchedExchange(i);
    const ExchangeHeader& h = view.header();
    if (sketches_[i].tokens == 0 || !(h.flags & dataplane::kHasKey)) continue;
    auto record = std::make_unique<v1::RequestSketch>();
    Stamp(record->mutable_meta());
    const Caller caller = CallerOf(h);
    record->set_account(caller.kind == EndUsers::Kind::kEndUser ? EndUserText(directory_.get(), caller.end_user) : AccountText(names(), caller.account));
    record->set_dialect(std::string(NameOf(h.dialect)));
    record->set_api(std::string(NameOf(h.api)));
    record->set_model(std::string(view.model()));
    record->set_status(h.status);
    record->set_finish_reason(std::string(NameOf(h.finish)));
    record->set_refusal(view.has(dataplane::kRefusal));
    record->set_tokens_in(h.tokens_in);
    record->set_tokens_out(h.tokens_out);
    for (uint32_t band : sketches_[i].bands) record->add_bands(band);
    record->set_oph(sketches_[i].oph, sizeof sketches_[i].oph);
    record->set_simhash(sketches_[i].simhash, sizeof sketches_[i].simhash);
    record->mutable_epoch()->set_sketch(sketches_[i].versions.sketch);
    record->mutable_epoch()->set_salt_id(sketches_[i].versions.salt_id);
    record->mutable_epoch()->set_rarity_id(sketches_[i].versions.rarity_id);
    record->mutable_epoch()->set_table_id(sketches_[i].versions.table_id);
    record->set_request_time(h.request_start_ns);
    std::string key = record->account();
    Emit(Topic::kRequestSketch, std::move(key), std::move(record));
  }
  return true;
}

// --- Profiles -----------------------------------------------------------------------------------------

void Pipeline::FindFragments(const ExchangeView& exchange, std::vector<Fragment>* out) const {
  FragmentsOf(exchange.tokens(Part::kInstruction), CutOf(exchange), out);
  if (IsProbe(exchange.header())) AddProbeFragments(exchange.header(), out);
  for (const Fragment& fragment : *out) fragments_.Prefetch(fragment.hash);
}

void Pipeline::NoteExchange(const ExchangeView& exchange, std::span<const Fragment> considered, const gpu::Sketch* sketch) {
  const ExchangeHeader& h = exchange.header();
  if (!exchange.has(dataplane::kRequestSeen) || !exchange.has(dataplane::kResponseSeen)) {
    counters_.Add(PipelineCounter::kOneSided);
  }
  if (!exchange.has(dataplane::kHasKey)) {
    counters_.Add(PipelineCounter::kNoKey);
    return;
  }
  const bool answered = h.status >= 200 && h.status < 300;
  const auto [account, entry, kind, end_user] = CallerOf(h);
  end_users_.Count(kind);
  Profile* profile = profiles_.FindOrEarn(account, answered, exchange.has(dataplane::kResponseSeen), h.flow_id);
  if (profile == nullptr) return;
  if (kind == EndUsers::Kind::kEndUser) NoteEndUser(end_user, h.request_start_ns);
  if (profile->exchanges == 0) profile->first_ns = h.request_start_ns;
  if (profile->owner == 0) profile->owner = OwnOwner(profile->id);
  // What a client's header declares is no owner: anybody may write there what suits him.
  if (entry != nullptr) TakeOver(*entry, profile);
  CountUp(&profile->exchanges);
  profile->tokens_in += h.tokens_in;
  profile->tokens_out += h.tokens_out;
  profile->day.Note(h.request_start_ns / kNsPerSecond, h.tokens_out);
  profile->hours.Note(h.request_start_ns / kNsPerSecond);
  if (const uint16_t network = NetworkOf(h, options_.salt); network != 0) profile->home.Note(network);
  if (IsProbe(h)) profile->probed.Note(h.logit_bias_hash);
  CountUp(&profile->refusals, exchange.has(dataplane::kRefusal));
  CountUp(&profile->rate_limited, exchange.has(dataplane::kRateLimited));
  profile->last_ns = std::max(profile->last_ns, h.response_end_ns);
  static_assert(dataplane::kDialects <= 8 * sizeof profile->dialects);
  profile->dialects = static_cast<uint8_t>(profile->dialects | 1u << static_cast<uint32_t>(h.dialect));
  migration_.Note(exchange, *profile, profiles_);
  if (exchange.tokens(Part::kInstruction).size() < 2) {
    counters_.Add(PipelineCounter::kNoInstruction);
    if (options_.edge_recorder != nullptr) options_.edge_recorder->Account(*profile, end_users_.Find(profile->id), h.request_start_ns / kNsPerSecond, nullptr);
    return;
  }
  if (clusters_.on() && sketch != nullptr) NoteCluster(*sketch, static_cast<uint32_t>(std::max<int64_t>(h.request_start_ns, 0) / (86'400 * kNsPerSecond)), profile);
  RememberInstruction(exchange, considered, profile);
}

// Who is in a campaign now teaches nothing of how near strangers come.
void Pipeline::NoteCluster(const gpu::Sketch& sketch, uint32_t day, Profile* profile) {
  const auto is_zero = [](int8_t x) { return x == 0; };  // of words that weigh nothing: near nothing
  if (sketch.tokens < SemanticClusters::kTokensMin || std::all_of(std::begin(sketch.embedding), std::end(sketch.embedding), is_zero)) return;
  if (clusters_.full()) ForgetClusters(clusters_.MakeRoom());
  const uint16_t cluster = clusters_.Note(sketch.embedding, sketch.tokens, profile->owner, profile->cores == 0, day);
  profile->clusters.Note(cluster, day, [&](uint16_t c) { return clusters_.OwnersOf(c) > 1; });
}

void Pipeline::ForgetClusters(const std::vector<bool>& clusters) {
  if (std::find(clusters.begin(), clusters.end(), true) == clusters.end()) return;
  if (options_.edge_recorder != nullptr) options_.edge_recorder->Forgotten(clusters);
  for (Profile& profile : profiles_.all()) profile.clusters.Forget(clusters);
}

void Pipeline::RememberInstruction(const ExchangeView& exchange, std::span<const Fragment> considered,
                                   Profile* profile) {
  const ExchangeHeader& h = exchange.header();
  const auto tokens = exchange.tokens(Part::kInstruction);
  RememberedRequest request{};
  request.time_s = static_cast<uint32_t>(std::max<int64_t>(h.request_start_ns, 0) / kNsPerSecond);
  request.request_id_hash = h.request_id_hash;
  request.text_hash = Low32(h.part_hash[static_cast<size_t>(Part::kInstruction)]);
  if (request.text_hash == 0) {  // a maker of exchanges without text hashes: the tokens tell
    uint64_t x = 0;
    for (uint32_t token : tokens) x = Mix64(x + token);
    request.text_hash = Low32(x);
  }
  if (IsProbe(h)) {  // what it asks is its text with its token ids
    request.text_hash = Low32(Mix64(request.text_hash + h.logit_bias_hash));
    request.flags |= kProbe;
  }
  request.model = static_cast<uint16_t>(KeyedHash64(exchange.model(), options_.salt));
  request.parameters = ParametersOf(h);
  request.client = static_cast<uint16_t>(h.agent_family_hash);
  request.transport = TransportOf(h);
  request.tokens = static_cast<uint16_t>(std::min<size_t>(tokens.size(), 65'535));
  request.tokens_out = static_cast<uint16_t>(std::min<uint32_t>(h.tokens_out, 65'535));
  if (elicitation_) {
    request.elicitation = elicitation_->Judge(tokens).sixteenths;
    request.language = languages_->Of(tokens);
  }
  // The system message counts as a turn in some dialects, so a conversation is what has a tail, or what the server keeps for it.
  if (!exchange.tokens(Part::kTail).empty() || migration_.GoesOn(exchange)) request.flags |= kConversation;
  if (h.tools != 0) request.flags |= kToolsOffered;
  if (h.status >= 200 && h.status < 300) request.flags |= kAnswered;
  if (exchange.has(dataplane::kRateLimited)) request.flags |= kLimited;
  ChooseFragments(considered, profile->owner, static_cast<uint16_t>(request.time_s / 86'400), &request);
  if (tied_.In(request)) request.flags |= kTied;
  if (options_.edge_recorder != nullptr) options_.edge_recorder->Account(*profile, end_users_.Find(profile->id), h.request_start_ns / kNsPerSecond, &request);
  if (!options_.partners.empty()) NoteImports(exchange, considered, CutOf(exchange), *profile, request.time_s);
  profiles_.Remember(profile, request);
  ++remembered_;
}

namespace {

// The `wanted`-th smallest of `hashes` (all distinct): those up to it are kept. Reorders them.
uint64_t LimitOf(std::span<uint32_t> hashes, uint32_t wanted) {
  if (wanted == 0) return 0;
  if (wanted >= hashes.size()) return 1ull << 32;
  std::nth_element(hashes.begin(), hashes.begin() + (wanted - 1), hashes.end());
  return uint64_t{hashes[wanted - 1]} + 1;
}

}  // namespace

// Shared fragments first (what a template is made of), but never all places: the rest tells payloads apart.
// Of each kind the smallest hashes, in text order.
void Pipeline::ChooseFragments(std::span<const Fragment> considered, uint64_t owner, uint16_t day,
                               RememberedRequest* request) {
  const uint32_t owners_max = CoreOwnersMax(profiles_.size(), options_.tunables);
  uint32_t shared[kFragmentsConsidered], others[kFragmentsConsidered];
  uint32_t shared_count = 0, others_count = 0;
  uint64_t is_shared = 0;  // bit set
  static_assert(kFragmentsConsidered <= 64);
  for (size_t i = 0; i < considered.size(); ++i) {
    const uint32_t owners = fragments_.Note(considered[i].hash, owner, day);
    if (owners >= options_.tunables.core_owners_min && owners <= owners_max) {
      is_shared |= 1ull << i;
      shared[shared_count++] = considered[i].hash;
    } else {
      others[others_count++] = considered[i].hash;
    }
  }
  const uint32_t shared_kept =
      std::min(shared_count, std::max(kSharedKept, kRequestFragments - std::min(others_count, kRequestFragments)));
  const uint64_t shared_limit = LimitOf({shared, shared_count}, shared_kept);
  const uint64_t others_limit = LimitOf({others, others_count}, kRequestFragments - shared_kept);
  for (size_t i = 0; i < considered.size(); ++i) {
    if (considered[i].hash >= (is_shared >> i & 1 ? shared_limit : others_limit)) continue;
    request->fragments[request->fragments_count++] = considered[i].hash;
  }
}

// --- Judging ------------------------------------------------------------------------------------------

// Often while there is little, seldom when much is remembered already: the work of a look is paid by the
// requests that came since the last one.
bool Pipeline::EvaluationIsDue() const {
  const Tunables& t = options_.tunables;
  if (newest_ns_ - evaluated_ns_ < t.evaluate_every_s * kNsPerSecond || remembered_ == 0) return false;
  const uint64_t needed = std::max<uint64_t>(t.evaluate_requests_min, profiles_.requests() / t.evaluate_growth_share);
  return remembered_ >= needed || newest_ns_ - evaluated_ns_ >= t.evaluate_at_least_h * kNsPerHour;
}

void Pipeline::Evaluate() {
  evaluated_ns_ = newest_ns_;
  remembered_ = 0;
  ForgetOld();
  std::optional<LookRequests> look;
  const std::vector<EdgeRecord> edges = FindEdges(&look);
  if (options_.edge_recorder != nullptr) options_.edge_recorder->Look(Coverage(), newest_ns_, edges);
  Judge(edges, std::move(look));
}

// All layers that link accounts, sorted by accounts and layer.
std::vector<EdgeRecord> Pipeline::FindEdges(std::optional<LookRequests>* remembered) {
  const Tunables& t = options_.tunables;
  CoreLook look = LookAtCores(profiles_.all(), t, public_list_.get());
  if (look.cores.sampled_one_in > 1) counters_.Add(PipelineCounter::kEvaluationSampled);
  TemplateLayerResult templates = FindTemplateEdges(look, t);
  std::vector<EdgeRecord> edges = std::move(templates.edges);
  for (const std::vector<EdgeRecord>& more : {FindWorkEdges(look, templates.bundle_of_core, t), FindElicitationEdges(look, t), FindProbeEdges(look, t),
                                              migration_.FindEdges(profiles_, t)}) {
    edges.insert(edges.end(), more.begin(), more.end());
  }
  if (remembered != nullptr) *remembered = std::move(static_cast<LookRequests&>(look));
  return SortedEdges(std::move(edges));
}

void Pipeline::ForgetOld() {
  const int64_t oldest_s = newest_ns_ / kNsPerSecond - static_cast<int64_t>(options_.tunables.retention_days) * 86'400;
  profiles_.ExpireBefore(static_cast<uint32_t>(std::max<int64_t>(oldest_s, 0)));
  feedback_.ExpireBefore(oldest_s);
  end_users_.ExpireBefore(oldest_s, profiles_);
  migration_.ExpireBefore(static_cast<uint32_t>(std::max<int64_t>(oldest_s, 0)));
  if (clusters_.on() && oldest_s > 0) ForgetClusters(clusters_.ExpireBefore(static_cast<uint32_t>(oldest_s / 86'400)));
}

// Edges and profiles in, campaigns out: nothing else is read from here on.
void Pipeline::Judge(std::span<const EdgeRecord> edges, std::optional<LookRequests> look) {
  const Tunables& t = options_.tunables;
  counters_.Add(PipelineCounter::kEvaluations);
  counters_.Set(PipelineCounter::kEdges, edges.size());
  uint64_t unknown = 0, dropped = 0;
  std::vector<Group> groups = AssembleGroups(edges, book_.Seeds(profiles_), profiles_, std::move(look), t, &unknown,
                                             [&](Group* group) { feedback_.TakeOut(book_, group); });
  std::vector<Judgement> judgements;
  for (const Group& group : groups) {
    judgements.push_back(JudgeGroup(group, t));
    feedback_.Weigh(group, t, &judgements.back());
  }
  book_.Update(std::move(groups), std::move(judgements), newest_ns_ / kNsPerSecond, t, &dropped);
  tied_.Learn(edges);
  MarkKept();
  counters_.Add(PipelineCounter::kEdgesUnknownAccount, unknown);
  counters_.Add(PipelineCounter::kCampaignsDropped, dropped);
  counters_.Set(PipelineCounter::kCampaigns, book_.campaigns().size());
  if (options_.write_edges) WriteEdges(edges);
  WriteCampaigns();
  if (!imports_.imports().empty()) SupersedeImports();
  if (options_.write_account_profiles) WriteProfiles(false);
}

void Pipeline::ReplayAccount(const v1::RecordedAccount& account) {
  Profile* profile = profiles_.FindOrCreate(AccountIdOf(account.account()));
  if (!account.of_account().empty()) end_users_.Note(EndUserOf(account), account.active_s() * kNsPerSecond);
  ApplyTo(account, profile);
  if (!account.request().empty()) profiles_.Remember(profile, RequestOf(account));
}

void Pipeline::ReplayForgotten(const v1::RecordedForgotten& forgotten) {
  std::vector<bool> clusters(SemanticClusters::kRowsMax, false);
  for (uint32_t cluster : forgotten.clusters()) clusters[cluster] = true;
  ForgetClusters(clusters);
}

void Pipeline::ReplayLook(const v1::RecordedLook& look) {
  SetCoverage(look.coverage());
  ForgetOld();
  std::vector<EdgeRecord> edges;
  for (const v1::RecordedEdge& edge : look.edges()) edges.push_back(EdgeOf(edge));
  Judge(edges, std::nullopt);
  Deliver();
}

void Pipeline::ReplayRenewal(const v1::RecordedCoverage& at) {
  SetCoverage(at);
  WriteAdvice();
  Deliver();
}

void Pipeline::ReplayEnd(const v1::RecordedCoverage& end) { SetCoverage(end); }

void Pipeline::SetCoverage(const v1::RecordedCoverage& coverage) {
  newest_ns_ = coverage.now_ns();
  counters_.Set(PipelineCounter::kExchanges, coverage.exchanges());
  SetCoverage(coverage.skipped(), coverage.degraded());
  counters_.Set(PipelineCounter::kOneSided, coverage.one_sided());
}

// Hits of live campaigns stay remembered before other requests. Only these: kept for any shared core,
// busy accounts would end up with nothing but shared cores, and look linked by that alone.
void Pipeline::MarkKept() {
  for (Profile& profile : profiles_.all()) {
    for (RememberedRequest& request : profile.remembered()) {
      request.flags &= static_cast<uint8_t>(~(kLinked | kTied));
      if (tied_.In(request)) request.flags |= kTied;
    }
  }
  for (const auto& campaign : book_.campaigns()) {
    if (!IsLive(*campaign)) continue;
    for (const GroupMember& member : campaign->group.members) {
      Profile* profile = profiles_.Find(member.id);
      if (profile == nullptr) continue;
      profile->cores = static_cast<uint16_t>(std::min(member.cores, 65'535u));
      for (const Hit& hit : member.hits) {
        if (hit.request < profile->requests_count) profile->requests[hit.request].flags |= kLinked;
      }
    }
  }
}

// --- Events -------------------------------------------------------------------------------------------

// New edges, and those whose weight moved by a quarter.
void Pipeline::WriteEdges(std::span<const EdgeRecord> edges) {
  const RecordContext context = Context();
  for (const EdgeRecord& edge : edges) {
    uint64_t a, b;
    std::memcpy(&a, edge.a.bytes, 8);
    std::memcpy(&b, edge.b.bytes, 8);
    int32_t& written = edge_weights_[Mix64(a * 31 + static_cast<uint64_t>(edge.layer)) ^ b];
    if (written != 0 && std::abs(edge.weight - written) * 4 < written) continue;
    written = edge.weight;
    auto record = std::make_unique<v1::Edge>();
    Stamp(record->mutable_meta());
    FillEdge(edge, context, record.get());
    std::string key = record->account_a() + "/" + record->account_b() + "/" + std::to_string(record->layer());
    Emit(Topic::kEdge, std::move(key), std::move(record));
  }
  if (edge_weights_.size() > 4u * options_.tunables.profiles_max) edge_weights_.Clear();  // written again
}

CoverageSeen Pipeline::Coverage() const {
  return {before_.exchanges + counters_.Get(PipelineCounter::kExchanges), before_.skipped + coverage_skipped_,
          before_.one_sided + counters_.Get(PipelineCounter::kOneSided), degraded_};
}

RecordContext Pipeline::Context() const {
  return {&profiles_, names(), &options_.tunables, &options_.policy, versions_, options_.salt, Coverage(), newest_ns_};
}

bool Pipeline::OwnersKnown(const Campaign& campaign) const {
  return std::all_of(campaign.group.members.begin(), campaign.group.members.end(), [&](const GroupMember& m) {
    const Profile* profile = profiles_.Find(m.id);
    return profile != nullptr && profile->organisation() != 0;
  });
}

const AllowedOwner* Pipeline::AllowedAs(const AccountId& id) const {
  const auto& list = options_.policy.allow_owners;
  if (list.empty()) return nullptr;
  const Profile* profile = profiles_.Find(id);
  std::vector<std::string> owners{AccountText(names(), id)};
  if (profile != nullptr && profile->organisation() != 0) owners.push_back(HexOf(profile->organisation()));
  if (const EndUser* user = end_users_.Find(id)) {  // of a reseller that may distil, all may
    owners.push_back(AccountText(directory_.get(), user->account));
    if (user->organisation != 0) owners.push_back(HexOf(user->organisation));
  }
  const AllowedOwner* found = nullptr;  // the one that holds longest
  for (const AllowedOwner& allowed : list) {
    if (std::find(owners.begin(), owners.end(), allowed.owner) == owners.end()) continue;
    if (found == nullptr || found->until_ns < allowed.until_ns) found = &allowed;
  }
  return found;
}

// What a group may use once it is throttled: a share of its last day before that, or a group that obeys would be cut again
// and again.
void Pipeline::SetBudgets() {
  const int64_t now_s = newest_ns_ / kNsPerSecond;
  for (const auto& campaign : book_.campaigns()) {
    if (!IsLive(*campaign)) campaign->budget_exchanges = campaign->budget_tokens = 0;
    if (campaign->budget_exchanges != 0 || AdviceOf(*campaign).rung < Rung::kThrottle) continue;
    uint64_t exchanges = 0, tokens = 0;
    for (const GroupMember& member : campaign->group.members) {
      const Profile* profile = profiles_.Find(member.id);
      if (profile == nullptr) continue;
      exchanges += profile->day.Exchanges(now_s);
      tokens += profile->day.TokensOut(now_s);
    }
    campaign->budget_exchanges = std::max<uint64_t>(1, exchanges * options_.policy.throttle_budget_percent / 100);
    campaign->budget_tokens = tokens * options_.policy.throttle_budget_percent / 100;
  }
}

int64_t Pipeline::DelayOf(const std::string& account, const std::string& campaign_id) const {
  const uint64_t chance = KeyedHash64(account + "/" + campaign_id, DeriveSalt(options_.salt, "delay")) >> 32;
  const uint64_t max_s = uint64_t{options_.policy.advice_delay_max_hours} * 3'600;
  return static_cast<int64_t>(chance * max_s >> 32) * kNsPerSecond;
}

v1::CampaignVerdict Pipeline::VerdictOf(const Campaign& campaign) const {
  const bool known = OwnersKnown(campaign);
  const RecordContext context = Context();
  v1::CampaignVerdict verdict;
  const AdviceGiven advice = AdviceOf(campaign, known);
  const auto fill = [&](const Campaign& told) {
    FillVerdict(told, advice, known, context, &verdict);
    AddClaims(told, &verdict);
  };
  if (advice.rung >= Rung::kStepUp && !campaign.waiting.empty()) fill(WithoutWaiting(campaign));
  else fill(campaign);
  return verdict;
}

AdviceGiven Pipeline::AdviceOf(const Campaign& campaign) const {
  return AdviceOf(campaign, IsLive(campaign) && OwnersKnown(campaign));
}

// The milder of what the last two looks say, once enough looks agree.
AdviceGiven Pipeline::AdviceOf(const Campaign& campaign, bool owners_known) const {
  if (!IsLive(campaign)) return {Rung::kObserve, false, true, "revoked"};
  const auto advise = [&](const Judgement& judgement) {
    return Advise(judgement, campaign.group.members.size(), owners_known, options_.policy);
  };
  AdviceGiven advice = advise(campaign.judgement);
  if (advice.rung == Rung::kObserve) return advice;
  if (campaign.judgement.said != Said::kConfirmed) {
    const AdviceGiven before = Stands(campaign, options_.tunables) ? advise(campaign.before) : AdviceGiven{};
    if (before.rung < advice.rung) advice = before, advice.reason_code = campaign.relapses == 0 ? "one_look" : "unsteady";
  }
  if (advice.rung < Rung::kThrottle) return advice;
  advice.budget_exchanges = campaign.budget_exchanges, advice.budget_tokens = campaign.budget_tokens;
  return advice;
}

// Where nothing is advised an analyst sees those who wait, too.
std::vector<AccountId> Pipeline::MembersShown(const Campaign& campaign) const {
  return AdviceOf(campaign).rung >= Rung::kStepUp ? MembersNotWaiting(campaign) : MemberIds(campaign.group);
}

void Pipeline::WriteCampaigns() {
  SetBudgets();
  for (const auto& campaign : book_.campaigns()) {
    if (campaign->written && !campaign->changed && static_cast<uint8_t>(AdviceOf(*campaign).rung) != campaign->rung_written) {
      campaign->changed = true, campaign->why = "advice";
    }
    if (campaign->changed) WriteCampaign(campaign.get());
  }
  WriteAdvice();
}

void Pipeline::WriteCampaign(Campaign* campaign) {
  const v1::CampaignVerdict whole = VerdictOf(*campaign);
  const uint32_t per_part = kAccountsPerPart;
  const uint32_t parts = std::max(1u, (static_cast<uint32_t>(whole.accounts_size()) + per_part - 1) / per_part);
  for (uint32_t part = 1; part <= parts; ++part) {
    auto verdict = std::make_unique<v1::CampaignVerdict>(PartOf(whole, part, parts, per_part));
    Stamp(verdict->mutable_meta());
    auto state = std::make_unique<v1::CampaignStateRecord>();
    Stamp(state->mutable_meta());
    state->set_campaign_id(campaign->id);
    state->set_part(part);
    state->set_parts(parts);
    state->set_state(verdict->state());
    for (const Core& core : campaign->group.cores.cores) {
      if (state->cores_size() < 256) state->add_cores(ExportedCore(core.anchor, options_.salt));
    }
    state->set_first_seen(INT64_MAX);
    for (const v1::AccountInCampaign& account : verdict->accounts()) {
      state->add_accounts(account.id());
      state->set_first_seen(std::min(state->first_seen(), account.first_seen()));
      state->set_last_seen(std::max(state->last_seen(), account.last_seen()));
    }
    *state->mutable_epoch() = verdict->epoch();
    Emit(Topic::kCampaignVerdict, campaign->id, std::move(verdict));
    Emit(Topic::kCampaignState, campaign->id + "/" + std::to_string(part), std::move(state));
  }
  for (uint32_t part = parts + 1; part <= campaign->parts_written; ++part) {  // of when it was larger
    Withdraw(Topic::kCampaignState, campaign->id + "/" + std::to_string(part));
  }
  books_changed_ = true;
  campaign->rung_written = static_cast<uint8_t>(whole.advice().action());
  campaign->members_written = MembersShown(*campaign);
  campaign->stage_written = campaign->stage;
  campaign->written = true;
  campaign->changed = false;
  campaign->parts_written = parts;
}

// One record for each account from step-up on, renewed while its campaign lives; a tombstone where no campaign asks
// for it any more.
void Pipeline::WriteAdvice() {
  next_renewal_ns_ = newest_ns_ + kNsPerHour;
  std::set<std::pair<std::string, AccountId>> spared;
  for (const auto& campaign : book_.campaigns()) {
    if (!campaign->written) continue;
    const AccountAdvice advice{AdviceOf(*campaign), campaign->id, campaign->judgement.distillation_like,
                               campaign->evidence_s * kNsPerSecond};
    if (advice.given.rung < Rung::kStepUp) continue;
    for (const GroupMember& member : campaign->group.members) {
      if (std::binary_search(campaign->waiting.begin(), campaign->waiting.end(), member.id)) continue;
      const AllowedOwner* allowed = AllowedAs(member.id);
      const bool in_force = allowed != nullptr && newest_ns_ < allowed->until_ns;
      if (!in_force) advice_.Propose(AccountText(names(), member.id), advice);
      if (allowed == nullptr) continue;
      const std::string seen = (in_force ? "" : "expired ") + campaign->id;  // each is told once
      if (!spared.emplace(seen, member.id).second || spared_.contains({seen, member.id})) continue;
      if (in_force) counters_.Add(PipelineCounter::kAllowListed);
      Audit("policy " + options_.policy.version, in_force ? "allow_list_hit" : "allow_list_expired",
            AccountText(names(), member.id),
            "campaign " + campaign->id + "; entry " + allowed->owner +
                (allowed->until_ns == INT64_MAX ? "" : " until " + FormatTime(allowed->until_ns)) +
                (allowed->reason.empty() ? "" : "; " + allowed->reason),
            newest_ns_);
    }
  }
  spared_ = std::move(spared);
  AdviceBook::DelayOf delay_of;
  if (options_.policy.advice_delay_max_hours != 0) {
    delay_of = [this](const std::string& account, const AccountAdvice& advice) { return DelayOf(account, advice.campaign_id); };
  }
  for (const AdviceBook::Change& change : advice_.Settle(newest_ns_, options_.policy.advice_ttl_hours * kNsPerHour, delay_of)) {
    books_changed_ = true;
    if (change.advice == nullptr) {
      Withdraw(Topic::kEnforcementAdvice, change.account);
      continue;
    }
    auto record = std::make_unique<v1::EnforcementAdvice>();
    Stamp(record->mutable_meta());
    record->set_account(change.account);
    record->set_campaign_id(change.advice->campaign_id);
    FillAdvice(change.advice->given, change.advice->campaign_id, change.expires_ns, record->mutable_advice());
    record->set_probability(change.advice->probability);
    record->set_evidence_time(change.advice->evidence_ns);
    record->set_decided_time(change.advice->decided_ns);
    Emit(Topic::kEnforcementAdvice, change.account, std::move(record));
  }
}

// Profiles that doubled since they were written; `all`: those that changed at all.
void Pipeline::WriteProfiles(bool all) {
  for (Profile& profile : profiles_.all()) {
    const uint64_t written = profile.exchanges_at_publish;
    if (profile.exchanges == written || (!all && profile.exchanges < std::max<uint64_t>(2 * written, 8))) continue;
    profile.exchanges_at_publish = profile.exchanges;
    auto record = std::make_unique<v1::AccountProfile>();
    Stamp(record->mutable_meta());
    FillProfile(profile, names(), record.get());
    std::string key = record->account();
    Emit(Topic::kAccountProfile, std::move(key), std::move(record));
  }
}

void Pipeline::Audit(std::string actor, std::string action, std::string subject, std::string detail, int64_t time_ns) {
  auto record = std::make_unique<v1::Audit>();
  Stamp(record->mutable_meta(), time_ns);
  record->set_actor(std::move(actor));
  record->set_action(std::move(action));
  record->set_subject(std::move(subject));
  record->set_detail(std::move(detail));
  Emit(Topic::kAudit, options_.box, std::move(record));
}

void Pipeline::WriteStatus(std::unique_ptr<v1::BoxStatus> status, int64_t time_ns) {
  Stamp(status->mutable_meta(), time_ns);
  status->set_degraded(degraded_);
  Emit(Topic::kBoxStatus, options_.box, std::move(status));
  Deliver();
}

void Pipeline::Stamp(v1::Meta* meta, int64_t time_ns) {
  meta->set_event_id(options_.box + "-" + std::to_string(options_.epoch) + "-" + std::to_string(++sequence_));
  meta->set_event_time(time_ns);
  meta->set_box(options_.box);
  meta->set_config_generation(options_.config_generation);
  meta->set_schema(1);
}

void Pipeline::Emit(Topic topic, std::string key, std::unique_ptr<google::protobuf::Message> message) {
  pending_.push_back({topic, std::move(key), std::move(message)});
}

void Pipeline::Withdraw(Topic topic, std::string key) {
  v1::Meta meta;
  Stamp(&meta);
  pending_.push_back({topic, std::move(key), nullptr, meta.event_id()});
}

void Pipeline::Deliver() {
  if (pending_.empty()) return;
  const Status status = books_changed_ && options_.commit_books ? sink_->WriteWithState(pending_, SealedBooks())
                                                                 : sink_->Write(pending_);
  if (status.ok()) {
    counters_.Add(PipelineCounter::kEventsWritten, pending_.size());
    pending_.clear();
    books_changed_ = false;
  } else {
    if (counters_.Get(PipelineCounter::kEventsHeld) == 0) Log(LogLevel::kWarning, "events are held: " + status.message());
    if (pending_.size() > kEventsHeldMax) {
      const size_t over = pending_.size() - kEventsHeldMax;
      counters_.Add(PipelineCounter::kEventsDropped, over);
      pending_.erase(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(over));
    }
  }
  counters_.Set(PipelineCounter::kEventsHeld, pending_.size());
}

Status Pipeline::Finish() {
  if (!block_at_.empty()) CloseBatch();
  if (remembered_ != 0) Evaluate();
  for (const auto& campaign : book_.campaigns()) {
    const bool moved = MembersShown(*campaign) != campaign->members_written;
    if (campaign->written && moved && campaign->stage_written == campaign->stage) {
      campaign->why = "end";
      WriteCampaign(campaign.get());
    }
  }
  if (!imports_.imports().empty()) WriteImports();
  if (options_.write_account_profiles) WriteProfiles(true);
  Deliver();
  if (options_.edge_recorder != nullptr) {
    if (Status status = options_.edge_recorder->End(Coverage(), newest_ns_); !status.ok()) return status;
  }
  if (!pending_.empty()) return Error{"pipeline: " + std::to_string(pending_.size()) + " events could not be written"};
  return sink_->Flush();
}

Status Pipeline::Suspend() {
  if (!block_at_.empty()) CloseBatch();
  Deliver();
  if (!pending_.empty()) return Error{"pipeline: " + std::to_string(pending_.size()) + " events could not be written"};
  return sink_->Flush();
}

void Pipeline::SwapPolicy(PolicyOptions policy, uint64_t config_generation) {
  options_.policy = std::move(policy);
  options_.config_generation = config_generation;
  WriteCampaigns();
  Deliver();
}

void Pipeline::SwapDirectory(std::shared_ptr<const AccountDirectory> directory) {
  directory_ = std::move(directory);
  if (directory_ == nullptr) return;
  for (const AccountDirectory::Entry& entry : directory_->entries()) {
    Profile* profile = profiles_.Find(entry.account);
    if (profile == nullptr) continue;
    TakeOver(entry, profile);
  }
}

Pipeline::Caller Pipeline::CallerOf(const ExchangeHeader& header) const {
  const AccountId key = IdOf(header);
  const AccountDirectory::Entry* entry = directory_ == nullptr ? nullptr : directory_->Find(key);
  const AccountId account = entry == nullptr ? key : entry->account;
  const auto [kind, end_user] = end_users_.Of(key, account, entry == nullptr ? 0 : entry->organisation, header.end_user_id, header.response_end_ns);
  // The directory's line is of the reseller: what it says of owner and age does not hold of who asks.
  if (kind == EndUsers::Kind::kEndUser) return {end_user.id, nullptr, kind, end_user};
  return {account, entry, kind, {}};
}

void Pipeline::NoteEndUser(const EndUser& end_user, int64_t time_ns) {
  if (!end_users_.Note(end_user, time_ns)) return;
  const Reseller& reseller = *end_users_.Listed(end_user.reseller);
  Audit("policy " + options_.policy.version, "reseller_split", AccountText(directory_.get(), end_user.account),
        "end users are accounts of their own; entry " + reseller.owner + (reseller.until_ns == INT64_MAX ? "" : " until " + FormatTime(reseller.until_ns)) +
            (reseller.reason.empty() ? "" : "; " + reseller.reason),
        newest_ns_);
}

std::vector<v1::CampaignVerdict> Pipeline::Campaigns() const {
  std::vector<v1::CampaignVerdict> verdicts;
  for (const auto& campaign : book_.campaigns()) {
    if (campaign->written) verdicts.push_back(VerdictOf(*campaign));
  }
  for (const Import& import : imports_.imports()) {
    if (import.written) verdicts.push_back(VerdictOf(import));
  }
  return verdicts;
}

std::unique_ptr<v1::CampaignVerdict> Pipeline::FindCampaign(std::string_view id) const {
  const Campaign* campaign = book_.Find(id);
  if (const Import* import = imports_.Find(id); import != nullptr && import->written) return std::make_unique<v1::CampaignVerdict>(VerdictOf(*import));
  if (campaign == nullptr || !campaign->written) return nullptr;
  return std::make_unique<v1::CampaignVerdict>(VerdictOf(*campaign));
}

}  // namespace stillwatch::pipeline
