#include "base/counters.h"

#include <algorithm>

#include "base/check.h"

namespace stillwatch {

namespace {

void AddTo(std::map<std::string, uint64_t>* totals, const CounterView& view) {
  for (size_t i = 0; i < view.names.size(); ++i) {
    (*totals)[std::string(view.names[i])] += view.values[i].load(std::memory_order_relaxed);
  }
}

}  // namespace

std::map<std::string, uint64_t> CounterRegistry::Snapshot() const {
  std::lock_guard lock(mutex_);
  std::map<std::string, uint64_t> totals = retired_;
  for (const CounterView& view : views_) AddTo(&totals, view);
  return totals;
}

void CounterRegistry::RegisterView(CounterView view) {
  std::lock_guard lock(mutex_);
  views_.push_back(view);
}

void CounterRegistry::UnregisterView(CounterView view) {
  std::lock_guard lock(mutex_);
  const auto at = std::find_if(views_.begin(), views_.end(), [&](const CounterView& other) {
    return other.values.data() == view.values.data();
  });
  CHECK(at != views_.end());
  AddTo(&retired_, *at);
  views_.erase(at);
}

}  // namespace stillwatch
