// Who is run by one hand with whom: the edges of layer 2, by account. For the fit.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/evidence/edge.h"
#include "pipeline/profile/profile_table.h"

namespace stillwatch::pipeline {

class Kin {
 public:
  Kin() = default;
  // Edges of accounts without a profile are left out.
  Kin(std::span<const EdgeRecord> edges, const ProfileTable& profiles);

  // Places in the profile table.
  std::span<const uint32_t> Of(uint32_t account) const {
    if (start_.empty()) return {};
    return {others_.data() + start_[account], start_[account + 1] - start_[account]};
  }
  // Accounts that hang together, of each set its places ascending.
  std::vector<std::vector<uint32_t>> Pools() const;

 private:
  std::vector<uint32_t> start_, others_;  // by account; empty: nobody has kin
};

}  // namespace stillwatch::pipeline
