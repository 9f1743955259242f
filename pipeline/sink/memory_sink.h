// Keeps events in memory, for tests. One thread. Refuses every Write while `failing` is set.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "pipeline/sink/json_writer.h"
#include "pipeline/sink/sink.h"

namespace stillwatch::pipeline {

class MemorySink final : public Sink {
 public:
  Status Write(std::span<const Event> events) override {
    if (failing) return Error{"memory sink: told to fail"};
    for (const Event& event : events) {
      Event copy{event.topic, event.key, nullptr, event.tombstone_id};
      if (event.message != nullptr) {
        copy.message.reset(event.message->New());
        copy.message->CopyFrom(*event.message);
      }
      events_.push_back(std::move(copy));
    }
    return {};
  }
  Status Flush() override { return {}; }

  const std::vector<Event>& events() const { return events_; }

  // The events of one topic as NDJSON, one line each.
  std::string Lines(Topic topic) const {
    std::string lines;
    for (const Event& event : events_) {
      if (event.topic == topic) AppendLine(event, &lines);
    }
    return lines;
  }
  // Records of one type, in order of writing; tombstones left out.
  template <typename Record>
  std::vector<const Record*> Records() const {
    std::vector<const Record*> found;
    for (const Event& event : events_) {
      const auto* record = dynamic_cast<const Record*>(event.message.get());
      if (record != nullptr) found.push_back(record);
    }
    return found;
  }

  bool failing = false;

 private:
  std::vector<Event> events_;
};

}  // namespace stillwatch::pipeline
