// Layer 7. Parameters, client family and transport over the requests that are hits, one choice an owner, against
// everybody outside; and clients whose TLS hello or HTTP/2 preface is not the one that their User-Agent has elsewhere.
// Those who share the prompts but not the parameters count inside, or the comparison would find what was selected.
#include <algorithm>
#include <map>

#include "base/mutant.h"
#include "pipeline/campaign/group_layers.h"
#include "pipeline/evidence/concentration.h"
#include "pipeline/evidence/fixed_point.h"

namespace stillwatch::pipeline {

namespace {

constexpr uint32_t kClaimOwnersMin = 20;  // of a client family, before its transport is known
constexpr uint32_t kUsualOneIn = 20;      // what fewer of a family's owners have is not its own

// What an owner chose in most of some requests.
struct Choice {
  std::pair<uint32_t, uint32_t> parameters, transport;  // given the model; given the client family
  uint32_t client = 0;
};

// The value that most of the requests have; ties by the smaller.
template <typename Value>
auto MajorityOf(std::span<const RememberedRequest* const> requests, Value value) {
  std::map<decltype(value(*requests.front())), uint32_t> counts;
  for (const RememberedRequest* r : requests) ++counts[value(*r)];
  return std::max_element(counts.begin(), counts.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })->first;
}

Choice OwnerChoice(std::span<const RememberedRequest* const> requests) {
  Choice choice;
  choice.parameters = MajorityOf(requests, [](const auto& r) { return std::pair<uint32_t, uint32_t>(r.model, r.parameters); });
  choice.client = MajorityOf(requests, [](const auto& r) { return r.client; });
  choice.transport = MajorityOf(requests, [](const auto& r) { return std::pair<uint32_t, uint32_t>(r.client, r.transport); });
  return choice;
}

// How often owners outside who name a client family have each transport.
struct Claims {
  std::map<uint32_t, std::map<uint32_t, uint32_t>> owners;  // family, transport
  std::map<uint32_t, uint32_t> of;                          // family

  void Note(const Choice& choice) {
    if (choice.transport.second == 0) return;
    ++owners[choice.transport.first][choice.transport.second];
    ++of[choice.transport.first];
  }
  // `self`: 1 where the owner itself was noted.
  bool Known(const Choice& choice, uint32_t self) const {
    const auto at = of.find(choice.transport.first);
    return choice.transport.second != 0 && at != of.end() && at->second - self >= kClaimOwnersMin;
  }
  bool Contradicts(const Choice& choice, uint32_t self) const {
    const auto& family = owners.at(choice.transport.first);
    const auto at = family.find(choice.transport.second);
    const uint32_t alike = at == family.end() ? 0 : at->second - self;
    return alike * kUsualOneIn < of.at(choice.transport.first) - self;
  }
};

enum Count : size_t { kWhich, kNats, kOwners, kSeen, kClaims, kContradicting };
enum Which : uint64_t { kParameters, kClient, kTransport, kClaim };

}  // namespace

Finding MeasureStack(const GroupView& view, const Tunables& tunables) {
  ChoiceCounts tuples_in, tuples_out, clients_in, clients_out, transports_in, transports_out;
  Claims claims;
  std::vector<Choice> outside;
  std::vector<const RememberedRequest*> all;
  for (const OwnerView& owner : view.outside) {
    all.clear();
    for (const RequestRef& ref : owner.requests) all.push_back(ref.request);
    const Choice choice = OwnerChoice(all);
    ++tuples_out[choice.parameters];
    ++clients_out[{0, choice.client}];
    if (choice.transport.second != 0) ++transports_out[choice.transport];
    claims.Note(choice);
    outside.push_back(choice);
  }
  uint64_t known_out = 0, contradicting_out = 0;
  for (const Choice& choice : outside) {
    if (!claims.Known(choice, 1)) continue;
    ++known_out;
    contradicting_out += claims.Contradicts(choice, 1);
  }
  Finding finding;
  finding.counts[kOwners] = view.members.size();
  for (const std::vector<OwnerView>* some : {&view.members, &view.borrowers}) {
    for (const OwnerView& owner : *some) {
      const Choice choice = OwnerChoice(owner.hits);
      ++tuples_in[choice.parameters];
      ++clients_in[{0, choice.client}];
      if (choice.transport.second != 0) ++transports_in[choice.transport];
      if (some != &view.members) continue;
      finding.counts[kSeen] += choice.transport.second != 0;
      if (!claims.Known(choice, 0)) continue;
      ++finding.counts[kClaims];
      finding.counts[kContradicting] += claims.Contradicts(choice, 0);
    }
  }
  const uint64_t expected_q8 = finding.counts[kClaims] * (contradicting_out + 1) * 256 / (known_out + 1);
  const int32_t nats[] = {ConcentrationNats(tuples_in, tuples_out), ConcentrationNats(clients_in, clients_out),
                          ConcentrationNats(transports_in, transports_out),
                          ExcessNats(finding.counts[kContradicting], expected_q8)};
  const auto most = std::max_element(std::begin(nats), std::end(nats));
  finding.known = !view.outside.empty();
  finding.nats = std::min(*most, tunables.stack_nats_max);
  finding.counts[kWhich] = static_cast<uint64_t>(most - nats);
  finding.counts[kNats] = static_cast<uint64_t>(finding.nats) * 10 / 256;
  return finding;
}

std::string StackSentence(const Finding& finding) {
  static constexpr const char* kWhat[] = {"model parameters", "client families", "TLS and HTTP/2 fingerprints",
                                          "false client names"};
  const auto& c = finding.counts;
  std::string text = std::string("the accounts' ") + kWhat[c[kWhich]] + " are " + TenthsText(c[kNats]) +
                     " nats more alike than those of other accounts that use the same models and clients";
  if (c[kWhich] == kClaim) text = "the accounts name clients that they are not: " + TenthsText(c[kNats]) + " nats";
  if (c[kSeen] == 0) return text + "; no TLS hello or HTTP/2 preface of theirs was seen";
  return text + "; " + std::to_string(c[kContradicting]) + " of " + std::to_string(c[kClaims]) +
         " have a TLS hello or HTTP/2 preface that the client they name has not elsewhere";
}

}  // namespace stillwatch::pipeline
