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

// How often owners outside who name a client family have each transport. `self`: 1 where the owner itself is one of them.
bool Known(const ChoicesOutside& transports, const std::pair<uint32_t, uint32_t>& transport, uint32_t self) {
  const uint32_t of = transports.OfGiven(transport.first);
  return transport.second != 0 && of != 0 && of - self >= kClaimOwnersMin;
}
bool Contradicts(const ChoicesOutside& transports, const std::pair<uint32_t, uint32_t>& transport, uint32_t self) {
  const uint32_t same = transports.Of(transport), alike = same == 0 ? 0 : same - self;
  return alike * kUsualOneIn < transports.OfGiven(transport.first) - self;
}

enum Count : size_t { kWhich, kNats, kOwners, kSeen, kClaims, kContradicting };
enum Which : uint64_t { kParameters, kClient, kTransport, kClaim };

}  // namespace

Finding MeasureStack(const GroupView& view, const Tunables& tunables) {
  const Everyone& everyone = *view.everyone;
  ChoicesOutside tuples_out{everyone.parameters}, clients_out{everyone.clients}, transports_out{everyone.transports};
  for (uint32_t place : view.inside) {
    const StackChoice& choice = everyone.owners[place].stack;
    tuples_out.left_out.Add(choice.parameters);
    clients_out.left_out.Add({0, choice.client});
    if (choice.transport.second != 0) transports_out.left_out.Add(choice.transport);
  }
  uint64_t known_out = 0, contradicting_out = 0;
  for (const auto& [transport, owners] : everyone.transports.counts) {
    const uint32_t outside = transports_out.Of(transport);
    if (outside == 0 || !Known(transports_out, transport, 1)) continue;
    known_out += outside;
    if (Contradicts(transports_out, transport, 1)) contradicting_out += outside;
  }
  ChoiceCounts tuples_in, clients_in, transports_in;
  Finding finding;
  finding.counts[kOwners] = view.members.size();
  for (const std::vector<OwnerView>* some : {&view.members, &view.borrowers}) {
    for (const OwnerView& owner : *some) {
      const StackChoice choice = StackChoiceOf(owner.hits);
      ++tuples_in[choice.parameters];
      ++clients_in[{0, choice.client}];
      if (choice.transport.second != 0) ++transports_in[choice.transport];
      if (some != &view.members) continue;
      finding.counts[kSeen] += choice.transport.second != 0;
      if (!Known(transports_out, choice.transport, 0)) continue;
      ++finding.counts[kClaims];
      finding.counts[kContradicting] += Contradicts(transports_out, choice.transport, 0);
    }
  }
  const uint64_t expected_q8 = finding.counts[kClaims] * (contradicting_out + 1) * 256 / (known_out + 1);
  const int32_t nats[] = {ConcentrationNats(tuples_in, tuples_out), ConcentrationNats(clients_in, clients_out),
                          ConcentrationNats(transports_in, transports_out),
                          ExcessNats(finding.counts[kContradicting], expected_q8)};
  const auto most = std::max_element(std::begin(nats), std::end(nats));
  finding.known = view.outside() != 0;
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
