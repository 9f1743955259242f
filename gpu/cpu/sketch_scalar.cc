#include <cstring>

#include "gpu/cpu/sketch_row.h"
#include "gpu/sketch/oph.h"
#include "gpu/sketch/simhash.h"

namespace stillwatch::gpu {
namespace {

void AddSegment(const SketchTables& tables, const uint32_t* tokens, uint32_t begin, uint32_t end,
                uint32_t* bins) {
  const uint32_t shingles = ShinglesOf(end - begin);
  for (uint32_t i = 0; i < shingles; ++i) {
    const uint32_t hash = ShingleHash(tokens, begin + i, end, tables.seeds.shingle);
    uint32_t& bin = bins[BinOf(hash)];
    if (hash < bin) bin = hash;
  }
}

void Oph(const SketchTables& tables, const uint32_t* tokens, uint32_t count, uint32_t cut,
         Sketch* out) {
  uint32_t bins[kOphBins];
  std::memset(bins, 0xff, sizeof bins);
  const uint32_t first_end = SegmentsOf(count, cut).first_end;
  AddSegment(tables, tokens, 0, first_end, bins);
  AddSegment(tables, tokens, first_end, count, bins);

  uint32_t values[kOphBins];
  for (uint32_t i = 0; i < kOphBins; ++i) {
    values[i] = bins[i] != kEmptyBin ? bins[i] : bins[DonorOf(i, bins, tables.seeds.probe)];
  }
  for (uint32_t b = 0; b < kBands; ++b) out->bands[b] = BandKey(values, b, tables.seeds.band);
  for (uint32_t i = 0; i < kOphBins / 2; ++i) {
    out->oph[i] =
        static_cast<uint8_t>(BinNibble(values[2 * i]) | BinNibble(values[2 * i + 1]) << 4);
  }
}

void SimHash(const SketchTables& tables, const uint32_t* tokens, uint32_t count, Sketch* out) {
  uint32_t weight_set[kSimHashBits] = {};
  uint32_t weight_all = 0;
  for (uint32_t t = 0; t < count; ++t) {
    const uint32_t weight = 1u << WeightShiftOf(RarityClassOf(tables.rarity, tokens[t]));
    weight_all += weight;
    for (uint32_t j = 0; j < kSimHashWords32; ++j) {
      const uint32_t word = SimHashWord(tokens[t], tables.seeds.simhash[j]);
      for (uint32_t bit = 0; bit < 32; ++bit) {
        weight_set[32 * j + bit] += (word >> bit & 1) * weight;
      }
    }
  }
  for (uint32_t p = 0; p < kSimHashBits; ++p) {
    out->simhash[p / 64] |= static_cast<uint64_t>(SimHashBit(weight_set[p], weight_all)) << p % 64;
  }
}

void Embed(const SketchTables& tables, const uint32_t* tokens, uint32_t count, Sketch* out) {
  int32_t sums[kEmbeddingDims] = {};
  for (uint32_t t = 0; t < count; ++t) {
    const int32_t weight = 1 << WeightShiftOf(RarityClassOf(tables.rarity, tokens[t]));
    const int8_t* row = EmbeddingRow(tables.embedding, tokens[t]);
    for (uint32_t d = 0; d < kEmbeddingDims; ++d) sums[d] += weight * row[d];
  }
  uint64_t sum_of_squares = 0;
  for (int32_t sum : sums) {
    sum_of_squares += static_cast<uint64_t>(static_cast<int64_t>(sum) * sum);
  }
  const EmbeddingScale scale = EmbeddingScaleOf(sum_of_squares);
  for (uint32_t d = 0; d < kEmbeddingDims; ++d) out->embedding[d] = ScaleToInt8(sums[d], scale);
}

}  // namespace

void SketchRowScalar(const SketchTables& tables, const uint32_t* tokens, uint32_t count,
                     uint32_t cut, Sketch* out) {
  std::memset(static_cast<void*>(out), 0, sizeof *out);
  out->versions = tables.versions;
  out->tokens = count;
  if (count == 0) return;
  Oph(tables, tokens, count, cut, out);
  SimHash(tables, tokens, count, out);
  Embed(tables, tokens, count, out);
}

}  // namespace stillwatch::gpu
