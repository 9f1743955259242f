// Audit events with recognisable ids, for tests of what carries events.
#pragma once

#include <string>
#include <vector>

#include "pipeline/proto/stillwatch.pb.h"
#include "pipeline/sink/sink.h"
#include "pipeline/store/epoch.h"

namespace stillwatch::pipeline {

// Event number `sequence` of `epoch`; `filler` bytes make it as large as a test wants.
inline Event AuditEvent(uint64_t epoch, uint64_t sequence, size_t filler = 0) {
  auto audit = std::make_unique<v1::Audit>();
  audit->mutable_meta()->set_event_id(EventId("box-a", epoch, sequence));
  audit->mutable_meta()->set_box("box-a");
  audit->mutable_meta()->set_schema(1);
  audit->set_action("test");
  audit->set_detail(std::string(filler, 'x'));
  return Event{Topic::kAudit, "box-a", std::move(audit)};
}

inline std::vector<Event> AuditEvents(uint64_t epoch, uint64_t first, size_t count,
                                      size_t filler = 0) {
  std::vector<Event> events;
  for (size_t i = 0; i < count; ++i) events.push_back(AuditEvent(epoch, first + i, filler));
  return events;
}

}  // namespace stillwatch::pipeline
