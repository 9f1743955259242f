// Campaigns that partners told of, and which accounts here send what they name. A partner's word is no evidence: it makes a
// record at observe with a sentence that names the partner, and nothing else reads this book: not the layers, not the
// fit, not the judge. So a bundle that names an app's prompts, by mistake or on purpose, moves nobody.
//
// A request matches when it holds cores of the claim with kFragmentsToMatch fragments in all. Bounded: kImportsMax claims, kAccountsMax accounts
// of each; an exchange costs one look a token. Batch thread only. Plain data, part of the sealed books (pipeline/snapshot).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/counters.h"
#include "base/hash.h"
#include "base/result.h"
#include "dataplane/llm/exchange.h"
#include "pipeline/evidence/fragment_index.h"
#include "pipeline/profile/profile.h"
#include "pipeline/sharing/pattern.h"

namespace stillwatch::pipeline {

enum class ImportCounter {
  kTaken,             // claims of partners that were taken
  kRefused,           // claims refused: malformed, another key, expired, too many; the audit says why
  kExpired,           // claims forgotten because their time was over
  kHeld,              // claims held (gauge)
  kMatches,           // requests that hold what a claim names
  kAccountsLeftOut,   // accounts that match a claim and are not told of, since it has kAccountsMax
  kNoPartnerTokens,   // exchanges that were not hashed under the partners' keys: recorded without them
  kCount
};
inline constexpr CounterNames<ImportCounter> kImportCounterNames{"import.taken", "import.refused", "import.expired", "import.held",
                                                                 "import.matches", "import.accounts_left_out", "import.no_partner_tokens"};

// One whom campaigns are shared with: the name that this box knows them by, and which key both hold.
struct Partner {
  std::string name;
  uint64_t key_id = 0;
};

struct Claim {
  std::string campaign_id, state;  // at the partner's
  uint32_t accounts = 0, distillation_like = 0;  // there; in 1/65,536
  int64_t valid_until_s = 0;
  ClaimPattern pattern;
  std::string mac;               // the same one again says nothing new
};

struct ImportMatch {
  AccountId id;
  uint32_t first_s = 0, last_s = 0;
  uint32_t requests = 0;
  uint32_t cores = 0;  // bit set
};

struct Import {
  std::string id;       // of its record here, 32 hex digits
  std::string partner;
  Claim claim;
  std::vector<ImportMatch> matches;  // by id
  std::string superseded_by;         // a campaign found here that most of the matches are in
  std::string superseded_written;
  uint32_t matches_written = 0;
  bool rejected = false;             // by a person; kept until it expires, so that it does not come again
  bool everyones = false;            // a third of all accounts match: told as withdrawn
  bool written = false, changed = false;
};

class ImportBook {
 public:
  static constexpr size_t kImportsMax = 256;
  static constexpr size_t kAccountsMax = 1'000;  // one record's
  static constexpr uint32_t kFragmentsToMatch = 4;

  ImportBook(std::vector<Partner> partners, Salt salt);

  // Takes a claim, or takes the place of what the same partner said of the same campaign before.
  Result<const Import*> Take(const std::string& partner, Claim claim, int64_t now_s);
  void Refuse() { counters_.Add(ImportCounter::kRefused); }
  // The partner takes it back: its time is over. False: none such is held.
  bool Withdraw(std::string_view partner, std::string_view campaign_id);
  // A person says that it is none; false: no claim has this id.
  bool Reject(std::string_view id);

  // Which claims the instruction holds; `text` tokens under every partner's key come with the exchange.
  void Note(const dataplane::ExchangeView& exchange, uint32_t cut, const AccountId& account, uint32_t time_s);
  bool active() const { return !postings_.empty(); }  // Note would find something

  // Those whose time is over, taken out.
  std::vector<Import> TakeExpired(int64_t now_s);
  // Forgets the account; in how many claims it was.
  size_t Erase(const AccountId& id);
  // After the members were restored: claims of partners that are no more, or under another key, go.
  void Restored();

  const Import* Find(std::string_view id) const;
  std::vector<Import>& imports() { return imports_; }
  const std::vector<Import>& imports() const { return imports_; }
  // Index of a partner in exchanges; SIZE_MAX: unknown.
  size_t PartnerIndex(std::string_view name) const;
  const std::vector<Partner>& partners() const { return partners_; }
  CounterBlock<ImportCounter>& counters() { return counters_; }
  const CounterBlock<ImportCounter>& counters() const { return counters_; }
  template <typename S>
  void VisitState(S& state);  // pipeline/snapshot/pipeline_state.cc

 private:
  struct Posting {
    uint32_t import, core;
  };
  void Index();
  void AddMatch(Import* import, uint32_t cores, const AccountId& account, uint32_t time_s);

  const std::vector<Partner> partners_;
  const Salt salt_;
  std::vector<Import> imports_;  // in the order taken
  // From a fragment under a partner's key to the cores that have it.
  std::vector<FragmentIndex> index_;               // by partner
  std::vector<std::vector<uint32_t>> start_;       // by partner, by fragment: where its postings begin in postings_
  std::vector<Posting> postings_;
  std::vector<uint64_t> held_;                     // of one exchange; reused
  CounterBlock<ImportCounter> counters_{kImportCounterNames};
};

}  // namespace stillwatch::pipeline
