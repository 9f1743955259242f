// Reads the answer to one model request: JSON, server-sent events, lines of JSON or AWS event stream, as its first
// bytes say. Private to dataplane/llm, on the worker's thread. Any bytes are legal and any cut of them gives the
// same; bounds are the core's, each met one counted.
#pragma once

#include <string_view>

#include "dataplane/llm/llm_core.h"

namespace stillwatch::dataplane {

class ResponseReader {
 public:
  explicit ResponseReader(LlmCore* core) : core_(core) {}

  void OnHead(Transaction* t, const HttpResponseHead& head);
  void OnBody(const StreamContext& at, Transaction* t, Bytes data);
  // No more bytes. `complete`: the body came to its end.
  void End(Transaction* t, bool complete);

 private:
  void ReadEvents(Transaction* t, Bytes data);
  void ReadLines(Transaction* t, Bytes data);
  void ReadLine(Transaction* t, bool cut);
  void ReadFrames(Transaction* t, Bytes data);
  void ReadFrame(Transaction* t);
  void ReadSseEvent(Transaction* t, const SseEvent& event, bool cut);

  LlmCore* const core_;
};

}  // namespace stillwatch::dataplane
