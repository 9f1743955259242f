// One account out of all that is remembered, for the people whom a law gives that right. What cannot be taken back is told in
// docs/privacy.md: records that topics hold already, and counts in which nobody is named.
#include <algorithm>

#include "base/bytes.h"
#include "base/mutant.h"
#include "pipeline/batch/records.h"
#include "pipeline/pipeline.h"

namespace stillwatch::pipeline {

namespace {

// By the directory's name, an end user's, or 32 hex digits.
Result<AccountId> AccountNamed(const std::string& text, const AccountNames& names) {
  const AccountDirectory* directory = names.directory;
  if (directory != nullptr) {
    for (const AccountDirectory::Entry& entry : directory->entries()) {
      if (directory->NameOf(entry.account) == text) return entry.account;
    }
  }
  const size_t mark = text.find('#');  // the reseller's account may be named by hand, so its end user too
  if (const EndUser* user = mark == std::string::npos ? nullptr : names.end_users->Named(text.substr(0, mark), text.substr(mark + 1), directory)) return user->id;
  AccountId id;
  std::string bytes;
  if (!ParseHex(text, &bytes) || bytes.size() != sizeof id.bytes) {
    return Error{"'" + text + "' is no account: neither a name of the directory nor 32 hex digits, nor one of these, '#' and an end user that is held"};
  }
  std::copy(bytes.begin(), bytes.end(), id.bytes);
  return id;
}

}  // namespace

Result<std::string> Pipeline::Erase(const std::string& account, const std::string& actor, int64_t time_ns) {
  const Result<AccountId> named = AccountNamed(account, names());
  if (!named.ok()) return named.error();
  const AccountId id = named.value();
  if (!block_at_.empty()) CloseBatch();
  const Profile* const profile = profiles_.Find(id);
  const std::string text = AccountText(names(), id);
  std::vector<std::string> edges;  // keys of those that stand now
  if (options_.write_edges) {
    const RecordContext context = Context();
    for (const EdgeRecord& edge : FindEdges()) {
      if (edge.a != id && edge.b != id) continue;
      v1::Edge record;
      FillEdge(edge, context, &record);
      edges.push_back(record.account_a() + "/" + record.account_b() + "/" + std::to_string(record.layer()));
    }
  }
  const size_t requests = profile == nullptr ? 0 : profile->requests_count;
  const uint32_t index = profile == nullptr ? UINT32_MAX : profiles_.IndexOf(profile);
  const uint64_t owner = profile == nullptr ? 0 : profile->owner;
  uint32_t moved = UINT32_MAX;
  bool known = profiles_.Erase(id, &moved);
  if (known) {
    const auto others = profiles_.all();
    const bool last_of_owner = std::none_of(others.begin(), others.end(), [&](const Profile& p) { return p.owner == owner; });
    if (last_of_owner && !MutantIs("erase.fragments_stay")) fragments_.ForgetOwner(owner);
    if (last_of_owner && clusters_.on() && !MutantIs("erase.clusters_stay")) ForgetClusters(clusters_.ForgetOwner(owner));
  }
  const size_t pairs = migration_.Erase(id, index, moved);
  const size_t campaigns = MutantIs("erase.campaigns_keep_it") ? 0 : book_.Erase(id);
  const size_t opinions = feedback_.Erase(id);
  const size_t claims = imports_.Erase(id);
  const size_t end_users = MutantIs("erase.end_users_stay") ? 0 : end_users_.Erase(id);
  const size_t spared = std::erase_if(spared_, [&](const auto& entry) { return entry.second == id; });
  known |= pairs + campaigns + opinions + claims + end_users + spared != 0;
  if (!known) return Error{"nothing is remembered of account " + account};
  counters_.Add(PipelineCounter::kErased);
  edge_weights_.Clear();  // its keys are made of both ends' ids; edges that stand are written once more
  const std::string hash = HexOf(KeyedHash64(text, DeriveSalt(options_.salt, "erasure")));
  Audit(actor, "erase", hash,
        std::to_string(requests) + " requests, " + std::to_string(pairs) + " pairs, " + std::to_string(campaigns) + " campaigns, " +
            std::to_string(opinions) + " opinions, " + std::to_string(claims) + " claims of partners",
        time_ns);
  books_changed_ = true;
  WriteCampaigns();
  WriteImports();
  if (options_.write_account_profiles) Withdraw(Topic::kAccountProfile, text);
  for (std::string& key : edges) Withdraw(Topic::kEdge, std::move(key));
  Deliver();
  return hash;
}

}  // namespace stillwatch::pipeline
