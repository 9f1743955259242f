// All account profiles, bounded. Batch thread only. Memory is reserved at construction and touched as
// accounts appear. When full, the account seen least recently among a few probed ones makes room, counted.
//
// A key earns a profile only when it is real: a 2xx response, or, where responses are unseen, its third
// exchange over a second flow. Until then it waits in a small table that invented keys may churn.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "base/counters.h"
#include "pipeline/profile/profile.h"

namespace stillwatch::pipeline {

enum class ProfileCounter {
  kCreated,            // profiles made
  kEvicted,            // profiles given up because detect.profiles_max was reached; raise detect.profiles_max
  kUnproven,           // exchanges of keys that have not earned a profile yet
  kRequestsPushedOut,  // remembered requests that made room for newer ones
  kCount
};
inline constexpr CounterNames<ProfileCounter> kProfileCounterNames{
    "profile.created", "profile.evicted", "profile.unproven", "profile.requests_pushed_out"};

class ProfileTable {
 public:
  explicit ProfileTable(uint32_t profiles_max);

  // Null when unknown.
  Profile* Find(const AccountId& id);
  const Profile* Find(const AccountId& id) const { return const_cast<ProfileTable*>(this)->Find(id); }

  // The profile of a key with this exchange, made when the key has earned one; else null.
  Profile* FindOrEarn(const AccountId& id, bool answered_2xx, bool response_seen, uint64_t flow_id);
  // Unconditional: snapshots and tests.
  Profile* FindOrCreate(const AccountId& id);

  // Forgets the account, its place wiped. The last profile takes the place: `moved` names where it was, UINT32_MAX when nothing
  // had to move. False: unknown.
  bool Erase(const AccountId& id, uint32_t* moved);

  // Every profile, in order of first appearance (evicted places are reused).
  std::span<Profile> all() { return {profiles_.get(), count_}; }
  std::span<const Profile> all() const { return {profiles_.get(), count_}; }
  uint32_t IndexOf(const Profile* profile) const {
    return static_cast<uint32_t>(profile - profiles_.get());
  }
  uint32_t size() const { return count_; }
  uint64_t requests() const { return requests_; }  // remembered of all accounts

  // Keeps `request` in the profile; an older one may make room, counted.
  void Remember(Profile* profile, const RememberedRequest& request);
  // Forgets requests before `time_s`.
  void ExpireBefore(uint32_t time_s);
  CounterBlock<ProfileCounter>& counters() { return counters_; }
  template <typename S>
  void VisitState(S& state);  // pipeline/snapshot/pipeline_state.cc

 private:
  static constexpr uint32_t kUnprovenRows = 1u << 16;
  struct Unproven {
    uint64_t key;   // 0: empty
    uint64_t flow;
    uint32_t exchanges;
    bool two_flows;
  };
  struct Free {
    void operator()(Profile* profiles) const { std::free(profiles); }
  };

  uint32_t* SlotOf(const AccountId& id);
  uint32_t Victim();
  void Unlink(const AccountId& id);

  const uint32_t profiles_max_;
  uint32_t mask_;
  uint32_t count_ = 0;
  uint64_t requests_ = 0;
  uint32_t hand_ = 0;  // where the search for a victim starts
  std::unique_ptr<Profile[], Free> profiles_;  // from calloc: untouched pages cost nothing
  std::vector<uint32_t> slots_;  // index + 1; 0: empty; linear probing
  std::vector<Unproven> unproven_;
  CounterBlock<ProfileCounter> counters_{kProfileCounterNames};
};

}  // namespace stillwatch::pipeline
