#include "pipeline/evidence/instruction.h"

#include <algorithm>

#include "base/hash.h"

namespace stillwatch::pipeline {

namespace {

uint32_t ShingleHash(uint32_t first, uint32_t second) {
  return Mix32(Mix32(first + 0x9e3779b9u) ^ second);
}

}  // namespace

void FragmentsOf(std::span<const uint32_t> tokens, uint32_t cut, std::vector<Fragment>* out) {
  out->clear();
  for (uint32_t i = 0; i + 1 < tokens.size(); ++i) {
    if (cut != 0 && i + 1 == cut) continue;
    out->push_back({ShingleHash(tokens[i], tokens[i + 1]), i});
  }
  // Smallest hashes first, of equal ones the first in the text; then back to text order.
  std::sort(out->begin(), out->end(), [](const Fragment& a, const Fragment& b) {
    return a.hash != b.hash ? a.hash < b.hash : a.position < b.position;
  });
  out->erase(std::unique(out->begin(), out->end(),
                         [](const Fragment& a, const Fragment& b) { return a.hash == b.hash; }),
             out->end());
  if (out->size() > kFragmentsConsidered) out->resize(kFragmentsConsidered);
  std::sort(out->begin(), out->end(),
            [](const Fragment& a, const Fragment& b) { return a.position < b.position; });
}

}  // namespace stillwatch::pipeline
