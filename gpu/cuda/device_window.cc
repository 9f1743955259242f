#include "gpu/cuda/device_window.h"

#include <algorithm>
#include <array>
#include <bit>
#include <string>
#include <utility>

#include "base/check.h"

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
  if (const uint64_t texts = LshWindow::ShapeFor(options.bytes).texts;
      options.batch_rows_max > texts) {
    return Error{"a window of " + std::to_string(texts) + " texts on a device takes no batches of " +
                 std::to_string(options.batch_rows_max)};
  }
  std::unique_ptr<DeviceWindow> window(new DeviceWindow());
  window->options_ = options;
  window->device_ = device;
  window->counters_ = counters;
  window->shape_ = LshWindow::ShapeFor(options.bytes);
  if (Status taken = window->TakeMemory(); !taken.ok()) return Error{taken.message()};
  return window;
}

std::array<DeviceWindow::Part, 12> DeviceWindow::PartsOf(const WindowOptions& options) {
  const LshWindow::Shape shape = LshWindow::ShapeFor(options.bytes);
  const uint64_t rows = options.batch_rows_max;
  const uint64_t items = std::bit_ceil(rows * kBands);
  return {{
      {shape.buckets * sizeof(Bucket)},
      {shape.texts * sizeof(WindowText)},
      {shape.texts * sizeof(uint64_t)},
      {rows * sizeof(Sketch)},
      {rows * sizeof(uint64_t)},
      {rows * sizeof(uint32_t)},
      {items * sizeof(uint64_t)},
      {items * sizeof(uint64_t)},
      {rows * kBands * sizeof(uint32_t)},
      {rows * sizeof(uint32_t)},
      {kWindowCounts * sizeof(uint32_t)},
      {uint64_t{kCollectTexts} * kBands * options.bucket_pairs_max * sizeof(WindowFound)},
  }};
}

uint64_t DeviceWindow::DeviceBytesFor(const WindowOptions& options) {
  uint64_t bytes = 0;
  for (const Part& part : PartsOf(options)) bytes += part.bytes;
  return bytes;
}

Status DeviceWindow::TakeMemory() {
  const uint64_t rows = options_.batch_rows_max;
  std::array<Part, 12> parts = PartsOf(options_);
  uint64_t window_bytes = 0, batch_bytes = 0;
  for (size_t i = 0; i < std::size(parts); ++i) {
    (i < 3 ? window_bytes : batch_bytes) += parts[i].bytes;
  }
  device_bytes_ = window_bytes + batch_bytes;
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

  host_bytes_ = rows * (sizeof(Sketch) + sizeof(uint64_t) + sizeof(uint32_t)) +
                2 * kWindowCounts * sizeof(uint32_t) + parts[11].bytes;
  Result<void*> pinned = device_->TakeHost(host_bytes_, "the window's batch");
  if (!pinned.ok()) return Error{"pinned memory for the window: " + pinned.message()};
  staging_.sketches = static_cast<Sketch*>(pinned.value());  // widest first
  staging_.found = reinterpret_cast<WindowFound*>(staging_.sketches + rows);
  staging_.ids = reinterpret_cast<uint64_t*>(staging_.found + parts[11].bytes / sizeof(WindowFound));
  staging_.row_of = reinterpret_cast<uint32_t*>(staging_.ids + rows);
  staging_.zeros = staging_.row_of + rows;
  staging_.counts = staging_.zeros + kWindowCounts;
  std::fill_n(staging_.zeros, kWindowCounts, 0u);
  return {};
}

Status DeviceWindow::LaunchFor(const char* kernel, const WindowBatch& batch, uint32_t threads) {
  const LaunchShape shape = {.blocks_x = (threads + kWindowThreads - 1) / kWindowThreads,
                             .threads = kWindowThreads};
  return Launch(*device_, kernel, shape, batch);
}

Status DeviceWindow::SortSteps(uint64_t keys, uint32_t count) {
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

// Nearly all launches of a batch, hundreds for a large one, are those of its two sorts, and they
// depend on nothing but the padded size: recorded once, each later batch of that size queues one
// graph.
Status DeviceWindow::Sort(const WindowBatch& batch) {
  SortGraph& known = sort_graphs_[std::countr_zero(batch.padded)];
  if (known.made) return device_->QueueGraph(0, known.graph);
  if (known.ran) {
    if (Status s = device_->BeginGraph(); !s.ok()) return s;
  }
  Status s = SortSteps(Address(batch.items), batch.padded);
  if (s.ok()) s = SortSteps(Address(batch.inserts), batch.padded);
  if (!s.ok() || !std::exchange(known.ran, true)) return s;
  Result<uint64_t> graph = device_->EndGraph();
  if (!graph.ok()) return Error{graph.message()};
  known.made = true;
  known.graph = graph.value();
  return device_->QueueGraph(0, known.graph);
}

// Fills found_ with all candidates of the batch, in no order.
Status DeviceWindow::Collect(const WindowBatch& batch) {
  found_.clear();
  const uint32_t* counts = staging_.counts;
  for (uint32_t first = 0; first < batch.texts; first += kCollectTexts) {
    const LaunchShape shape = {.blocks_x = std::min(kCollectTexts, batch.texts - first),
                               .threads = 32};
    Status s = device_->QueueCopyIn(0, Address(batch.counts + kWindowFound), staging_.zeros,
                                    sizeof(uint32_t));
    if (s.ok()) s = Launch(*device_, "WindowCollect", shape, batch, first, found_at_);
    if (s.ok()) {
      s = device_->QueueCopyOut(0, staging_.counts, Address(batch.counts),
                                kWindowCounts * sizeof(uint32_t));
    }
    if (s.ok()) s = device_->Wait(0);
    if (!s.ok()) return s;
    if (counts[kWindowFound] == 0) continue;
    s = device_->QueueCopyOut(0, staging_.found, found_at_,
                              uint64_t{counts[kWindowFound]} * sizeof(WindowFound));
    if (s.ok()) s = device_->Wait(0);
    if (!s.ok()) return s;
    found_.insert(found_.end(), staging_.found, staging_.found + counts[kWindowFound]);
  }
  evicted_ = counts[kWindowEvicted];
  popular_ = counts[kWindowPopular];
  return {};
}

Status DeviceWindow::Queue(const WindowBatch& batch, std::span<const Sketch> sketches,
                           std::span<const uint64_t> ids) {
  std::copy(sketches.begin(), sketches.end(), staging_.sketches);
  std::copy(ids.begin(), ids.end(), staging_.ids);
  Status s = device_->QueueCopyIn(0, Address(batch.sketches), staging_.sketches,
                                  sketches.size_bytes());
  if (s.ok()) {
    s = device_->QueueCopyIn(0, Address(batch.row_ids), staging_.ids, ids.size_bytes());
  }
  if (s.ok()) {
    s = device_->QueueCopyIn(0, Address(batch.row_of), staging_.row_of,
                             batch.texts * sizeof(uint32_t));
  }
  if (s.ok()) {
    s = device_->QueueCopyIn(0, Address(batch.counts), staging_.zeros,
                             kWindowCounts * sizeof(uint32_t));
  }
  if (s.ok()) s = LaunchFor("WindowItems", batch, batch.padded);
  if (s.ok()) s = Sort(batch);
  if (s.ok()) s = LaunchFor("WindowLink", batch, batch.texts * kBands);
  if (s.ok()) s = LaunchFor("WindowInsert", batch, batch.texts * kBands);
  return s;
}

Status DeviceWindow::ProbeAndInsert(std::span<const Sketch> sketches, std::span<const uint64_t> ids,
                                    std::vector<Candidate>* candidates) {
  if (Status fits = CheckBatch(options_, sketches.size(), ids.size()); !fits.ok()) return fits;
  candidates->clear();
  // What the batch before queued last, its texts' storing, reads no staging: it is free.
  uint32_t texts = 0;
  for (uint32_t row = 0; row < sketches.size(); ++row) {
    if (sketches[row].tokens != 0) staging_.row_of[texts++] = row;
  }
  if (texts == 0) return {};
  WindowBatch batch = memory_;
  batch.ages = place_.epochs.AgesOf(texts, shape_.texts, options_.epochs_kept);
  batch.head = static_cast<uint32_t>(place_.epochs.head);
  batch.head_slot = place_.head_slot;
  batch.texts = texts;
  batch.padded = std::bit_ceil(texts * kBands);
  Status s = Queue(batch, sketches, ids);
  if (s.ok()) s = Collect(batch);
  const LaunchShape store = {.blocks_x = texts, .threads = kStoreThreads};
  if (s.ok()) s = Launch(*device_, "WindowStore", store, batch);
  const LaunchShape sweep = {.blocks_x = (texts + kWindowThreads - 1) / kWindowThreads,
                             .threads = kWindowThreads};
  if (s.ok()) s = Launch(*device_, "WindowSweep", sweep, batch, place_.sweep);
  if (!s.ok()) return s;
  place_.epochs.head += texts;
  place_.head_slot = (place_.head_slot + texts) % shape_.texts;
  place_.sweep = (place_.sweep + texts) % shape_.buckets;
  Join(candidates);
  // Only now: a batch that failed is answered, and counted, by the CPU.
  counters_->Add(GpuCounter::kWindowEvicted, evicted_);
  counters_->Add(GpuCounter::kWindowPopularBands, popular_);
  counters_->Add(GpuCounter::kWindowTexts, texts);
  counters_->Add(GpuCounter::kWindowCandidates, candidates->size());
  return {};
}

// Candidates in order, those of one id as one.
void DeviceWindow::Join(std::vector<Candidate>* candidates) {
  std::sort(found_.begin(), found_.end(), [](const WindowFound& a, const WindowFound& b) {
    if (a.row != b.row) return a.row < b.row;
    return a.id != b.id ? a.id < b.id : a.age < b.age;
  });
  for (size_t i = 0; i < found_.size(); ++i) {
    const WindowFound& f = found_[i];
    if (i != 0 && f.row == found_[i - 1].row && f.id == found_[i - 1].id) continue;
    candidates->push_back({f.row, f.id, f.bands, f.oph_equal, f.simhash_distance, 0});
  }
}

Status DeviceWindow::CopyState(Bucket* buckets, std::span<WindowText> texts,
                               std::span<uint64_t> ids) {
  CHECK(texts.size() == ids.size() && texts.size() <= shape_.texts);
  if (Status s = device_->CopyOut(buckets, Address(memory_.buckets),
                                  shape_.buckets * sizeof(Bucket));
      !s.ok()) {
    return s;
  }
  // The ring's end, then its beginning.
  const uint64_t oldest = (place_.head_slot + shape_.texts - texts.size()) % shape_.texts;
  const uint64_t first = std::min<uint64_t>(texts.size(), shape_.texts - oldest);
  const struct {
    uint64_t slot, to, count;
  } parts[] = {{oldest, 0, first}, {0, first, texts.size() - first}};
  for (const auto& part : parts) {
    if (part.count == 0) continue;
    Status s = device_->CopyOut(&texts[part.to], Address(memory_.ring + part.slot),
                                part.count * sizeof(WindowText));
    if (s.ok()) {
      s = device_->CopyOut(&ids[part.to], Address(memory_.ring_ids + part.slot),
                           part.count * sizeof(uint64_t));
    }
    if (!s.ok()) return s;
  }
  return {};
}

}  // namespace stillwatch::gpu
