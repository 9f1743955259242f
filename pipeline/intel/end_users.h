// Resellers: owners whose keys many people use. Of an account that the operator lists each end user, as the request's end-user
// field tells one, is an account of its own in profiles, campaigns, verdicts and advice; what names no end user stays the
// account's. What end users are called is the reseller's word, so nobody knows who owns one: each is an owner of its own. Batch thread only.
//
// Bounds: a peer may invent names. A listed owner holds at most detect.end_users_max of them, kRowBytes each and a profile; who comes
// when all places are taken stays with the account, counted. A place is free again when its profile is gone, or was not used
// for as long as evidence is kept. Nothing is listed: no exchange is looked at.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/counters.h"
#include "base/hash.h"
#include "pipeline/intel/account_directory.h"
#include "pipeline/profile/profile_table.h"

namespace stillwatch::pipeline {

// As the operator wrote it: a key's id, an account as topics name it, or an organisation by name or 16 hex digits.
struct Reseller {
  std::string owner;
  int64_t until_ns = INT64_MAX;  // of traffic time; from then on its keys are accounts like any other
  std::string reason;
};

enum class EndUserCounter {
  kExchanges,  // exchanges of listed owners that were counted to an end user
  kUnnamed,    // exchanges of listed owners that named no end user and stay the account's
  kOver,       // exchanges of end users beyond detect.end_users_max, which stay the account's; look at account-profile, whether they are real, before you raise it
  kHeld,       // end users held (gauge)
  kCount
};
inline constexpr CounterNames<EndUserCounter> kEndUserCounterNames{"end_users.exchanges", "end_users.unnamed", "end_users.over", "end_users.held"};

struct EndUser {
  AccountId id;           // of the account that it is. First half: of owner and end user, so one person on two accounts is one owner
  AccountId account;      // through which it asks
  uint64_t end_user;      // keyed hash of the request's field
  uint64_t organisation;  // of the account; 0: unknown
  uint64_t reseller;      // number of the owner that is listed; 0: read from a recording
};

class EndUsers {
 public:
  static constexpr uint64_t kRowBytes = 128;  // with the map's node and bucket

  explicit EndUsers(Salt fleet) : fleet_(fleet) {}

  // In the place of those before, each with room for so many. Who is held stays held.
  void SetResellers(std::span<const Reseller> resellers, uint32_t end_users_max);
  bool on() const { return !list_.empty(); }

  enum class Kind : uint8_t { kNotListed, kUnnamed, kOver, kEndUser };
  // Whose an exchange is that `key` sent for `account` of `organisation` (0: unknown) at `time_ns`, naming `end_user` (0: none).
  std::pair<Kind, EndUser> Of(const AccountId& key, const AccountId& account, uint64_t organisation, uint64_t end_user, int64_t time_ns) const;
  void Count(Kind kind);
  // Holds it from now on; it has a profile. True for a reseller's first one.
  bool Note(const EndUser& end_user, int64_t time_ns);
  // The entry of the list that a reseller's number stands for; null: none any more.
  const Reseller* Listed(uint64_t reseller) const;

  // nullptr: no end user's account, or not held.
  const EndUser* Find(const AccountId& id) const;
  // By its account as the directory names it and 16 hex digits, or the name that the reseller gives it. `directory` may be null.
  const EndUser* Named(std::string_view account, std::string_view end_user, const AccountDirectory* directory) const;
  bool Erase(const AccountId& id);
  // Those without a profile, and those not seen since.
  void ExpireBefore(int64_t time_s, const ProfileTable& profiles);

  CounterBlock<EndUserCounter>& counters() { return counters_; }
  template <typename S>
  void VisitState(S& state);  // pipeline/snapshot/pipeline_state.cc

 private:
  struct Row {
    EndUser user;
    int64_t last_s;
  };
  struct Hash {
    size_t operator()(const AccountId& id) const { return OwnOwner(id); }
  };

  const Reseller* Match(const AccountId& key, const AccountId& account, uint64_t organisation, int64_t time_ns) const;
  void Drop(const EndUser& user);

  const Salt fleet_;
  std::vector<Reseller> list_;
  uint32_t end_users_max_ = 0;
  std::map<AccountId, uint32_t> accounts_;       // keys and accounts -> place in list_
  std::map<uint64_t, uint32_t> organisations_;
  std::unordered_map<AccountId, Row, Hash> rows_;
  std::map<uint64_t, uint32_t> held_;            // by reseller
  CounterBlock<EndUserCounter> counters_{kEndUserCounterNames};
};

// How topics name accounts: as the directory does, else 32 hex digits; an end user "ACCOUNT#" and 16 hex digits. Either may be null.
struct AccountNames {
  AccountNames(const AccountDirectory* names, const EndUsers* users = nullptr) : directory(names), end_users(users) {}  // NOLINT: a directory alone names accounts, too
  const AccountDirectory* directory;
  const EndUsers* end_users;
};
std::string AccountText(const AccountNames& names, const AccountId& account);
// ... of one that may not be held yet.
std::string EndUserText(const AccountDirectory* directory, const EndUser& user);

}  // namespace stillwatch::pipeline
