#include "pipeline/evidence/edge.h"

#include <algorithm>
#include <utility>

#include "base/endian.h"

namespace stillwatch::pipeline {

std::vector<EdgeRecord> SortedEdges(std::vector<EdgeRecord> edges) {
  struct Place {
    uint64_t a, b;  // how the accounts begin
    uint32_t index;
  };
  std::vector<Place> places;
  places.reserve(edges.size());
  for (const EdgeRecord& edge : edges) {
    places.push_back({LoadBe64(edge.a.bytes), LoadBe64(edge.b.bytes), static_cast<uint32_t>(places.size())});
  }
  std::sort(places.begin(), places.end(), [&](const Place& x, const Place& y) {
    if (x.a != y.a) return x.a < y.a;
    if (x.b != y.b && edges[x.index].a == edges[y.index].a) return x.b < y.b;
    return edges[x.index].Key() < edges[y.index].Key();
  });
  // Around each cycle of the order, so that there is no second copy of all.
  for (uint32_t first = 0; first < edges.size(); ++first) {
    if (places[first].index == first) continue;
    const EdgeRecord held = edges[first];
    for (uint32_t to = first;;) {
      const uint32_t from = std::exchange(places[to].index, to);
      edges[to] = from == first ? held : edges[from];
      if (from == first) break;
      to = from;
    }
  }
  return edges;
}

}  // namespace stillwatch::pipeline
