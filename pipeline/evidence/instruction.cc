#include "pipeline/evidence/instruction.h"

#include <algorithm>
#include <bit>

namespace stillwatch::pipeline {

namespace {

// The shingles whose hash is at most `limit`, in text order. Eight hashes at a time, which the compiler turns
// into vectors; what is let through is counted, not branched on.
void ShinglesUpTo(std::span<const uint32_t> tokens, uint32_t cut, uint32_t limit, std::vector<Fragment>* out) {
  constexpr uint32_t kStep = 8;
  const uint32_t shingles = static_cast<uint32_t>(tokens.size() - 1);
  out->resize(shingles);
  Fragment* to = out->data();
  uint32_t i = 0;
  for (; i + kStep <= shingles; i += kStep) {
    uint32_t hashes[kStep];
    for (uint32_t k = 0; k < kStep; ++k) hashes[k] = ShingleHash(tokens[i + k], tokens[i + k + 1]);
    for (uint32_t k = 0; k < kStep; ++k) {
      *to = {hashes[k], i + k};
      to += hashes[k] <= limit;
    }
  }
  for (; i < shingles; ++i) {
    *to = {ShingleHash(tokens[i], tokens[i + 1]), i};
    to += to->hash <= limit;
  }
  out->resize(static_cast<size_t>(to - out->data()));
  if (cut != 0) std::erase_if(*out, [&](const Fragment& fragment) { return fragment.position + 1 == cut; });
}

// Of equal hashes the first in the text stays.
void KeepFirsts(std::vector<Fragment>* fragments) {
  std::vector<uint32_t> seen(std::bit_ceil(fragments->size() * 2 + 1), 0);  // index + 1 of those kept
  size_t kept = 0;
  for (const Fragment fragment : *fragments) {
    size_t at = fragment.hash & (seen.size() - 1);
    while (seen[at] != 0 && (*fragments)[seen[at] - 1].hash != fragment.hash) at = (at + 1) & (seen.size() - 1);
    if (seen[at] != 0) continue;
    (*fragments)[kept] = fragment;
    seen[at] = static_cast<uint32_t>(++kept);
  }
  fragments->resize(kept);
}

}  // namespace

void FragmentsOf(std::span<const uint32_t> tokens, uint32_t cut, std::vector<Fragment>* out) {
  out->clear();
  if (tokens.size() < 2) return;
  // Hashes are even, so a limit lets about half as many again through as are wanted; seldom too few.
  constexpr uint64_t kAimed = kFragmentsConsidered * 3 / 2;
  uint64_t limit = std::min<uint64_t>((kAimed << 32) / tokens.size(), UINT32_MAX);
  for (;; limit = std::min<uint64_t>(limit * 4, UINT32_MAX)) {
    ShinglesUpTo(tokens, cut, static_cast<uint32_t>(limit), out);
    KeepFirsts(out);
    if (out->size() >= kFragmentsConsidered || limit == UINT32_MAX) break;
  }
  if (out->size() <= kFragmentsConsidered) return;
  std::vector<uint32_t> hashes;
  hashes.reserve(out->size());
  for (const Fragment& fragment : *out) hashes.push_back(fragment.hash);
  const auto greatest = hashes.begin() + kFragmentsConsidered - 1;
  std::nth_element(hashes.begin(), greatest, hashes.end());
  std::erase_if(*out, [&](const Fragment& fragment) { return fragment.hash > *greatest; });
}

}  // namespace stillwatch::pipeline
