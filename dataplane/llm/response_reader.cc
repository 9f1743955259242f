#include "dataplane/llm/response_reader.h"

#include <algorithm>
#include <cctype>

#include "dataplane/llm/headers.h"

namespace stillwatch::dataplane {
namespace {

// What a response is by its first byte that is no blank. Content types are not to be trusted: errors come
// as JSON under text/event-stream.
ResponseKind KindOf(uint8_t first, ResponseKind by_type) {
  switch (first) {
    case '{': case '[': return by_type == ResponseKind::kLines ? by_type : ResponseKind::kJson;
    case 'd': case 'e': case 'i': case 'r': case ':': case 0xEF:  // data, event, id, retry, byte-order mark
      return by_type == ResponseKind::kUnknown ? ResponseKind::kEvents : by_type;
    default: return by_type == ResponseKind::kUnknown ? ResponseKind::kJson : by_type;
  }
}

}  // namespace

void ResponseReader::OnHead(Transaction* t, const HttpResponseHead& head) {
  const ResponseHeaders headers = ReadResponseHeaders(head);
  t->header.flags |= kResponseSeen;
  t->header.status = head.status;
  if (head.status == 429) t->header.flags |= kRateLimited;
  if (!headers.request_id.empty()) t->header.request_id_hash = KeyedHash64(headers.request_id, core_->id_salt);
  if (headers.content_type.starts_with("text/event-stream")) t->response_kind = ResponseKind::kEvents;
  if (headers.content_type.starts_with("application/json")) t->response_kind = ResponseKind::kJson;
  if (headers.content_type.starts_with("application/x-ndjson") ||
      headers.content_type.starts_with("application/jsonl")) {
    t->response_kind = ResponseKind::kLines;
  }
  if (headers.content_type.starts_with("application/vnd.amazon.eventstream")) {
    t->response_kind = ResponseKind::kFrames;
  }
}

void ResponseReader::OnBody(const StreamContext& at, Transaction* t, Bytes data) {
  if (data.empty()) return;
  if (t->header.response_bytes == 0) t->header.first_token_ns = at.time_ns;
  t->header.response_bytes += data.size();
  if (t->dropped) return;
  if (!t->response_begun) {
    while (!data.empty() && std::isspace(data[0]) != 0) data = data.subspan(1);
    if (data.empty()) return;
    t->response_begun = true;
    t->response_kind = KindOf(data[0], t->response_kind);
  }
  switch (t->response_kind) {
    case ResponseKind::kEvents: ReadEvents(t, data); break;
    case ResponseKind::kLines: ReadLines(t, data); break;
    case ResponseKind::kFrames: ReadFrames(t, data); break;
    case ResponseKind::kJson:
      core_->Hold(data, &t->response_body, &t->response_cut, LlmCounter::kResponseTooLarge);
      break;
    case ResponseKind::kUnknown:
    case ResponseKind::kIgnored: break;
  }
}

void ResponseReader::ReadEvents(Transaction* t, Bytes data) {
  if (t->stream == nullptr) {
    if (core_->parsers_free.empty()) {
      core_->counters.Add(LlmCounter::kStreamPoolEmpty);
      t->response_kind = ResponseKind::kIgnored;
      t->header.flags |= kBodyTooLarge;
      return;
    }
    t->stream = core_->parsers_free.back();
    core_->parsers_free.pop_back();
    t->output.flags |= kStreamed;
  }
  t->stream->sse.Feed(data, [&](const SseEvent& event) { ReadSseEvent(t, event, false); });
  const uint64_t oversized = t->stream->sse.events_oversized();
  if (oversized != t->stream->oversized_told) {
    core_->counters.Add(LlmCounter::kEventTooLarge, oversized - t->stream->oversized_told);
    t->stream->oversized_told = oversized;
    t->header.flags |= kBodyTooLarge;
  }
}

void ResponseReader::ReadSseEvent(Transaction* t, const SseEvent& event, bool cut) {
  t->stream->largest_span = std::max(t->stream->largest_span, event.data.size());
  if (event.data.empty() || event.data == "[DONE]") return;
  core_->ReadEvent(t, event.type, event.data, cut);
}

// A JSON document a line (NDJSON), as Ollama streams.
void ResponseReader::ReadLines(Transaction* t, Bytes data) {
  t->output.flags |= kStreamed;
  t->documents.Feed(
      data, [&](Bytes part) { core_->Hold(part, &t->response_body, &t->response_cut, LlmCounter::kEventTooLarge); },
      [&] { ReadLine(t, false); });
}

void ResponseReader::ReadLine(Transaction* t, bool cut) {
  if (t->response_cut) {
    t->header.flags |= kBodyTooLarge;
  } else {
    core_->ReadEvent(t, "message", core_->Unwrap(t->response_body), cut);
  }
  t->response_body.Clear(&core_->pool);
  t->response_cut = false;
}

void ResponseReader::ReadFrames(Transaction* t, Bytes data) {
  t->output.flags |= kStreamed;
  const bool whole = t->frames.Feed(
      data,
      [&](size_t rest) {
        t->frame_skipped = rest > core_->options.body_bytes_max;
        if (t->frame_skipped) core_->counters.Add(LlmCounter::kEventTooLarge);
      },
      [&](Bytes part) {
        if (!t->frame_skipped) core_->Hold(part, &t->response_body, &t->response_cut, LlmCounter::kEventTooLarge);
      },
      [&] {
        if (t->frame_skipped || t->response_cut) {
          t->header.flags |= kBodyTooLarge;
        } else if (t->response_kind == ResponseKind::kFrames) {
          ReadFrame(t);
        }
        t->response_body.Clear(&core_->pool);
        t->response_cut = false;
      });
  if (whole) return;
  core_->counters.Add(LlmCounter::kEventStreamBroken);
  t->header.flags |= kMalformedResponse;
  t->response_kind = ResponseKind::kIgnored;
}

void ResponseReader::ReadFrame(Transaction* t) {
  const std::string_view rest = core_->Unwrap(t->response_body);
  EventFrame frame;
  if (!ReadEventFrame(t->frames.prelude(), {core_->inner.data(), rest.size()}, &frame)) {
    core_->counters.Add(LlmCounter::kEventStreamBroken);
    t->header.flags |= kMalformedResponse;
    t->response_kind = ResponseKind::kIgnored;
    return;
  }
  if (frame.exception) {
    ++t->events;
    core_->counters.Add(LlmCounter::kEvents);
    core_->OutputOf(t).Error(frame.type, frame.type == "throttlingException" || frame.type == "serviceQuotaExceededException");
    return;
  }
  if (frame.payload.empty()) return;
  if (!t->dialect->base64_events) return core_->ReadEvent(t, frame.type, frame.payload, false);
  std::string_view coded;
  if (core_->json.Begin(frame.payload)) {
    core_->json.RootFields([&](std::string_view key, JsonValue value) {
      if (key == "bytes") core_->json.String(value, &coded);
    });
  }
  const ptrdiff_t size = DecodeBase64(coded, core_->inner.data());
  const std::string_view inner(reinterpret_cast<const char*>(core_->inner.data()), static_cast<size_t>(std::max<ptrdiff_t>(size, 0)));
  core_->ReadEvent(t, "chunk", inner, false);
}

void ResponseReader::End(Transaction* t, bool complete) {
  OutputDigest output = core_->OutputOf(t);
  if (t->stream != nullptr) {
    // A last event without its blank line: readers take it, though the standard discards it.
    static constexpr uint8_t kBlankLine[] = {'\n', '\n'};
    t->stream->sse.Feed(kBlankLine, [&](const SseEvent& event) { ReadSseEvent(t, event, !complete); });
  }
  if (t->response_kind == ResponseKind::kLines) t->documents.End([&] { ReadLine(t, !complete); });
  if (t->response_kind == ResponseKind::kFrames && complete && !t->frames.between_frames()) {
    core_->counters.Add(LlmCounter::kEventStreamBroken);
    t->header.flags |= kMalformedResponse;
  }
  if (t->response_kind == ResponseKind::kJson && t->response_body.size() != 0) {
    const size_t size = t->response_body.size();
    t->response_body.CopyTo(core_->json.buffer());
    t->response_body.Clear(&core_->pool);
    if (t->response_cut) t->header.flags |= kBodyTooLarge;
    const bool cut = t->response_cut || !complete;
    bool well = false;
    if (core_->json.Begin(size, cut)) {
      t->dialect->read_response(core_->json, &output);
      well = core_->json.Finish();
    }
    if (!well && !cut) {
      t->header.flags |= kMalformedResponse;
      core_->CountJsonTrouble(LlmCounter::kResponseMalformed);
    }
  }
  output.End();
  core_->Wipe();
}

}  // namespace stillwatch::dataplane
