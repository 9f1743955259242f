// Incremental parser of Server-Sent Events (WHATWG HTML, 9.2.6 "Interpreting an event stream").
// For the dialect layer, on the worker's thread; one object a response, reused through Reset().
//
//   parser.Feed(bytes, [&](const SseEvent& event) { ... });   // any number of events
//   parser.End();                                             // the stream ended
//
// Any cut of the bytes gives the same events. An event that lies in one span with one data line is handed
// out as a view into that span; others are gathered in buffers that the parser owns. Views are valid during
// the call only. Bytes are not checked to be UTF-8; one leading byte-order mark is removed.
//
// Bound: at most 2 * event_bytes_max + 2 * kSseNameMax bytes are held. An event with a longer line (comments
// aside), more data than event_bytes_max, or a type or id over kSseNameMax is dropped whole and counted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace stillwatch::dataplane {

inline constexpr size_t kSseNameMax = 1'024;

struct SseEvent {
  std::string_view type;  // "message" when the stream named none
  std::string_view data;  // data lines joined by LF
  std::string_view last_event_id;
};

class SseParser {
 public:
  explicit SseParser(size_t event_bytes_max = size_t{1} << 20) : event_bytes_max_(event_bytes_max) {}

  template <typename Sink>
  void Feed(Bytes data, Sink&& sink) {
    SseEvent event;
    while (Next(&data, &event)) sink(static_cast<const SseEvent&>(event));
  }

  // The same as a pull: true when an event was dispatched (call again), false when all of `data` was taken
  // in. `*data` is advanced; its memory must stay until the call that returns false.
  bool Next(Bytes* data, SseEvent* event);

  // An event without its closing blank line is discarded, as the standard says. True if there was one.
  bool End();

  // As new, keeping buffers.
  void Reset();

  uint64_t events() const { return events_; }
  uint64_t events_oversized() const { return events_oversized_; }  // dropped by the bound
  // The `id` field last accepted; it holds for all later events.
  std::string_view last_event_id() const { return id_.get(); }
  // The last accepted `retry` in milliseconds; -1 for none. Longer ones than 15 digits are ignored.
  int64_t retry_ms() const { return retry_ms_; }

 private:
  // A value that lies in the span being fed, or in a buffer once it had to be kept.
  struct Text {
    std::string_view view;
    std::string kept;
    bool in_span = false;

    std::string_view get() const { return in_span ? view : std::string_view(kept); }
    void Set(std::string_view value, bool stays);
    void Append(std::string_view value);
    void Keep();
    void Clear();
  };

  bool TakeBom(Bytes* data);
  bool Line(std::string_view line, bool in_span, SseEvent* event);
  void Field(std::string_view name, std::string_view value, bool in_span);
  void AddData(std::string_view value, bool in_span);
  void KeepPart(std::string_view part);
  bool Dispatch(SseEvent* event);

  const size_t event_bytes_max_;
  std::string line_;            // the unfinished line of earlier spans
  Text data_, type_, id_;       // the event being gathered; id_ outlives events
  uint32_t data_lines_ = 0;
  uint8_t bom_bytes_ = 0;       // of the mark seen so far; 4: the start is past
  bool skip_lf_ = false;        // the last line ended in CR: an LF now belongs to it
  bool line_cut_ = false;       // the unfinished line passed the bound
  bool event_cut_ = false;      // the event passed the bound
  bool dispatched_ = false;     // Next gave out views: clear them first
  bool any_field_ = false;      // the event being gathered has a line
  uint64_t events_ = 0, events_oversized_ = 0;
  int64_t retry_ms_ = -1;
};

}  // namespace stillwatch::dataplane
