#include "pipeline/evidence/core_holders.h"

#include <algorithm>
#include <bit>

#include "base/hash.h"

namespace stillwatch::pipeline {

namespace {

constexpr uint64_t kListedPerRequest = 4;  // of what is kept; four bytes each, and as many for owners at most

static_assert(kRequestFragments < 256, "counted in a byte");

}  // namespace

CoreHolders::CoreHolders(const FragmentPostings& postings, std::span<const ClientChoice> choices, const Likeness& population, const Tunables& tunables)
    : postings_(postings), choices_(choices), public_rule_(population, tunables), counts_(postings.requests().size(), 0),
      touched_(postings.requests().size() / 64 + 1, 0) {}

std::vector<const CoreHolders::Holders*> CoreHolders::Of(const CoreSet& set) {
  if (!postings_.built()) return WalkAll(set);
  if (listed_ > kListedPerRequest * postings_.requests().size()) known_.clear(), listed_ = 0;
  const FragmentsByCore fragments = set.Fragments();
  std::vector<const Holders*> result;
  for (size_t core = 0; core < set.cores.size(); ++core) result.push_back(Find(fragments.of(core), set.cores[core].needed));
  return result;
}

const CoreHolders::Holders* CoreHolders::Find(std::span<const uint32_t> fragments, uint32_t needed) {
  uint64_t key = needed;
  for (uint32_t fragment : fragments) key = Mix64(key + fragment);
  for (;; ++key) {
    std::unique_ptr<Holders>& holders = known_[key];
    if (holders == nullptr) {
      holders = std::make_unique<Holders>();
      holders->fragments.assign(fragments.begin(), fragments.end());
      holders->requests = RequestsWith(fragments, needed);
      listed_ += holders->requests.size();
      Judge(holders.get());
      return holders.get();
    }
    if (std::ranges::equal(holders->fragments, fragments)) return holders.get();
  }
}

std::vector<uint32_t> CoreHolders::RequestsWith(std::span<const uint32_t> fragments, uint32_t needed) {
  std::vector<uint32_t> requests;
  if (fragments.size() == 1) {
    const std::span<const uint32_t> all = postings_.Of(fragments.front());
    requests.reserve(all.size());
    std::unique_copy(all.begin(), all.end(), std::back_inserter(requests));
    return requests;
  }
  for (uint32_t fragment : fragments) {
    for (uint32_t request : postings_.Of(fragment)) {
      ++counts_[request];
      touched_[request / 64] |= 1ull << request % 64;
    }
  }
  for (size_t word = 0; word < touched_.size(); ++word) {
    for (uint64_t left = touched_[word]; left != 0; left &= left - 1) {
      const auto request = static_cast<uint32_t>(word * 64 + static_cast<size_t>(std::countr_zero(left)));
      if (counts_[request] >= needed) requests.push_back(request);
      counts_[request] = 0;
    }
    touched_[word] = 0;
  }
  return requests;
}

void CoreHolders::Judge(Holders* holders) {
  of_owners_.clear();
  uint32_t last = UINT32_MAX;
  const std::span<const RequestRef> all = postings_.requests();
  for (uint32_t request : holders->requests) {
    if (all[request].owner == last) continue;
    last = all[request].owner;
    holders->owner_list.push_back(last);
    of_owners_.push_back(choices_[request]);
  }
  holders->is_public = public_rule_.IsPublic(of_owners_);
}

std::vector<const CoreHolders::Holders*> CoreHolders::WalkAll(const CoreSet& set) {
  walked_.clear();
  for (size_t core = 0; core < set.cores.size(); ++core) walked_.push_back(std::make_unique<Holders>());
  const std::span<const RequestRef> all = postings_.requests();
  std::vector<uint32_t> held;
  for (uint32_t i = 0; i < all.size(); ++i) {
    set.CoresOf(*all[i].request, &held);
    for (uint32_t core : held) walked_[core]->requests.push_back(i);
  }
  std::vector<const Holders*> result;
  for (const std::unique_ptr<Holders>& holders : walked_) {
    Judge(holders.get());
    result.push_back(holders.get());
  }
  return result;
}

}  // namespace stillwatch::pipeline
