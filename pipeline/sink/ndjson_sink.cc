#include "pipeline/sink/ndjson_sink.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/mutant.h"
#include "base/time_format.h"
#include "pipeline/sink/json_writer.h"
#include "pipeline/sink/topic_records.h"

namespace stillwatch::pipeline {
namespace {

// 2026-01-01T00:00:00.000000001Z -> 20260101T000000Z, fit for a file's name and sorted by time.
std::string CompactTime(int64_t unix_ns) {
  std::string compact;
  for (const char c : FormatTime(unix_ns).substr(0, 19)) {
    if (c != '-' && c != ':') compact.push_back(c);
  }
  return compact + "Z";
}

// The parts of <topic>.<UTC time>.<n>.ndjson that order rotated files; n is not padded.
struct Rotated {
  std::string time;
  uint64_t n;
  std::string name;
  auto operator<=>(const Rotated&) const = default;
};

std::vector<Rotated> RotatedFiles(const std::string& dir, Topic topic) {
  std::vector<Rotated> found;
  const std::string prefix = std::string(NameOf(topic)) + ".";
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(dir, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix) || !name.ends_with(".ndjson")) continue;
    if (name.size() < prefix.size() + 7) continue;  // <topic>.ndjson itself
    const std::string middle = name.substr(prefix.size(), name.size() - prefix.size() - 7);
    const size_t dot = middle.find('.');
    if (dot == std::string::npos) continue;
    found.push_back(
        {middle.substr(0, dot), std::strtoull(middle.c_str() + dot + 1, nullptr, 10), name});
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

NdjsonSink::NdjsonSink(const NdjsonOptions& options, const Clock& clock)
    : options_(options), clock_(clock) {}

Result<std::unique_ptr<NdjsonSink>> NdjsonSink::Open(const NdjsonOptions& options,
                                                     const Clock& clock) {
  std::unique_ptr<NdjsonSink> sink(new NdjsonSink(options, clock));
  if (Status status = sink->OpenFiles(); !status.ok()) return Error{status.message()};
  return sink;
}

std::string NdjsonSink::PathOf(Topic topic) const {
  return options_.dir + "/" + std::string(NameOf(topic)) + ".ndjson";
}

Status NdjsonSink::OpenFiles() {
  if (mkdir(options_.dir.c_str(), 0750) != 0 && errno != EEXIST) {
    return Error{"ndjson: cannot make folder " + options_.dir + ": " + std::strerror(errno) +
                 "; create it or set output.dir (replay: --out) to another"};
  }
  for (size_t i = 0; i < kTopics; ++i) {
    Status status = files_[i].Open(PathOf(TopicAt(i)), options_.keep_existing);
    if (!status.ok()) return status;
    if (files_[i].torn_line_cut()) counters_.Add(NdjsonCounter::kTornCut);
  }
  return options_.sync == SyncPolicy::kNever ? Status() : SyncFolder(options_.dir);
}

Status NdjsonSink::Write(std::span<const Event> events) {
  for (std::string& lines : lines_) lines.clear();
  for (const Event& event : events) AppendLine(event, &lines_[static_cast<size_t>(event.topic)]);
  if (Status status = AppendAll(); !status.ok()) {
    counters_.Add(NdjsonCounter::kWriteFailed);
    return status;
  }
  counters_.Add(NdjsonCounter::kLines, events.size());
  for (const std::string& lines : lines_) counters_.Add(NdjsonCounter::kBytes, lines.size());
  if (options_.rotate_bytes != 0) RotateGrown();
  return {};
}

Status NdjsonSink::AppendAll() {
  std::array<uint64_t, kTopics> before{};
  for (size_t i = 0; i < kTopics; ++i) before[i] = files_[i].size();
  Status status;
  size_t reached = 0;
  for (; reached < kTopics && status.ok(); ++reached) {
    if (lines_[reached].empty()) continue;
    status = files_[reached].Append(lines_[reached]);
    if (status.ok() && options_.sync == SyncPolicy::kEachWrite) status = files_[reached].Sync();
  }
  if (status.ok()) return status;
  std::string message = status.message();
  for (size_t i = 0; i < reached; ++i) {
    if (files_[i].size() == before[i] || MutantIs("ndjson.keep_half")) continue;
    if (Status cut = files_[i].CutBackTo(before[i]); !cut.ok())
      message += "; then " + cut.message();
  }
  return Error{message};
}

Status NdjsonSink::Flush() {
  if (options_.sync == SyncPolicy::kNever) return {};
  for (NdjsonFile& file : files_) {
    if (Status status = file.Sync(); !status.ok()) return status;
  }
  return {};
}

// The events are written by now, so a rotation that fails is counted, not returned, and tried again
// at the next Write.
void NdjsonSink::RotateGrown() {
  bool rotated = false;
  for (size_t i = 0; i < kTopics; ++i) {
    if (files_[i].size() < options_.rotate_bytes) continue;
    const std::string stem = options_.dir + "/" + std::string(NameOf(TopicAt(i))) + "." +
                             CompactTime(clock_.UnixNs()) + ".";
    uint64_t n = 0;
    while (std::filesystem::exists(stem + std::to_string(n) + ".ndjson")) ++n;
    if (!files_[i].MoveAside(stem + std::to_string(n) + ".ndjson").ok()) {
      counters_.Add(NdjsonCounter::kRotateFailed);
      continue;
    }
    rotated = true;
    counters_.Add(NdjsonCounter::kRotated);
    RemoveOldest(TopicAt(i));
  }
  if (rotated && options_.sync != SyncPolicy::kNever && !SyncFolder(options_.dir).ok()) {
    counters_.Add(NdjsonCounter::kRotateFailed);
  }
}

void NdjsonSink::RemoveOldest(Topic topic) {
  if (options_.rotated_files_max == 0) return;
  const std::vector<Rotated> files = RotatedFiles(options_.dir, topic);
  for (size_t i = 0; i + options_.rotated_files_max < files.size(); ++i) {
    if (unlink((options_.dir + "/" + files[i].name).c_str()) == 0) {
      counters_.Add(NdjsonCounter::kRemoved);
    }
  }
}

}  // namespace stillwatch::pipeline
