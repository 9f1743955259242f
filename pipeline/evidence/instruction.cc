#include "pipeline/evidence/instruction.h"

#include <algorithm>
#include <bit>

#include "base/hash.h"

namespace stillwatch::pipeline {

namespace {

uint32_t ShingleHash(uint32_t first, uint32_t second) {
  return Mix32(Mix32(first + 0x9e3779b9u) ^ second);
}

// The shingles whose hash is at most `limit`, in text order.
void ShinglesUpTo(std::span<const uint32_t> tokens, uint32_t cut, uint32_t limit, std::vector<Fragment>* out) {
  out->resize(tokens.size());
  size_t count = 0;
  for (uint32_t i = 0; i + 1 < tokens.size(); ++i) {
    const uint32_t hash = ShingleHash(tokens[i], tokens[i + 1]);
    (*out)[count] = {hash, i};
    count += hash <= limit && (cut == 0 || i + 1 != cut);
  }
  out->resize(count);
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
