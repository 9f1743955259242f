// The window's semantics once more, slowly: maps, full sequence numbers, links by text and band.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "gpu/backend.h"

namespace stillwatch::gpu {

class WindowOracle {
 public:
  WindowOracle(uint64_t texts, uint64_t buckets, uint32_t pairs_max, uint64_t epochs_kept)
      : texts_max_(texts),
        buckets_max_(buckets),
        pairs_max_(pairs_max),
        epochs_kept_(epochs_kept) {}

  void AdvanceEpoch() { ++epoch_; }

  std::vector<Candidate> ProbeAndInsert(std::span<const Sketch> sketches,
                                        std::span<const uint64_t> ids) {
    const uint64_t head = texts_.size();
    std::vector<Candidate> out;
    std::map<std::pair<uint32_t, uint32_t>, std::vector<uint64_t>>
        in_batch;  // (band, key) -> texts
    const std::map<uint64_t, Slots> before = Snapshot(sketches);
    for (size_t row = 0; row < sketches.size(); ++row) {
      const Sketch& sketch = sketches[row];
      if (sketch.tokens == 0) continue;
      const uint64_t text = texts_.size();
      texts_.push_back({sketch, ids[row], epoch_, {}});
      std::map<uint64_t, uint16_t> shared;  // candidate text -> bands
      for (uint32_t band = 0; band < kBands; ++band) {
        const uint32_t key = sketch.bands[band];
        std::vector<uint64_t>& earlier = in_batch[{band, key}];
        uint64_t popularity = earlier.size();
        std::optional<uint64_t> older;
        if (const Entry* entry = Find(before, band, key, head)) {
          popularity += Popularity(*entry);
          older = entry->newest;
        }
        if (!earlier.empty()) older = earlier.back();
        texts_[text].older[band] = older;
        earlier.push_back(text);
        if (popularity > pairs_max_) continue;
        for (uint32_t n = 0; n < pairs_max_ && older && (*older >= head || Live(*older, head));
             ++n) {
          ++shared[*older];
          older = texts_[*older].older[band];
        }
      }
      std::map<uint64_t, uint64_t> newest_of_id;
      for (const auto& [other, bands] : shared) newest_of_id[texts_[other].id] = other;
      for (const auto& [id, other] : newest_of_id) {
        out.push_back({static_cast<uint32_t>(row), id, shared[other], OphEqual(sketch, other),
                       Distance(sketch, other), 0});
      }
    }
    for (uint64_t text = head; text < texts_.size(); ++text) Insert(text, head);
    return out;
  }

  uint64_t evicted() const { return evicted_; }

 private:
  struct Text {
    Sketch sketch;
    uint64_t id;
    uint64_t epoch;
    std::array<std::optional<uint64_t>, kBands> older;
  };
  struct Entry {
    uint32_t band, key;
    uint64_t newest;
    std::map<uint64_t, uint64_t> by_epoch;
  };
  using Slots = std::array<std::optional<Entry>, 8>;

  uint64_t BucketOf(uint32_t band, uint32_t key) const {
    const unsigned __int128 wide = static_cast<unsigned __int128>(key) * 32 + band;
    return static_cast<uint64_t>(wide * buckets_max_ >> 37);
  }
  bool Live(uint64_t text, uint64_t head) const {
    return texts_[text].epoch + epochs_kept_ > epoch_ && text + texts_max_ >= head;
  }
  uint64_t Popularity(const Entry& entry) const {
    uint64_t sum = 0;
    for (const auto& [epoch, count] : entry.by_epoch) {
      if (epoch + 1 >= epoch_) sum += count;
    }
    return sum;
  }
  std::map<uint64_t, Slots> Snapshot(std::span<const Sketch> sketches) const {
    std::map<uint64_t, Slots> copy;
    for (const Sketch& sketch : sketches) {
      for (uint32_t band = 0; band < kBands; ++band) {
        const uint64_t bucket = BucketOf(band, sketch.bands[band]);
        const auto found = buckets_.find(bucket);
        if (found != buckets_.end()) copy.insert(*found);
      }
    }
    return copy;
  }
  const Entry* Find(const std::map<uint64_t, Slots>& buckets, uint32_t band, uint32_t key,
                    uint64_t head) const {
    const auto found = buckets.find(BucketOf(band, key));
    if (found == buckets.end()) return nullptr;
    for (const auto& slot : found->second) {
      if (slot && slot->band == band && slot->key == key &&
          (slot->newest >= head || Live(slot->newest, head))) {
        return &*slot;
      }
    }
    return nullptr;
  }
  void Insert(uint64_t text, uint64_t head) {
    for (uint32_t band = 0; band < kBands; ++band) {
      const uint32_t key = texts_[text].sketch.bands[band];
      Slots& slots = buckets_[BucketOf(band, key)];
      if (const Entry* found = Find(buckets_, band, key, head)) {
        Entry& entry = const_cast<Entry&>(*found);
        entry.newest = text;
        ++entry.by_epoch[epoch_];
        continue;
      }
      const auto live = [&](const std::optional<Entry>& slot) {
        return slot && (slot->newest >= head || Live(slot->newest, head));
      };
      auto victim = std::find_if_not(slots.begin(), slots.end(), live);
      if (victim == slots.end()) {
        victim = std::min_element(slots.begin(), slots.end(), [](const auto& a, const auto& b) {
          return a->newest < b->newest;
        });
        ++evicted_;
      }
      *victim = Entry{band, key, text, {{epoch_, 1}}};
    }
  }
  uint16_t OphEqual(const Sketch& probe, uint64_t other) const {
    uint16_t equal = 0;
    for (uint32_t i = 0; i < kOphBins / 2; ++i) {
      const uint8_t differ = probe.oph[i] ^ texts_[other].sketch.oph[i];
      equal += ((differ & 0x0f) == 0) + ((differ & 0xf0) == 0);
    }
    return equal;
  }
  uint16_t Distance(const Sketch& probe, uint64_t other) const {
    int distance = 0;
    for (uint32_t i = 0; i < kSimHashWords; ++i) {
      distance += std::popcount(probe.simhash[i] ^ texts_[other].sketch.simhash[i]);
    }
    return static_cast<uint16_t>(distance);
  }

  const uint64_t texts_max_, buckets_max_, pairs_max_, epochs_kept_;
  uint64_t epoch_ = 0;
  uint64_t evicted_ = 0;
  std::vector<Text> texts_;
  std::map<uint64_t, Slots> buckets_;
};

}  // namespace stillwatch::gpu
