#include "gpu/cuda/device_window.h"

#include <algorithm>
#include <bit>
#include <string>

namespace stillwatch::gpu {
namespace {

// Texts of one collecting launch: their candidates, all that the rules allow, fit the buffer.
constexpr uint32_t kCollectTexts = 512;

// Whether the options are good is LshWindow's to say, in its words.
Status CheckOptions(const WindowOptions& options) {
  CounterBlock<GpuCounter> unused(kGpuCounterNames);
  WindowOptions least = options;
  if (options.bytes >= LshWindow::BytesMin()) least.bytes = LshWindow::BytesMin();
  const auto made = LshWindow::Make(least, &unused);
  return made.ok() ? Status() : made.error();
}

template <typename... T>
Status Launch(Device& device, const char* kernel, LaunchShape shape, const T&... values) {
  const void* const arguments[] = {&values...};
  return device.Launch(kernel, shape, arguments);
}

template <typename T>
T* Pointer(uint64_t address) {
  return reinterpret_cast<T*>(address);
}
uint64_t Address(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

}  // namespace

Result<std::unique_ptr<DeviceWindow>> DeviceWindow::Make(const WindowOptions& options,
                                                         Device* device,
                                                         CounterBlock<GpuCounter>* counters) {
  if (Status good = CheckOptions(options); !good.ok()) return Error{good.message()};
  std::unique_ptr<DeviceWindow> window(new DeviceWindow());
  window->options_ = options;
  window->device_ = device;
  window->counters_ = counters;
  window->shape_ = LshWindow::ShapeFor(options.bytes);
  if (Status taken = window->TakeMemory(); !taken.ok()) return Error{taken.message()};
  return window;
}

Status DeviceWindow::TakeMemory() {
  const uint64_t rows = options_.batch_rows_max;
  const uint64_t items = std::bit_ceil(rows * kBands);
  struct Part {
    uint64_t bytes;
    uint64_t address;
  };
  Part parts[] = {
      {shape_.buckets * sizeof(Bucket), 0},
      {shape_.texts * sizeof(WindowText), 0},
      {shape_.texts * sizeof(uint64_t), 0},
      {rows * sizeof(Sketch), 0},
      {rows * sizeof(uint64_t), 0},
      {rows * sizeof(uint32_t), 0},
      {items * sizeof(uint64_t), 0},
      {items * sizeof(uint64_t), 0},
      {rows * kBands * sizeof(uint32_t), 0},
      {rows * sizeof(uint32_t), 0},
      {3 * sizeof(uint32_t), 0},
      {uint64_t{kCollectTexts} * kBands * options_.bucket_pairs_max * sizeof(WindowFound), 0},
  };
  uint64_t window_bytes = 0, batch_bytes = 0;
  for (size_t i = 0; i < std::size(parts); ++i) {
    (i < 3 ? window_bytes : batch_bytes) += parts[i].bytes;
  }
  const uint64_t free_bytes = device_->FreeBytes();
  if (window_bytes + batch_bytes > free_bytes) {
    const uint64_t fits = free_bytes > batch_bytes ? free_bytes - batch_bytes : 0;
    return Error{"device memory: the window of " + std::to_string(options_.bytes) +
                 " bytes needs " + std::to_string(window_bytes + batch_bytes) + ", " +
                 device_->Name() + " has " + std::to_string(free_bytes) + " free; " +
                 (fits >= LshWindow::BytesMin()
                      ? "window_bytes of " + std::to_string(fits) + " or less would fit"
                      : "not even the smallest window fits")};
  }
  for (Part& part : parts) {
    Result<uint64_t> address = device_->Take(part.bytes, "window");
    if (!address.ok()) return Error{"device memory for the window: " + address.message()};
    part.address = address.value();
  }
  memory_.buckets = Pointer<Bucket>(parts[0].address);
  memory_.bucket_count = shape_.buckets;
  memory_.ring = Pointer<WindowText>(parts[1].address);
  memory_.ring_ids = Pointer<uint64_t>(parts[2].address);
  memory_.ring_texts = shape_.texts;
  memory_.sketches = Pointer<Sketch>(parts[3].address);
  memory_.row_ids = Pointer<uint64_t>(parts[4].address);
  memory_.row_of = Pointer<uint32_t>(parts[5].address);
  memory_.items = Pointer<uint64_t>(parts[6].address);
  memory_.inserts = Pointer<uint64_t>(parts[7].address);
  memory_.older = Pointer<uint32_t>(parts[8].address);
  memory_.popular = Pointer<uint32_t>(parts[9].address);
  memory_.counts = Pointer<uint32_t>(parts[10].address);
  memory_.pairs_max = options_.bucket_pairs_max;
  found_at_ = parts[11].address;
  return {};
}

Status DeviceWindow::LaunchFor(const char* kernel, const WindowBatch& batch, uint32_t threads) {
  const LaunchShape shape = {.blocks_x = (threads + kWindowThreads - 1) / kWindowThreads,
                             .threads = kWindowThreads};
  return Launch(*device_, kernel, shape, batch);
}

Status DeviceWindow::Sort(uint64_t keys, uint32_t count) {
  const uint32_t pairs = count / 2;
  const LaunchShape shape = {.blocks_x = (pairs + kWindowThreads - 1) / kWindowThreads,
                             .threads = kWindowThreads};
  for (uint32_t size = 2; size <= count; size *= 2) {
    for (uint32_t step = size / 2; step > 0; step /= 2) {
      if (Status s = Launch(*device_, "SortStep", shape, keys, pairs, size, step); !s.ok()) {
        return s;
      }
    }
  }
  return {};
}

// Fills found_ with all candidates of the batch, in no order.
Status DeviceWindow::Collect(const WindowBatch& batch) {
  found_.clear();
  uint32_t counts[3] = {};
  for (uint32_t first = 0; first < batch.texts; first += kCollectTexts) {
    const LaunchShape shape = {.blocks_x = std::min(kCollectTexts, batch.texts - first),
                               .threads = 32};
    counts[kWindowFound] = 0;
    Status s = device_->CopyIn(Address(batch.counts + kWindowFound), &counts[kWindowFound],
                               sizeof(uint32_t));
    if (s.ok()) s = Launch(*device_, "WindowCollect", shape, batch, first, found_at_);
    if (s.ok()) s = device_->CopyOut(counts, Address(batch.counts), sizeof counts);
    if (!s.ok()) return s;
    const size_t before = found_.size();
    found_.resize(before + counts[kWindowFound]);
    if (counts[kWindowFound] == 0) continue;
    s = device_->CopyOut(&found_[before], found_at_,
                         uint64_t{counts[kWindowFound]} * sizeof(WindowFound));
    if (!s.ok()) return s;
  }
  counters_->Add(GpuCounter::kWindowEvicted, counts[kWindowEvicted]);
  counters_->Add(GpuCounter::kWindowPopularBands, counts[kWindowPopular]);
  return {};
}

Status DeviceWindow::ProbeAndInsert(std::span<const Sketch> sketches, std::span<const uint64_t> ids,
                                    std::vector<Candidate>* candidates) {
  if (Status fits = CheckBatch(options_, sketches.size(), ids.size()); !fits.ok()) return fits;
  candidates->clear();
  row_of_.clear();
  for (uint32_t row = 0; row < sketches.size(); ++row) {
    if (sketches[row].tokens != 0) row_of_.push_back(row);
  }
  const uint32_t texts = static_cast<uint32_t>(row_of_.size());
  if (texts == 0) return {};
  WindowBatch batch = memory_;
  batch.ages = epochs_.AgesOf(texts, shape_.texts, options_.epochs_kept);
  batch.head = static_cast<uint32_t>(epochs_.head);
  batch.head_slot = head_slot_;
  batch.texts = texts;
  batch.padded = std::bit_ceil(texts * kBands);
  const uint32_t zero[3] = {};
  Status s = device_->CopyIn(Address(batch.sketches), sketches.data(), sketches.size_bytes());
  if (s.ok()) s = device_->CopyIn(Address(batch.row_ids), ids.data(), ids.size_bytes());
  if (s.ok()) {
    s = device_->CopyIn(Address(batch.row_of), row_of_.data(), texts * sizeof(uint32_t));
  }
  if (s.ok()) s = device_->CopyIn(Address(batch.counts), zero, sizeof zero);
  if (s.ok()) s = LaunchFor("WindowItems", batch, batch.padded);
  if (s.ok()) s = Sort(Address(batch.items), batch.padded);
  if (s.ok()) s = Sort(Address(batch.inserts), batch.padded);
  if (s.ok()) s = LaunchFor("WindowLink", batch, texts * kBands);
  if (s.ok()) s = LaunchFor("WindowInsert", batch, texts * kBands);
  if (s.ok()) s = Collect(batch);
  const LaunchShape store = {.blocks_x = texts, .threads = kStoreThreads};
  if (s.ok()) s = Launch(*device_, "WindowStore", store, batch);
  const LaunchShape sweep = {.blocks_x = (texts + kWindowThreads - 1) / kWindowThreads,
                             .threads = kWindowThreads};
  if (s.ok()) s = Launch(*device_, "WindowSweep", sweep, batch, sweep_);
  if (!s.ok()) return s;
  epochs_.head += texts;
  head_slot_ = (head_slot_ + texts) % shape_.texts;
  sweep_ = (sweep_ + texts) % shape_.buckets;

  std::sort(found_.begin(), found_.end(), [](const WindowFound& a, const WindowFound& b) {
    if (a.row != b.row) return a.row < b.row;
    return a.id != b.id ? a.id < b.id : a.age < b.age;
  });
  for (size_t i = 0; i < found_.size(); ++i) {
    const WindowFound& f = found_[i];
    if (i != 0 && f.row == found_[i - 1].row && f.id == found_[i - 1].id) continue;
    candidates->push_back({f.row, f.id, f.bands, f.oph_equal, f.simhash_distance, 0});
  }
  counters_->Add(GpuCounter::kWindowTexts, texts);
  counters_->Add(GpuCounter::kWindowCandidates, candidates->size());
  return {};
}

}  // namespace stillwatch::gpu
