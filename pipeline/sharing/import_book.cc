#include "pipeline/sharing/import_book.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/mutant.h"
#include "base/time_format.h"
#include "pipeline/evidence/instruction.h"

namespace stillwatch::pipeline {

using dataplane::Part;

ImportBook::ImportBook(std::vector<Partner> partners, Salt salt)
    : partners_(std::move(partners)), salt_(DeriveSalt(salt, "import")), index_(partners_.size()), start_(partners_.size()) {}

size_t ImportBook::PartnerIndex(std::string_view name) const {
  for (size_t i = 0; i < partners_.size(); ++i) {
    if (partners_[i].name == name) return i;
  }
  return SIZE_MAX;
}

const Import* ImportBook::Find(std::string_view id) const {
  const auto at = std::find_if(imports_.begin(), imports_.end(), [&](const Import& i) { return i.id == id; });
  return at == imports_.end() ? nullptr : &*at;
}

Result<const Import*> ImportBook::Take(const std::string& partner, Claim claim, int64_t now_s) {
  const auto refuse = [&](std::string why) {
    Refuse();
    return Error{std::move(why)};
  };
  const size_t index = PartnerIndex(partner);
  if (index == SIZE_MAX) return refuse("no partner '" + partner + "' in sharing.partners");
  if (claim.pattern.key_id != partners_[index].key_id) {
    return refuse("the sketches are not under the key that sharing.partners has for '" + partner + "'; both sides need the same one");
  }
  if (claim.valid_until_s <= now_s) return refuse("valid until " + FormatTime(claim.valid_until_s * kNsPerSecond) + ", which is over");
  const std::string name = partner + "/" + claim.campaign_id;
  const std::string id = HexOf(KeyedHash64(name, salt_)) + HexOf(KeyedHash64(name + "/", salt_));
  auto at = std::find_if(imports_.begin(), imports_.end(), [&](const Import& i) { return i.id == id; });
  if (at != imports_.end() && at->rejected) return refuse("a person rejected this claim (" + id + ")");
  if (at != imports_.end() && !claim.mac.empty() && at->claim.mac == claim.mac) return &*at;
  if (at == imports_.end() && imports_.size() >= kImportsMax) return refuse(std::to_string(kImportsMax) + " claims are held already");
  if (at == imports_.end()) {
    at = imports_.insert(at, Import{});
    at->id = id, at->partner = partner;
  }
  at->claim = std::move(claim);
  for (ImportMatch& match : at->matches) match.cores = 0;  // of the pattern before
  at->changed |= at->written;
  counters_.Add(ImportCounter::kTaken);
  Index();
  return &*at;
}

bool ImportBook::Withdraw(std::string_view partner, std::string_view campaign_id) {
  const auto at = std::find_if(imports_.begin(), imports_.end(), [&](const Import& i) { return i.partner == partner && i.claim.campaign_id == campaign_id; });
  if (at == imports_.end()) return false;
  at->claim.valid_until_s = 0;
  return true;
}

bool ImportBook::Reject(std::string_view id) {
  const auto at = std::find_if(imports_.begin(), imports_.end(), [&](const Import& i) { return i.id == id; });
  if (at == imports_.end()) return false;
  at->rejected = at->changed = true;
  at->claim.pattern.cores.clear();
  Index();
  return true;
}

void ImportBook::Index() {
  counters_.Set(ImportCounter::kHeld, imports_.size());
  postings_.clear();
  for (size_t p = 0; p < partners_.size(); ++p) {
    std::vector<std::pair<uint32_t, Posting>> all;
    for (uint32_t i = 0; i < imports_.size(); ++i) {
      if (imports_[i].partner != partners_[p].name) continue;
      const auto& cores = imports_[i].claim.pattern.cores;
      for (uint32_t c = 0; c < cores.size(); ++c) {
        for (uint32_t fragment : cores[c].fragments) all.push_back({fragment, {i, c}});
      }
    }
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<uint32_t> fragments;
    start_[p].clear();
    for (const auto& [fragment, posting] : all) {
      if (fragments.empty() || fragments.back() != fragment) {
        fragments.push_back(fragment);
        start_[p].push_back(static_cast<uint32_t>(postings_.size()));
      }
      postings_.push_back(posting);
    }
    start_[p].push_back(static_cast<uint32_t>(postings_.size()));
    index_[p].Build(fragments);
  }
}

void ImportBook::Note(const dataplane::ExchangeView& exchange, uint32_t cut, const AccountId& account, uint32_t time_s) {
  if (exchange.header().partners != partners_.size()) return counters_.Add(ImportCounter::kNoPartnerTokens);
  held_.clear();  // import, core and place of a fragment, one word each
  for (uint32_t p = 0; p < partners_.size(); ++p) {
    if (start_[p].size() < 2) continue;
    const auto tokens = exchange.partner_tokens(p);
    for (uint32_t i = 0; i + 1 < tokens.size(); ++i) {
      const uint32_t at = index_[p].Find(ShingleHash(tokens[i], tokens[i + 1]));
      if (at == FragmentIndex::kNone || i + 1 == cut) continue;
      for (uint32_t k = start_[p][at]; k < start_[p][at + 1]; ++k) {
        held_.push_back(uint64_t{postings_[k].import} << 40 | uint64_t{postings_[k].core} << 32 | k);
      }
    }
  }
  if (held_.empty()) return;
  std::sort(held_.begin(), held_.end());
  held_.erase(std::unique(held_.begin(), held_.end()), held_.end());
  for (size_t i = 0; i < held_.size();) {
    const uint64_t import = held_[i] >> 40;
    uint32_t cores = 0, fragments = 0;
    while (i < held_.size() && held_[i] >> 40 == import) {
      const uint64_t core = held_[i] >> 32 & 0xff;
      size_t end = i;
      while (end < held_.size() && held_[end] >> 32 == (import << 8 | core)) ++end;
      if (end - i >= imports_[import].claim.pattern.cores[core].needed) {
        cores |= 1u << core;
        fragments += static_cast<uint32_t>(end - i);
      }
      i = end;
    }
    if (fragments >= kFragmentsToMatch) AddMatch(&imports_[import], cores, account, time_s);
  }
}

void ImportBook::AddMatch(Import* import, uint32_t cores, const AccountId& account, uint32_t time_s) {
  counters_.Add(ImportCounter::kMatches);
  auto& matches = import->matches;
  auto at = std::lower_bound(matches.begin(), matches.end(), account, [](const ImportMatch& m, const AccountId& id) { return m.id < id; });
  if (at == matches.end() || at->id != account) {
    if (matches.size() >= kAccountsMax) return counters_.Add(ImportCounter::kAccountsLeftOut);
    at = matches.insert(at, {account, time_s, time_s, 0, 0});
  }
  at->first_s = std::min(at->first_s, time_s);
  at->last_s = std::max(at->last_s, time_s);
  ++at->requests;
  at->cores |= cores;
  import->changed = true;
}

std::vector<Import> ImportBook::TakeExpired(int64_t now_s) {
  std::vector<Import> expired;
  std::erase_if(imports_, [&](Import& import) {
    if (import.claim.valid_until_s > now_s || MutantIs("import.never_expires")) return false;
    expired.push_back(std::move(import));
    return true;
  });
  if (expired.empty()) return expired;
  counters_.Add(ImportCounter::kExpired, expired.size());
  Index();
  return expired;
}

size_t ImportBook::Erase(const AccountId& id) {
  size_t held = 0;
  if (MutantIs("erase.imports_keep_it")) return held;
  for (Import& import : imports_) {
    if (std::erase_if(import.matches, [&](const ImportMatch& match) { return match.id == id; }) == 0) continue;
    ++held;
    import.changed |= import.written;
  }
  return held;
}

void ImportBook::Restored() {
  std::erase_if(imports_, [&](const Import& import) {
    const size_t partner = PartnerIndex(import.partner);
    return partner == SIZE_MAX || (!import.rejected && import.claim.pattern.key_id != partners_[partner].key_id);
  });
  Index();
}

}  // namespace stillwatch::pipeline
