// What is remembered of one account: at most 4 KiB, no text. Counters over its life, and up to 29
// requests with the fragments of their instructions, so that evidence can be counted request by request
// (an average over an account hides a few harvesting requests in much cover). Plain data: a snapshot is
// its bytes. Fragments are salted hashes that a holder of the salt could look up: memory only.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "base/hash.h"
#include "pipeline/profile/active_hours.h"
#include "pipeline/profile/cluster_counts.h"

namespace stillwatch::pipeline {

inline constexpr uint32_t kRequestFragments = 24;
inline constexpr uint32_t kRequestsRemembered = 29;
inline constexpr uint32_t kTiedRemembered = 17;  // of them; the rest stays for whatever came last

enum RequestFlags : uint8_t {
  kConversation = 1u << 0,  // earlier turns came with it
  kLinked = 1u << 1,        // a campaign's hit at the last evaluation: kept before others
  kToolsOffered = 1u << 2,
  kAnswered = 1u << 3,      // a 2xx response was seen
  kLimited = 1u << 4,       // answered with 429
  kProbe = 1u << 5,         // one token's log probabilities under biases: evidence/exact_rules_layer.h
  kTied = 1u << 6,          // holds a core that ties accounts (tied_cores.h): kept before others, within kTiedRemembered
};

struct RememberedRequest {
  uint32_t fragments[kRequestFragments];  // two-token shingles, in text order
  uint64_t request_id_hash;               // resolvable in the provider's log only
  uint32_t time_s;                        // traffic time, seconds since 1970
  uint32_t text_hash;                     // of the whole instruction, exact
  uint16_t model;                         // hash of its name
  uint16_t parameters;                    // hash of temperature, top_p, max tokens, n, formats
  uint16_t client;                        // hash of the client family that its User-Agent names
  uint16_t transport;                     // hash of JA4 and HTTP/2 fingerprint; 0: unseen
  uint16_t tokens;                        // of the instruction; saturates
  uint8_t fragments_count;
  uint8_t elicitation;                    // 1/16 nat, saturates
  uint8_t flags;                          // RequestFlags
  uint8_t language;                       // a number of evidence/language.h; 0: unknown
  uint16_t tokens_out;                    // of the answer; saturates

  std::span<const uint32_t> shingles() const { return {fragments, fragments_count}; }
};
static_assert(sizeof(RememberedRequest) == 128);

struct AccountId {
  uint8_t bytes[16] = {};
  bool operator==(const AccountId&) const = default;
  auto operator<=>(const AccountId&) const = default;
};

// What happened in the last 24 hours, to within three: eight buckets of traffic time.
struct LastDay {
  static constexpr uint32_t kBuckets = 8;
  static constexpr int64_t kBucketS = 3 * 3'600;
  uint32_t newest;  // bucket number since 1970 of the newest one; 0: none yet
  uint32_t exchanges[kBuckets];
  uint32_t tokens_out[kBuckets];

  void Note(int64_t time_s, uint32_t tokens);
  uint64_t Exchanges(int64_t now_s) const { return Sum(exchanges, now_s); }
  uint64_t TokensOut(int64_t now_s) const { return Sum(tokens_out, now_s); }

 private:
  uint64_t Sum(const uint32_t* buckets, int64_t now_s) const;
};

// Distinct sets of biased token ids that an account has probed with: a bitmap by hash, so it can only count too few.
struct ProbedSets {
  uint32_t bits[2];

  void Note(uint64_t set_hash) {
    const uint64_t bit = Mix64(set_hash) & 63;
    bits[bit / 32] |= 1u << bit % 32;
  }
  uint32_t Distinct() const { return static_cast<uint32_t>(std::popcount(bits[0]) + std::popcount(bits[1])); }
};

// The owner of a key of which nothing more is known.
inline uint64_t OwnOwner(const AccountId& id) {
  uint64_t account;
  std::memcpy(&account, id.bytes, sizeof account);
  return account;
}

inline void CountUp(uint32_t* count, bool up = true) { *count += up && *count != UINT32_MAX; }

struct Profile {
  AccountId id;
  uint64_t owner;           // organisation if known, else OwnOwner(id)
  uint64_t tokens_in, tokens_out;
  uint32_t exchanges, refusals, rate_limited;  // saturate
  uint32_t exchanges_at_publish;  // when the account-profile record was last written
  uint32_t evicted;         // requests pushed out; saturates
  uint32_t passed_over;     // ... of them, while an older one was kept; saturates
  int64_t first_ns, last_ns;
  uint32_t created_s;       // from the directory; 0: unknown
  uint16_t cores;           // distinct cores held at the last evaluation; saturates
  uint8_t dialects;         // bit set
  uint8_t requests_count;
  LastDay day;
  ActiveHours hours;
  HomeNetworks home;
  ProbedSets probed;
  ClusterCounts clusters;
  RememberedRequest requests[kRequestsRemembered];

  // 0: unknown, each key is an owner of its own.
  uint64_t organisation() const { return owner == OwnOwner(id) ? 0 : owner; }
  std::span<const RememberedRequest> remembered() const { return {requests, requests_count}; }
  std::span<RememberedRequest> remembered() { return {requests, requests_count}; }
  // Requests among which the remembered ones are all that matter: what was seen since the oldest of them, or more.
  uint64_t requests_seen() const { return uint64_t{requests_count} + passed_over; }
};
static_assert(sizeof(Profile) <= 4096, "an account costs at most 4 KiB");
static_assert(std::is_trivially_copyable_v<Profile>);

// Keeps `request` in the profile. When full the oldest goes, but not a tied one while these fill no more than
// kTiedRemembered places, and a linked one last of all. True when one was pushed out.
bool Remember(Profile* profile, const RememberedRequest& request);

// Forgets requests before `time_s`, and the hours and networks of an account that was not active since.
void ExpireBefore(Profile* profile, uint32_t time_s);

}  // namespace stillwatch::pipeline
