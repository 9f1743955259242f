#include "pipeline/evidence/edge.h"

#include <algorithm>

#include "base/endian.h"

namespace stillwatch::pipeline {

std::vector<EdgeRecord> SortedEdges(std::span<const EdgeRecord> edges) {
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
  std::vector<EdgeRecord> sorted;
  sorted.reserve(edges.size());
  for (const Place& place : places) sorted.push_back(edges[place.index]);
  return sorted;
}

}  // namespace stillwatch::pipeline
