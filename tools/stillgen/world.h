// The simulated population: accounts, campaigns, and the actors that ask questions on their behalf.
// A World is built once from a seed and then driven by capture or play, one thread. Same seed, options
// and mix: same questions at the same times.
//
// Traffic time in here is nanoseconds since the start of the run.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "tools/stillgen/client_stack.h"
#include "tools/stillgen/corpus.h"
#include "tools/stillgen/model_request.h"
#include "tools/stillgen/prose.h"
#include "tools/stillgen/rng.h"

namespace stillwatch::stillgen {

inline constexpr int64_t kNever = INT64_MAX;

struct Address {
  bool v6 = false;
  uint8_t bytes[16] = {};
};

struct Account {
  uint32_t index = 0;
  std::string kind;      // benign kind or campaign type
  uint32_t owner = 0;    // who pays: accounts of one owner are related
  bool allowed = false;  // the owner is an authorised distiller
  int age_days = 0;      // at the start of the run
  int campaign = -1;     // index into World::campaigns
  ClientIdentity client;
  std::vector<Address> addresses;  // a connection takes one of them
  double rtt_ms = 30;
  bool stream = false;
  // Truth, counted by the driver.
  uint64_t requests = 0, harvest = 0, rate_limited = 0;
  int64_t first_ns = -1, last_ns = -1;
  // How many exchanges in a row were not, were, were not ... harvest, in the order asked.
  std::vector<uint32_t> harvest_runs;
};

struct Campaign {
  int index = 0;
  std::string name;  // "t1-1"
  std::string type;  // "t1"
  std::vector<uint32_t> accounts;
};

// One serial caller: a person, one lane of a back end, one job. The driver asks NextAt, at that time
// calls Ask, sends the prompt (again after a 429), and gives the answer to Hear. Ask may move the actor to
// another account.
class Actor {
 public:
  explicit Actor(Account* account) : account_(account) {}
  virtual ~Actor() = default;

  virtual int64_t NextAt() const = 0;              // kNever: over
  virtual const Prompt& Ask(int64_t now_ns) = 0;   // valid until the next Ask
  virtual void Hear(const Answer& answer, int64_t now_ns) = 0;
  virtual bool harvest() const { return false; }   // the prompt last asked belongs to a campaign

  Account* account() const { return account_; }
  void MoveTo(Account* account) { account_ = account; }

  // After a 429: where and when the same question is asked again. Client libraries wait and stay.
  struct Retry {
    Account* account;
    int64_t wait_ns;
  };
  virtual Retry AfterRateLimit(const Answer& answer) { return {account_, answer.retry_after_s * kNsPerSecond}; }

 private:
  Account* account_;
};

// What every account of a campaign draws for itself, as unrelated people would.
enum Disguise : unsigned { kHideParameters = 1, kHideTiming = 2, kHideStack = 4, kHideAge = 8, kHideAddress = 16 };

struct WorldOptions {
  uint64_t seed = 1;
  Split split = Split::kTrain;
  int64_t duration_ns = kNsPerHour;
  int64_t start_unix_ns = 1'767'600'000 * kNsPerSecond;  // 2026-01-05T08:00:00Z, a Monday
  double scale = 1.0;       // multiplies how much each account asks
  double stream_share = -1; // share of accounts that stream; negative: by kind
  double cover = -1;        // benign for each harvesting request; negative: by campaign type
  double harvest_a_day = -1;  // harvesting requests an account a day, about; negative: by campaign type and seed
  unsigned disguise = 0;    // bit set of Disguise: what campaign accounts do not share, whatever the seed says
};

struct World {
  explicit World(const WorldOptions& o)
      : options(o), rng(o.seed), grammar(o.split), prose(rng.Fork("prose"), &grammar), corpus(o.split, grammar, prose) {}
  World(const World&) = delete;  // parts point at each other

  // What an account is like: people use SDKs and tools, servers use server stacks.
  enum class Site { kPerson, kServer };
  Account* NewAccount(std::string_view kind, Site site, Rng& from);
  Campaign* NewCampaign(std::string_view type);
  void Join(Campaign* campaign, Account* account);
  // Makes `account` belong to the owner of `first`, with its organisation header.
  static void SameOwner(const Account& first, Account* account);

  std::string PickModel(Rng& from) const;
  double hours() const { return static_cast<double>(options.duration_ns) / static_cast<double>(kNsPerHour); }

  WorldOptions options;
  Rng rng;
  Grammar grammar;
  Prose prose;
  Corpus corpus;
  std::vector<std::unique_ptr<Account>> accounts;
  std::vector<std::unique_ptr<Campaign>> campaigns;
  std::vector<std::unique_ptr<Actor>> actors;
};

// Out of ranges that are never anyone's.
Address NewAddress(Rng& rng);

// Gives the account another stack and dialect (campaigns and classes share one).
void SetStack(Account* account, const ClientStack& stack, Api api, Rng& rng);

// `count` start times in [from, to), sorted. `diurnal`: people's days, with a shift for the time zone.
std::vector<int64_t> StartTimes(Rng& rng, int64_t count, int64_t from, int64_t to, bool diurnal);

}  // namespace stillwatch::stillgen
