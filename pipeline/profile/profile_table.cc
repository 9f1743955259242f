#include "pipeline/profile/profile_table.h"

#include <bit>

#include "base/mutant.h"
#include "base/check.h"
#include "base/endian.h"

namespace stillwatch::pipeline {

namespace {

constexpr uint32_t kVictimProbes = 16;

uint64_t HashOf(const AccountId& id) { return Mix64(LoadLe<uint64_t>(id.bytes) ^ LoadLe<uint64_t>(id.bytes + 8) * 31); }

}  // namespace

ProfileTable::ProfileTable(uint32_t profiles_max)
    : profiles_max_(profiles_max),
      mask_(std::bit_ceil(profiles_max * 2u) - 1),
      profiles_(static_cast<Profile*>(std::calloc(profiles_max, sizeof(Profile)))),
      slots_(mask_ + 1, 0),
      unproven_(kUnprovenRows) {
  CHECK(profiles_max > 0 && profiles_ != nullptr);
}

uint32_t* ProfileTable::SlotOf(const AccountId& id) {
  for (uint32_t at = static_cast<uint32_t>(HashOf(id)) & mask_;; at = (at + 1) & mask_) {
    if (slots_[at] == 0 || profiles_[slots_[at] - 1].id == id) return &slots_[at];
  }
}

Profile* ProfileTable::Find(const AccountId& id) {
  const uint32_t slot = *SlotOf(id);
  return slot == 0 ? nullptr : &profiles_[slot - 1];
}

Profile* ProfileTable::FindOrEarn(const AccountId& id, bool answered_2xx, bool response_seen,
                                  uint64_t flow_id) {
  if (Profile* found = Find(id)) return found;
  if (answered_2xx || MutantIs("detect.unproven_profile")) return FindOrCreate(id);
  counters_.Add(ProfileCounter::kUnproven);
  if (response_seen) return nullptr;  // refused by the provider: nothing is proved
  const uint64_t key = HashOf(id) | 1;
  Unproven& row = unproven_[key >> 32 & (kUnprovenRows - 1)];
  if (row.key != key) row = {key, flow_id, 0, false};
  ++row.exchanges;
  row.two_flows |= row.flow != flow_id;
  if (row.exchanges < 3 || !row.two_flows) return nullptr;
  row = {};
  return FindOrCreate(id);
}

Profile* ProfileTable::FindOrCreate(const AccountId& id) {
  if (Profile* found = Find(id)) return found;
  uint32_t index = count_;
  if (count_ < profiles_max_) {
    ++count_;
  } else {
    index = Victim();
    Unlink(profiles_[index].id);
    counters_.Add(ProfileCounter::kEvicted);
  }
  Profile& profile = profiles_[index];
  requests_ -= profile.requests_count;
  profile = Profile{};
  profile.id = id;
  *SlotOf(id) = index + 1;
  counters_.Add(ProfileCounter::kCreated);
  return &profile;
}

void ProfileTable::Remember(Profile* profile, const RememberedRequest& request) {
  if (pipeline::Remember(profile, request)) counters_.Add(ProfileCounter::kRequestsPushedOut);
  else ++requests_;
}

void ProfileTable::ExpireBefore(uint32_t time_s) {
  for (Profile& profile : all()) {
    requests_ -= profile.requests_count;
    pipeline::ExpireBefore(&profile, time_s);
    requests_ += profile.requests_count;
  }
}

bool ProfileTable::Erase(const AccountId& id, uint32_t* moved) {
  *moved = UINT32_MAX;
  const uint64_t key = HashOf(id) | 1;
  if (Unproven& row = unproven_[key >> 32 & (kUnprovenRows - 1)]; row.key == key) row = {};
  const Profile* found = Find(id);
  if (found == nullptr) return false;
  const uint32_t index = IndexOf(found), last = --count_;
  requests_ -= found->requests_count;
  Unlink(id);
  if (index != last) {
    *SlotOf(profiles_[last].id) = index + 1;
    profiles_[index] = profiles_[last];
    *moved = last;
  }
  profiles_[last] = Profile{};
  return true;
}

uint32_t ProfileTable::Victim() {
  uint32_t best = hand_ % count_;
  for (uint32_t i = 1; i < kVictimProbes; ++i) {
    const uint32_t at = (hand_ + i) % count_;
    if (profiles_[at].last_ns < profiles_[best].last_ns) best = at;
  }
  hand_ = (hand_ + kVictimProbes) % count_;
  return best;
}

// Takes the slot out and moves later ones of the same probe run back, so that none is lost.
void ProfileTable::Unlink(const AccountId& id) {
  uint32_t hole = static_cast<uint32_t>(SlotOf(id) - slots_.data());
  slots_[hole] = 0;
  for (uint32_t at = (hole + 1) & mask_; slots_[at] != 0; at = (at + 1) & mask_) {
    const uint32_t home = static_cast<uint32_t>(HashOf(profiles_[slots_[at] - 1].id)) & mask_;
    if (((at - home) & mask_) < ((at - hole) & mask_)) continue;
    slots_[hole] = slots_[at];
    slots_[at] = 0;
    hole = at;
  }
}

}  // namespace stillwatch::pipeline
