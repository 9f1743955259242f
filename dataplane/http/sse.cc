#include "dataplane/http/sse.h"

#include <algorithm>

#include "base/mutant.h"

namespace stillwatch::dataplane {
namespace {

constexpr uint8_t kBom[] = {0xef, 0xbb, 0xbf};
constexpr uint8_t kBomPast = 4;

// The first LF or CR at or after `from`. `lf` caches where the next LF is, so that the two scans stay
// linear in streams that use only one of them.
size_t FindLineEnd(Bytes data, size_t from, size_t* lf) {
  const auto find = [&](int byte, size_t begin, size_t end) {
    if (begin >= end) return end;
    const void* at = std::memchr(data.data() + begin, byte, end - begin);
    return at == nullptr ? end : static_cast<size_t>(static_cast<const uint8_t*>(at) - data.data());
  };
  if (*lf < from || *lf == SIZE_MAX) *lf = find('\n', from, data.size());
  return find('\r', from, *lf);
}

}  // namespace

void SseParser::Text::Set(std::string_view value, bool stays) {
  in_span = stays;
  if (stays) {
    view = value;
  } else {
    kept.assign(value);
  }
}

void SseParser::Text::Keep() {
  if (in_span) kept.assign(view);
  in_span = false;
}

void SseParser::Text::Append(std::string_view value) {
  Keep();
  kept.append(value);
}

void SseParser::Text::Clear() {
  in_span = false;
  kept.clear();
}

// Takes the byte-order mark of the stream's start. False: all of `data` was part of it.
bool SseParser::TakeBom(Bytes* data) {
  while (bom_bytes_ < sizeof kBom && !data->empty() && data->front() == kBom[bom_bytes_]) {
    ++bom_bytes_;
    *data = data->subspan(1);
  }
  if (bom_bytes_ < sizeof kBom) {
    if (data->empty()) return false;
    KeepPart({reinterpret_cast<const char*>(kBom), bom_bytes_});  // it was not one: text after all
  }
  bom_bytes_ = kBomPast;
  return true;
}

bool SseParser::Next(Bytes* data, SseEvent* event) {
  if (dispatched_) {
    data_.Clear();
    type_.Clear();
    dispatched_ = false;
  }
  if (bom_bytes_ != kBomPast && !TakeBom(data)) return false;

  size_t at = 0, lf = SIZE_MAX;
  bool found = false;
  while (at < data->size() && !found) {
    if (skip_lf_) {
      skip_lf_ = false;
      if ((*data)[at] == '\n' && ++at == data->size()) break;
    }
    const size_t end = FindLineEnd(*data, at, &lf);
    const std::string_view part = AsText(data->subspan(at, end - at));
    if (end == data->size()) {
      KeepPart(part);
      at = end;
      break;
    }
    skip_lf_ = (*data)[end] == '\r';
    at = end + 1;
    if (line_.empty() && !line_cut_) {
      found = Line(part, true, event);
    } else {
      KeepPart(part);
      found = Line(line_, false, event);
      line_.clear();
      line_cut_ = false;
    }
  }
  *data = data->subspan(at);
  if (found) return true;
  // The span goes away: keep what lies in it.
  data_.Keep();
  type_.Keep();
  id_.Keep();
  return false;
}

// Adds to the unfinished line; of a comment only the colon is kept.
void SseParser::KeepPart(std::string_view part) {
  if (line_.empty() && !part.empty() && part.front() == ':') part = part.substr(0, 1);
  if (line_cut_ || (!line_.empty() && line_.front() == ':')) return;
  if (line_.size() + part.size() > event_bytes_max_) {
    line_cut_ = true;
    line_.clear();
    return;
  }
  line_.append(part);
}

// One whole line without its end. True when it closed an event that is dispatched.
bool SseParser::Line(std::string_view line, bool in_span, SseEvent* event) {
  if (line_cut_ || (line.size() > event_bytes_max_ && line.front() != ':')) {
    any_field_ = event_cut_ = true;
    return false;
  }
  if (line.empty()) return Dispatch(event);
  if (line.front() == ':') return false;
  any_field_ = true;
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) {
    Field(line, {}, in_span);
    return false;
  }
  std::string_view value = line.substr(colon + 1);
  if (!value.empty() && value.front() == ' ' && !MutantIs("sse.keep_space")) value.remove_prefix(1);
  Field(line.substr(0, colon), value, in_span);
  return false;
}

void SseParser::Field(std::string_view name, std::string_view value, bool in_span) {
  if (name == "data") {
    AddData(value, in_span);
  } else if (name == "event" || name == "id") {
    if (value.size() > kSseNameMax) {
      event_cut_ = true;
    } else if (name == "event") {
      type_.Set(value, in_span);
    } else if (value.find('\0') == std::string_view::npos) {
      id_.Set(value, in_span);
    }
  } else if (name == "retry") {
    const bool digits = !value.empty() && value.size() <= 15 &&
                        std::all_of(value.begin(), value.end(),
                                    [](char c) { return c >= '0' && c <= '9'; });
    if (!digits) return;
    retry_ms_ = 0;
    for (const char c : value) retry_ms_ = retry_ms_ * 10 + (c - '0');
  }
}

void SseParser::AddData(std::string_view value, bool in_span) {
  if (event_cut_) return;
  if (data_lines_++ == 0) {
    data_.Set(value, in_span);
    return;
  }
  if (data_.get().size() + 1 + value.size() > event_bytes_max_) {
    event_cut_ = true;
    return;
  }
  data_.Append("\n");
  data_.Append(value);
}

// A blank line.
bool SseParser::Dispatch(SseEvent* event) {
  const bool cut = event_cut_, has_data = data_lines_ > 0;
  data_lines_ = 0;
  any_field_ = event_cut_ = false;
  if (cut) ++events_oversized_;
  if (cut || !has_data) {
    data_.Clear();
    type_.Clear();
    return false;
  }
  ++events_;
  *event = {type_.get(), data_.get(), id_.get()};
  if (event->type.empty()) event->type = "message";
  dispatched_ = true;
  return true;
}

bool SseParser::End() {
  const bool unfinished = any_field_ || !line_.empty() || line_cut_;
  line_.clear();
  data_.Clear();
  type_.Clear();
  data_lines_ = 0;
  any_field_ = event_cut_ = line_cut_ = dispatched_ = false;
  return unfinished;
}

void SseParser::Reset() {
  End();
  id_.Clear();
  bom_bytes_ = 0;
  skip_lf_ = false;
  events_ = events_oversized_ = 0;
  retry_ms_ = -1;
}

}  // namespace stillwatch::dataplane
