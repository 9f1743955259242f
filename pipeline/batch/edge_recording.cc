#include "pipeline/batch/edge_recording.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/endian.h"
#include "base/mutant.h"
#include "pipeline/evidence/semantic_clusters.h"

namespace stillwatch::pipeline {

namespace {

constexpr std::string_view kHead =
    "stillwatch edges 1: salted hashes of prompt fragments, personal data; keep it on this machine, delete it after use\n";
constexpr uint32_t kVersion = 4;
constexpr size_t kFrameHead = 12;
constexpr uint32_t kFrameMax = 256u << 20;

uint64_t SaltCheck(Salt salt) { return KeyedHash64("edge recording", DeriveSalt(salt, "edge-recording")); }
uint64_t FrameHash(std::string_view bytes) { return KeyedHash64(bytes, Salt{}); }

std::string BytesOf(const AccountId& id) { return {reinterpret_cast<const char*>(id.bytes), sizeof id.bytes}; }

void Fill(const CoverageSeen& coverage, int64_t now_ns, v1::RecordedCoverage* out) {
  out->set_now_ns(now_ns);
  out->set_exchanges(coverage.exchanges);
  out->set_skipped(coverage.skipped);
  out->set_degraded(coverage.degraded);
  out->set_one_sided(coverage.one_sided);
}

bool Valid(const v1::RecordedAccount& account) {
  if (account.account().size() != sizeof(AccountId) || account.day().size() != sizeof(LastDay) ||
      account.home().size() != sizeof(HomeNetworks) || account.probed().size() != sizeof(ProbedSets) ||
      account.clusters().size() != sizeof(ClusterCounts) || (!account.of_account().empty() && account.of_account().size() != sizeof(AccountId))) {
    return false;
  }
  if (account.request().empty()) return true;
  if (account.request().size() != sizeof(RememberedRequest)) return false;
  return RequestOf(account).fragments_count <= kRequestFragments;
}

bool Valid(const v1::RecordedLook& look) {
  return std::all_of(look.edges().begin(), look.edges().end(), [](const v1::RecordedEdge& edge) {
    return edge.a().size() == sizeof(AccountId) && edge.b().size() == sizeof(AccountId) && edge.a() < edge.b() &&
           edge.cores_size() <= static_cast<int>(kEdgeCores) &&
           IsLayer(edge.layer());
  });
}

bool Valid(const v1::RecordedForgotten& forgotten) {
  return std::all_of(forgotten.clusters().begin(), forgotten.clusters().end(), [](uint32_t cluster) { return cluster < SemanticClusters::kRowsMax; });
}

}  // namespace

AccountId AccountIdOf(const std::string& bytes) {
  AccountId id;
  std::memcpy(id.bytes, bytes.data(), sizeof id.bytes);
  return id;
}

EdgeRecord EdgeOf(const v1::RecordedEdge& edge) {
  EdgeRecord record;
  record.a = AccountIdOf(edge.a());
  record.b = AccountIdOf(edge.b());
  record.layer = static_cast<Layer>(edge.layer());
  record.weight = edge.weight();
  record.count = edge.count();
  record.shared_cores = edge.shared_cores();
  record.cores_count = static_cast<uint8_t>(edge.cores_size());
  std::copy(edge.cores().begin(), edge.cores().end(), record.cores);
  record.first_s = edge.first_s();
  record.last_s = edge.last_s();
  return record;
}

void ApplyTo(const v1::RecordedAccount& account, Profile* profile) {
  profile->owner = account.owner();
  profile->exchanges = static_cast<uint32_t>(account.exchanges());
  profile->tokens_in = account.tokens_in();
  profile->tokens_out = account.tokens_out();
  profile->refusals = static_cast<uint32_t>(account.refusals());
  profile->rate_limited = static_cast<uint32_t>(account.rate_limited());
  profile->first_ns = account.first_ns();
  profile->last_ns = account.last_ns();
  profile->dialects = static_cast<uint8_t>(account.dialects());
  std::memcpy(&profile->day, account.day().data(), sizeof profile->day);
  profile->hours.Note(account.active_s());
  std::memcpy(&profile->home, account.home().data(), sizeof profile->home);
  std::memcpy(&profile->probed, account.probed().data(), sizeof profile->probed);
  std::memcpy(&profile->clusters, account.clusters().data(), sizeof profile->clusters);
  profile->created_s = static_cast<uint32_t>(account.created_s());
}

EndUser EndUserOf(const v1::RecordedAccount& account) {
  return {AccountIdOf(account.account()), AccountIdOf(account.of_account()), account.end_user(), account.organisation(), 0};
}

RememberedRequest RequestOf(const v1::RecordedAccount& account) {
  RememberedRequest request;
  std::memcpy(&request, account.request().data(), sizeof request);
  return request;
}

// --- Writing ------------------------------------------------------------------------------------------

Result<std::unique_ptr<EdgeRecorder>> EdgeRecorder::Create(const std::string& path, Salt salt) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  // A file that was there keeps its mode, so it is set before anything is written.
  if (fd < 0 || fchmod(fd, 0600) != 0) {
    const std::string why = std::strerror(errno);
    if (fd >= 0) close(fd);
    return Error{path + ": cannot be written: " + why};
  }
  OpenFile file(fdopen(fd, "wb"));
  std::fwrite(kHead.data(), 1, kHead.size(), file.get());
  return std::unique_ptr<EdgeRecorder>(new EdgeRecorder(std::move(file), path, salt));
}

void EdgeRecorder::Write(const v1::RecordedPart& part) {
  part.SerializeToString(&bytes_);
  uint8_t head[kFrameHead];
  StoreLe(head, static_cast<uint32_t>(bytes_.size()));
  StoreLe(head + 4, FrameHash(bytes_));
  std::fwrite(head, 1, sizeof head, file_.get());  // failures show at End
  std::fwrite(bytes_.data(), 1, bytes_.size(), file_.get());
}

void EdgeRecorder::Start(const gpu::SketchVersions& versions) {
  v1::RecordedPart part;
  v1::RecordedStart* start = part.mutable_start();
  start->set_version(kVersion);
  start->set_salt_check(SaltCheck(salt_));
  start->set_sketch(versions.sketch);
  start->set_salt_id(versions.salt_id);
  start->set_rarity_id(versions.rarity_id);
  start->set_table_id(versions.table_id);
  Write(part);
}

void EdgeRecorder::Account(const Profile& profile, const EndUser* end_user, int64_t active_s, const RememberedRequest* request) {
  v1::RecordedPart part;
  v1::RecordedAccount* account = part.mutable_account();
  account->set_account(BytesOf(profile.id));
  account->set_owner(profile.owner);
  account->set_exchanges(profile.exchanges);
  account->set_tokens_in(profile.tokens_in);
  account->set_tokens_out(profile.tokens_out);
  account->set_refusals(profile.refusals);
  account->set_rate_limited(profile.rate_limited);
  account->set_first_ns(profile.first_ns);
  account->set_last_ns(profile.last_ns);
  account->set_dialects(profile.dialects);
  account->set_day(&profile.day, sizeof profile.day);
  account->set_active_s(active_s);
  account->set_home(&profile.home, sizeof profile.home);
  account->set_probed(&profile.probed, sizeof profile.probed);
  account->set_clusters(&profile.clusters, sizeof profile.clusters);
  account->set_created_s(profile.created_s);
  if (end_user != nullptr) {
    account->set_of_account(BytesOf(end_user->account));
    account->set_end_user(end_user->end_user);
    account->set_organisation(end_user->organisation);
  }
  if (request != nullptr && !MutantIs("edges.forget_requests")) account->set_request(request, sizeof *request);
  Write(part);
}

void EdgeRecorder::Look(const CoverageSeen& coverage, int64_t now_ns, std::span<const EdgeRecord> edges) {
  v1::RecordedPart part;
  v1::RecordedLook* look = part.mutable_look();
  Fill(coverage, now_ns, look->mutable_coverage());
  for (const EdgeRecord& edge : edges) {
    v1::RecordedEdge* record = look->add_edges();
    record->set_a(BytesOf(edge.a));
    record->set_b(BytesOf(edge.b));
    record->set_layer(static_cast<uint32_t>(edge.layer));
    record->set_weight(edge.weight);
    record->set_count(edge.count);
    record->set_shared_cores(edge.shared_cores);
    for (uint32_t i = 0; i < edge.cores_count; ++i) record->add_cores(edge.cores[i]);
    record->set_first_s(edge.first_s);
    record->set_last_s(edge.last_s);
  }
  Write(part);
}

void EdgeRecorder::Forgotten(const std::vector<bool>& clusters) {
  v1::RecordedPart part;
  v1::RecordedForgotten* forgotten = part.mutable_forgotten();
  for (uint32_t cluster = 0; cluster < clusters.size(); ++cluster) {
    if (clusters[cluster]) forgotten->add_clusters(cluster);
  }
  if (forgotten->clusters_size() != 0) Write(part);
}

void EdgeRecorder::Renewal(const CoverageSeen& coverage, int64_t now_ns) {
  v1::RecordedPart part;
  Fill(coverage, now_ns, part.mutable_renewal());
  Write(part);
}

Status EdgeRecorder::End(const CoverageSeen& coverage, int64_t now_ns) {
  v1::RecordedPart part;
  Fill(coverage, now_ns, part.mutable_end());
  Write(part);
  if (std::fflush(file_.get()) != 0 || std::ferror(file_.get())) {
    return Error{path_ + ": could not be written whole: " + std::strerror(errno)};
  }
  return {};
}

// --- Reading ------------------------------------------------------------------------------------------

Error EdgeRecording::Bad(const std::string& what) const {
  return Error{path_ + ": " + what + " (frame " + std::to_string(frames_ + 1) + ")"};
}

Result<std::unique_ptr<EdgeRecording>> EdgeRecording::Open(const std::string& path, Salt salt) {
  OpenFile file(std::fopen(path.c_str(), "rbe"));
  if (file == nullptr) return Error{path + ": cannot be read: " + std::strerror(errno)};
  std::string head(kHead.size(), '\0');
  if (std::fread(head.data(), 1, head.size(), file.get()) != head.size() || head != kHead) {
    return Error{path + ": is no file of `stillwatch replay --record-edges`"};
  }
  std::unique_ptr<EdgeRecording> recording(new EdgeRecording(std::move(file), path));
  const Result<v1::RecordedPart> part = recording->Read();
  if (!part.ok()) return part.error();
  const v1::RecordedStart& start = part.value().start();
  if (!part.value().has_start()) return recording->Bad("does not begin with a start");
  if (start.version() != kVersion) return Error{path + ": has version " + std::to_string(start.version()) + ", this program reads " + std::to_string(kVersion)};
  if (start.salt_check() != SaltCheck(salt)) {
    return Error{path + ": was recorded under another privacy.salt; give the one of the recording"};
  }
  const auto small = [](uint32_t version) { return static_cast<uint16_t>(version); };
  recording->versions_ = {small(start.sketch()), small(start.salt_id()), small(start.rarity_id()), small(start.table_id())};
  return recording;
}

Result<v1::RecordedPart> EdgeRecording::Read() {
  uint8_t head[kFrameHead];
  const size_t got = std::fread(head, 1, sizeof head, file_.get());
  if (got != sizeof head) return Bad("is cut short");
  const uint32_t length = LoadLe<uint32_t>(head);
  if (length > kFrameMax) return Bad("is damaged: a frame of " + std::to_string(length) + " bytes");
  // In pieces: a wrong length must not take memory that the file does not fill.
  constexpr size_t kPiece = 1u << 20;
  bytes_.clear();
  while (bytes_.size() < length) {
    const size_t at = bytes_.size(), piece = std::min<size_t>(kPiece, length - at);
    bytes_.resize(at + piece);
    if (std::fread(bytes_.data() + at, 1, piece, file_.get()) != piece) return Bad("is cut short");
  }
  v1::RecordedPart part;
  if (FrameHash(bytes_) != LoadLe<uint64_t>(head + 4) || !part.ParseFromString(bytes_)) return Bad("is damaged");
  ++frames_;
  return part;
}

Result<v1::RecordedPart> EdgeRecording::Next() {
  Result<v1::RecordedPart> part = Read();
  if (!part.ok()) return part;
  const bool valid = part.value().has_account() ? Valid(part.value().account())
                     : part.value().has_look()  ? Valid(part.value().look())
                                                : part.value().has_forgotten() ? Valid(part.value().forgotten())
                                                : part.value().has_renewal() || part.value().has_end();
  if (!valid) return Bad("holds a record that nothing writes");
  if (part.value().has_end() && std::fgetc(file_.get()) != EOF) return Bad("goes on after its end");
  return part;
}

}  // namespace stillwatch::pipeline
