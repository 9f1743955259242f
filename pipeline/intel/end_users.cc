#include "pipeline/intel/end_users.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/mutant.h"

namespace stillwatch::pipeline {

namespace {

uint64_t NumberOf(const std::string& owner, Salt fleet) { return KeyedHash64(owner, DeriveSalt(fleet, "reseller")); }

uint64_t Half(uint64_t of, uint64_t end_user, Salt salt) {
  const uint64_t both[2] = {of, end_user};
  return KeyedHash64(Bytes(reinterpret_cast<const uint8_t*>(both), sizeof both), salt);
}

}  // namespace

void EndUsers::SetResellers(std::span<const Reseller> resellers, uint32_t end_users_max) {
  end_users_max_ = end_users_max;
  list_.assign(resellers.begin(), resellers.end());
  accounts_.clear(), organisations_.clear();
  for (uint32_t i = 0; i < list_.size(); ++i) {
    const std::string& owner = list_[i].owner;
    std::string bytes;
    if (ParseHex(owner, &bytes) && bytes.size() == sizeof(uint64_t)) {
      organisations_.emplace(std::strtoull(owner.c_str(), nullptr, 16), i);
      continue;
    }
    accounts_.emplace(AccountNamed(owner, fleet_), i);
    organisations_.emplace(OrganisationId(owner, fleet_), i);
  }
}

const Reseller* EndUsers::Match(const AccountId& key, const AccountId& account, uint64_t organisation, int64_t time_ns) const {
  const auto in_force = [&](const auto& list, const auto& name) -> const Reseller* {
    const auto at = list.find(name);
    return at == list.end() || time_ns >= list_[at->second].until_ns ? nullptr : &list_[at->second];
  };
  if (const Reseller* by_key = in_force(accounts_, key)) return by_key;
  if (const Reseller* by_account = in_force(accounts_, account)) return by_account;
  return organisation == 0 ? nullptr : in_force(organisations_, organisation);
}

std::pair<EndUsers::Kind, EndUser> EndUsers::Of(const AccountId& key, const AccountId& account, uint64_t organisation, uint64_t end_user, int64_t time_ns) const {
  const Reseller* reseller = on() ? Match(key, account, organisation, time_ns) : nullptr;
  if (reseller == nullptr) return {Kind::kNotListed, {}};
  if (end_user == 0) return {Kind::kUnnamed, {}};
  EndUser user{{}, account, end_user, organisation, NumberOf(reseller->owner, fleet_)};
  uint64_t account_halves[2];
  std::memcpy(account_halves, account.bytes, sizeof account_halves);
  const uint64_t halves[2] = {Half(organisation != 0 ? organisation : OwnOwner(account), end_user, DeriveSalt(fleet_, "end-user-1")),
                              Half(account_halves[0] ^ Mix64(account_halves[1]), end_user, DeriveSalt(fleet_, "end-user-2"))};
  std::memcpy(user.id.bytes, halves, sizeof halves);
  if (MutantIs("end_users.by_key")) user.id = account;
  const auto held = held_.find(user.reseller);
  const bool full = held != held_.end() && held->second >= end_users_max_ && !MutantIs("end_users.no_bound");
  if (full && !rows_.contains(user.id)) return {Kind::kOver, {}};
  return {Kind::kEndUser, user};
}

void EndUsers::Count(Kind kind) {
  switch (kind) {
    case Kind::kNotListed: break;
    case Kind::kUnnamed: counters_.Add(EndUserCounter::kUnnamed); break;
    case Kind::kOver: counters_.Add(EndUserCounter::kOver); break;
    case Kind::kEndUser: counters_.Add(EndUserCounter::kExchanges); break;
  }
}

bool EndUsers::Note(const EndUser& end_user, int64_t time_ns) {
  const auto [at, is_new] = rows_.try_emplace(end_user.id, Row{end_user, 0});
  at->second.last_s = std::max(at->second.last_s, time_ns / kNsPerSecond);
  if (!is_new) return false;
  counters_.Set(EndUserCounter::kHeld, rows_.size());
  return ++held_[end_user.reseller] == 1;
}

const Reseller* EndUsers::Listed(uint64_t reseller) const {
  const auto at = std::find_if(list_.begin(), list_.end(), [&](const Reseller& r) { return NumberOf(r.owner, fleet_) == reseller; });
  return at == list_.end() ? nullptr : &*at;
}

const EndUser* EndUsers::Find(const AccountId& id) const {
  const auto at = rows_.find(id);
  return at == rows_.end() ? nullptr : &at->second.user;
}

const EndUser* EndUsers::Named(std::string_view account, std::string_view end_user, const AccountDirectory* directory) const {
  const uint64_t hash = KeyedHash64(end_user, DeriveSalt(fleet_, "name"));
  for (const auto& [id, row] : rows_) {
    if (row.user.end_user != hash && HexOf(row.user.end_user) != end_user) continue;
    if (AccountText(directory, row.user.account) == account) return &row.user;
  }
  return nullptr;
}

void EndUsers::Drop(const EndUser& user) {
  const auto held = held_.find(user.reseller);
  if (--held->second == 0) held_.erase(held);
}

bool EndUsers::Erase(const AccountId& id) {
  const auto at = rows_.find(id);
  if (at == rows_.end()) return false;
  Drop(at->second.user);
  rows_.erase(at);
  counters_.Set(EndUserCounter::kHeld, rows_.size());
  return true;
}

void EndUsers::ExpireBefore(int64_t time_s, const ProfileTable& profiles) {
  for (auto at = rows_.begin(); at != rows_.end();) {
    if (at->second.last_s >= time_s && profiles.Find(at->first) != nullptr) {
      ++at;
      continue;
    }
    Drop(at->second.user);
    at = rows_.erase(at);
  }
  counters_.Set(EndUserCounter::kHeld, rows_.size());
}

std::string AccountText(const AccountNames& names, const AccountId& account) {
  const EndUser* user = names.end_users == nullptr ? nullptr : names.end_users->Find(account);
  return user == nullptr ? AccountText(names.directory, account) : EndUserText(names.directory, *user);
}

std::string EndUserText(const AccountDirectory* directory, const EndUser& user) { return AccountText(directory, user.account) + "#" + HexOf(user.end_user); }

}  // namespace stillwatch::pipeline
