// Layer 9. A two-sample test on what the accounts send beside the hits: is it told apart from what matched accounts send,
// and more alike from account to account than theirs? Maximum mean discrepancy (Gretton et al. 2012) with the kernel that
// counts equal features (length, answer's length, kind of request), each owner one histogram; how unusual it is, by
// relabelling owners a fixed 64 times. Neither model, parameters, words nor hours are looked at: other layers have them.
// Integers only. It tells crowds apart, whatever makes them differ (a language does too): so it stays a hint.
#include <algorithm>
#include <array>
#include <bit>

#include "base/hash.h"
#include "pipeline/campaign/group_layers.h"

namespace stillwatch::pipeline {

namespace {

constexpr size_t kLengths = 12;  // powers of two
constexpr size_t kKinds = 8;
constexpr size_t kBins = 2 * kLengths + kKinds;
constexpr uint32_t kRequestsMin = 3;  // residual requests of an owner, before it counts
constexpr size_t kOwnersMin = 8;
constexpr size_t kOwnersMax = 4'000;
constexpr uint32_t kRelabellings = 64;
constexpr int64_t kOne = 1'024;

using Histogram = std::array<int32_t, kBins>;  // each feature adds up to kOne

size_t LengthBin(uint32_t tokens) { return std::min<size_t>(std::bit_width(tokens), kLengths - 1); }

// False: too few requests to say.
bool Residual(std::span<const RequestRef> requests, std::vector<const RememberedRequest*> hits, Histogram* out) {
  std::sort(hits.begin(), hits.end());
  std::array<uint32_t, kBins> counts{};
  uint32_t n = 0;
  for (const RequestRef& ref : requests) {
    if (std::binary_search(hits.begin(), hits.end(), ref.request)) continue;
    const RememberedRequest& r = *ref.request;
    ++n;
    ++counts[LengthBin(r.tokens)];
    ++counts[kLengths + LengthBin(r.tokens_out)];
    ++counts[2 * kLengths + (r.flags & kConversation ? 1 : 0) + (r.flags & kToolsOffered ? 2 : 0) + (r.flags & kAnswered ? 4 : 0)];
  }
  if (n < kRequestsMin) return false;
  for (size_t b = 0; b < kBins; ++b) (*out)[b] = static_cast<int32_t>(counts[b] * kOne / n);
  return true;
}

// Mean kernel of different owners within the one sample, within the other, and across; in kOne * kOne.
struct Means {
  int64_t within_a, within_b, across;
  int64_t Discrepancy() const { return within_a + within_b - 2 * across; }
};

// `in_a` says which of the owners are of the first sample.
Means MeansOf(const std::vector<Histogram>& owners, const std::vector<int64_t>& squares, const std::vector<bool>& in_a) {
  std::array<int64_t, kBins> a{}, b{};
  int64_t squares_a = 0, squares_b = 0, n_a = 0, n_b = 0;
  for (size_t i = 0; i < owners.size(); ++i) {
    auto& sum = in_a[i] ? a : b;
    for (size_t k = 0; k < kBins; ++k) sum[k] += owners[i][k];
    (in_a[i] ? squares_a : squares_b) += squares[i];
    ++(in_a[i] ? n_a : n_b);
  }
  int64_t aa = 0, bb = 0, ab = 0;
  for (size_t k = 0; k < kBins; ++k) aa += a[k] * a[k], bb += b[k] * b[k], ab += a[k] * b[k];
  return {(aa - squares_a) / (n_a * (n_a - 1)), (bb - squares_b) / (n_b * (n_b - 1)), ab / (n_a * n_b)};
}

enum Count : size_t { kOwners, kOthers, kAlikePermille, kCohortPermille };

}  // namespace

Finding MeasureResidual(const GroupView& view, const Tunables& tunables) {
  std::vector<Histogram> owners;
  Histogram histogram;
  for (const OwnerView& owner : view.members) {
    if (owners.size() < kOwnersMax && Residual(owner.requests, owner.hits, &histogram)) owners.push_back(histogram);
  }
  const size_t mine = owners.size();
  for (const std::vector<uint32_t>& draw : view.draws) {
    for (uint32_t i : draw) {
      if (owners.size() < 2 * kOwnersMax && Residual(view.everyone->owners[i].requests, {}, &histogram)) owners.push_back(histogram);
    }
  }
  Finding finding;
  finding.counts[kOwners] = mine;
  finding.counts[kOthers] = owners.size() - mine;
  if (mine < kOwnersMin || owners.size() - mine < kOwnersMin) return finding;
  finding.known = true;
  std::vector<int64_t> squares;
  for (const Histogram& h : owners) {
    int64_t sum = 0;
    for (int32_t x : h) sum += int64_t{x} * x;
    squares.push_back(sum);
  }
  std::vector<bool> in_a(owners.size(), false);
  std::fill(in_a.begin(), in_a.begin() + static_cast<ptrdiff_t>(mine), true);
  const Means means = MeansOf(owners, squares, in_a);
  constexpr int64_t kAllEqual = 3 * kOne * kOne;
  finding.counts[kAlikePermille] = static_cast<uint64_t>(std::max<int64_t>(means.within_a, 0) * 1'000 / kAllEqual);
  finding.counts[kCohortPermille] = static_cast<uint64_t>(std::max<int64_t>(means.within_b, 0) * 1'000 / kAllEqual);
  if (means.within_a <= means.within_b) return finding;
  // How far off it is, in standard deviations of relabelled samples: z^2 / 2 nats.
  int64_t sum = 0, sum_squares = 0;
  std::vector<uint32_t> order(owners.size());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  for (uint32_t round = 0; round < kRelabellings; ++round) {
    for (size_t i = 0; i < mine; ++i) {
      std::swap(order[i], order[i + Mix64((uint64_t{round} << 32) + i + 1) % (order.size() - i)]);
    }
    std::fill(in_a.begin(), in_a.end(), false);
    for (size_t i = 0; i < mine; ++i) in_a[order[i]] = true;
    const int64_t x = MeansOf(owners, squares, in_a).Discrepancy();
    sum += x, sum_squares += x * x;
  }
  const int64_t mean = sum / kRelabellings;
  const int64_t variance = std::max<int64_t>(sum_squares / kRelabellings - mean * mean, 1);
  const int64_t above = means.Discrepancy() - mean;
  if (above > 0) finding.nats = static_cast<int32_t>(std::min<int64_t>(above * above / variance * 128, tunables.hint_nats_max));
  return finding;
}

std::string ResidualSentence(const Finding& finding) {
  const auto& c = finding.counts;
  if (!finding.known) {
    return "too few other requests to compare: of " + std::to_string(c[kOwners]) + " accounts, and of " +
           std::to_string(c[kOthers]) + " matched ones";
  }
  return "what the accounts send beside is alike in " + std::to_string(c[kAlikePermille]) + " of 1000 comparisons of two accounts, of " +
         std::to_string(c[kOthers]) + " matched accounts in " + std::to_string(c[kCohortPermille]);
}

}  // namespace stillwatch::pipeline
