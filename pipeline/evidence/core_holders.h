// Which requests of one look hold a core, and whether it is everybody's. Both follow from the core's fragments alone, and the fits
// of one look find the same cores again and again, from round to round and from seed to seed: what was answered once is kept,
// until more than so many requests are listed. Made once a look; batch thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "pipeline/evidence/core_finder.h"
#include "pipeline/evidence/fragment_postings.h"
#include "pipeline/evidence/public_core.h"
#include "pipeline/policy/tunables.h"

namespace stillwatch::pipeline {

class CoreHolders {
 public:
  struct Holders {
    std::vector<uint32_t> fragments;  // of the core, sorted
    std::vector<uint32_t> requests;   // indexes, ascending
    std::vector<uint32_t> owner_list;  // ascending
    bool is_public = false;
  };

  // `choices`: of the client, by request of `postings`. All must outlive this.
  CoreHolders(const FragmentPostings& postings, std::span<const ClientChoice> choices, const Likeness& population, const Tunables& tunables);

  // Of all cores of a set, in their order. Valid until the next call.
  std::vector<const Holders*> Of(const CoreSet& set);

 private:
  const Holders* Find(std::span<const uint32_t> fragments, uint32_t needed);
  std::vector<uint32_t> RequestsWith(std::span<const uint32_t> fragments, uint32_t needed);
  void Judge(Holders* holders);
  std::vector<const Holders*> WalkAll(const CoreSet& set);

  const FragmentPostings& postings_;
  const std::span<const ClientChoice> choices_;
  PublicRule public_rule_;
  std::unordered_map<uint64_t, std::unique_ptr<Holders>> known_;
  std::vector<std::unique_ptr<Holders>> walked_;  // of one set, where there are no postings
  uint64_t listed_ = 0;                           // requests in known_
  std::vector<uint8_t> counts_;                   // by request: fragments of the core that is asked for; zero between calls
  std::vector<uint64_t> touched_;                 // ... bit set of those that are not zero
  std::vector<ClientChoice> of_owners_;           // scratch
};

}  // namespace stillwatch::pipeline
