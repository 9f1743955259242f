#include "dataplane/http/message_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/mutant.h"
#include "dataplane/http/text.h"

namespace stillwatch::dataplane {

size_t MessageReader::Feed(Bytes data, DecodeBudget* budget) {
  const size_t given = data.size();
  if (given == 0) return 0;
  if (body_.output_waits()) {
    data = data.subspan(1);
    if (!body_.Drain(core_, this, budget)) return 0;
    if (state_ == State::kLength && left_ == 0) EndMessage();
  }
  while (!data.empty() && Step(&data, budget)) {
  }
  return given - data.size() - (body_.output_waits() ? 1 : 0);
}

// One step of the state machine. False: the budget is spent.
bool MessageReader::Step(Bytes* data, DecodeBudget* budget) {
  switch (state_) {
    case State::kHead:
      HeadStep(data);
      return true;
    case State::kLength:
      return LengthStep(data, budget);
    case State::kUntilClose:
      return Deliver(data, budget);
    case State::kChunked:
      return ChunkedStep(data, budget);
    case State::kTrailer:
      TrailerStep(data);
      return true;
    case State::kResync:
      ResyncStep(data);
      return true;
    case State::kAwaitPeer:
    case State::kTunnelStart:
      if (data->front() == '\r' || data->front() == '\n') {
        *data = data->subspan(1);  // a stray empty line decides nothing
      } else {
        FirstByte(data->front());
      }
      return true;
    case State::kOpaqueAwaiting:
    case State::kOpaque:
      core_->Count(HttpCounter::kOpaqueBytes, data->size());
      *data = {};
      return true;
    case State::kHandedOver:
      return false;
  }
  return true;
}

// ---- heads

void MessageReader::HeadStep(Bytes* data) {
  if (section_.empty()) {
    // Empty lines before a start line are passed over (RFC 9112, 2.2).
    while (!data->empty() && (data->front() == '\r' || data->front() == '\n')) {
      *data = data->subspan(1);
    }
    if (data->empty()) return;
    if (!is_request_ && data->front() != 'H' && events_->StartsRaw()) {
      BeginBody({{.kind = BodyKind::kUntilClose}, true});
      return;
    }
    // What begins otherwise need not wait for its line's end.
    const char first = static_cast<char>(data->front());
    if (is_request_ ? !IsTokenChar(first) : first != 'H') return NotHttp();
  }
  Head head;
  if (section_.empty()) {
    const void* const lf = std::memchr(data->data(), '\n', data->size());
    const size_t line = lf == nullptr
                            ? SIZE_MAX
                            : static_cast<size_t>(static_cast<const uint8_t*>(lf) - data->data());
    if (line < core_->limits.header_bytes_max) {
      const LineKind kind = ParseStartLine(AsText(data->first(line)), is_request_, &head);
      if (kind == LineKind::kNotHttp) {
        // A head may yet begin inside this line.
        *data = data->subspan(1);
        return NotHttp();
      }
      if (kind == LineKind::kSimple) {
        *data = data->subspan(line + 1);
        return WholeHead(&head, {});
      }
      const auto state = section_.Collect(data, false);
      if (state == SectionBuffer::State::kWhole) {
        return WholeHead(&head, section_.section().subspan(line + 1));
      }
      if (state != SectionBuffer::State::kNeedMore) return TooLarge(state);
      first_line_read_ = true;
      return;
    }
  } else if (!first_line_read_ && !FirstLine(data)) {
    return;
  }
  const auto state = section_.Collect(data, false);
  if (state == SectionBuffer::State::kNeedMore) return;
  if (state != SectionBuffer::State::kWhole) return TooLarge(state);
  const std::string_view text = AsText(section_.section());
  const size_t line = text.find('\n');
  ParseStartLine(text.substr(0, line), is_request_, &head);
  WholeHead(&head, section_.section().subspan(line + 1));
}

// Completes the first line of a head that spans pieces. False: all input taken, or the head was dropped.
bool MessageReader::FirstLine(Bytes* data) {
  const void* const lf = std::memchr(data->data(), '\n', data->size());
  if (lf == nullptr) return true;
  const size_t piece = static_cast<size_t>(static_cast<const uint8_t*>(lf) - data->data()) + 1;
  if (section_.held().size() + piece > core_->limits.header_bytes_max) return true;
  if (!section_.Keep(data->first(piece))) {
    TooLarge(SectionBuffer::State::kNoBlock);
    return false;
  }
  *data = data->subspan(piece);
  for (bool again = false;; again = true) {
    const std::string_view line = AsText(section_.held().first(section_.held().size() - 1));
    Head head;
    const LineKind kind = ParseStartLine(line, is_request_, &head);
    if (kind == LineKind::kStart) {
      first_line_read_ = true;
      return true;
    }
    if (kind == LineKind::kSimple) {
      WholeHead(&head, {});
      return false;
    }
    if (!SearchHeld(again)) return false;
  }
}

// The first line, held whole, is not HTTP, but a head may begin inside it. False: none does. `again`: nor did the first one. All
// share the line's end, which then names no version; HTTP/0.9 needs none, but its target is the line's last word. Trying each in
// between would take time by the square of the line.
bool MessageReader::SearchHeld(bool again) {
  core_->Count(HttpCounter::kNotHttpLine);
  Bytes rest = section_.held().subspan(1);
  if (again) {
    const size_t last = AsText(rest).rfind("GET /");
    rest = rest.subspan(last == std::string_view::npos ? rest.size() : last);
  }
  resync_.Reset();
  const bool found = !tunnel_ && resync_.Find(&rest);
  Searched(section_.held().size() - rest.size());
  if (found) {
    section_.DropFront(section_.held().size() - rest.size());
    found_by_search_ = true;
    return true;
  }
  section_.Clear();
  state_ = tunnel_ ? State::kOpaque : State::kResync;
  return false;
}

void MessageReader::WholeHead(Head* head, Bytes fields) {
  ParseFields(fields, &core_->scratch, head);
  if (head->fields_too_many) core_->Count(HttpCounter::kFieldsTooMany);
  if (found_by_search_) head->Mark(HttpCounter::kResynchronised);
  const bool searched = std::exchange(found_by_search_, false);
  first_line_read_ = false;
  searched_bytes_ = 0;
  const MessageEvents::Answer answer = events_->OnHead(is_request_, head);
  section_.Clear();
  if (answer.interim) found_by_search_ = searched;  // so was the final one behind it
  if (state_ == State::kOpaque || state_ == State::kTunnelStart || state_ == State::kHandedOver || answer.interim) {
    return;
  }
  BeginBody(answer);
}

void MessageReader::BeginBody(const MessageEvents::Answer& answer) {
  const BodyPlan& plan = answer.body;
  body_.Start(core_, plan, answer.deliver);
  left_ = plan.length;
  if (plan.kind == BodyKind::kNone || (plan.kind == BodyKind::kLength && left_ == 0)) {
    return EndMessage();
  }
  if (plan.kind == BodyKind::kUnknown) return Broken();
  if (plan.kind == BodyKind::kChunked) chunks_ = ChunkedReader();
  state_ = plan.kind == BodyKind::kLength    ? State::kLength
           : plan.kind == BodyKind::kChunked ? State::kChunked
                                             : State::kUntilClose;
}

// ---- bodies

bool MessageReader::LengthStep(Bytes* data, DecodeBudget* budget) {
  Bytes part = data->first(std::min<uint64_t>(data->size(), left_));
  const size_t given = part.size();
  const bool went_on = Deliver(&part, budget);
  const size_t taken = given - part.size();
  left_ -= taken;
  *data = data->subspan(taken);
  if (!went_on) return false;
  if (left_ == 0) EndMessage();
  return true;
}

bool MessageReader::ChunkedStep(Bytes* data, DecodeBudget* budget) {
  if (chunks_.in_data()) {
    Bytes part = data->first(std::min<uint64_t>(data->size(), chunks_.data_left()));
    const size_t given = part.size();
    const bool went_on = Deliver(&part, budget);
    chunks_.Took(given - part.size());
    *data = data->subspan(given - part.size());
    return went_on;
  }
  const ChunkedReader::Step step = chunks_.Next(data);
  HttpAnomalies odd = 0;
  if (chunks_.TakeSyntaxOdd()) odd |= AnomalyBit(HttpCounter::kChunkSyntax);
  if (chunks_.TakeBareLf()) odd |= AnomalyBit(HttpCounter::kBareLf);
  if (odd != 0) events_->OnAnomalies(is_request_, odd);
  if (step == ChunkedReader::Step::kLast) {
    state_ = State::kTrailer;
  } else if (step == ChunkedReader::Step::kMalformed) {
    events_->OnAnomalies(is_request_, AnomalyBit(HttpCounter::kChunkMalformed));
    Broken();
  }
  return true;
}

void MessageReader::TrailerStep(Bytes* data) {
  const auto state = section_.Collect(data, true);
  if (state == SectionBuffer::State::kNeedMore) return;
  if (state != SectionBuffer::State::kWhole) return TooLarge(state);
  const Bytes section = section_.section();
  if (section.size() != 2 || section[0] != '\r') {
    HttpAnomalies odd = CheckTrailers(section, &core_->scratch);
    if (odd != 0) events_->OnAnomalies(is_request_, odd);
  }
  section_.Clear();
  EndMessage();
}

// ---- ends

void MessageReader::EndMessage() {
  body_.End(core_);
  state_ = State::kHead;
  events_->OnMessageEnd(is_request_);
}

void MessageReader::Broken() {
  body_.Drop(core_);
  Lost();
  events_->OnBroken(is_request_);
}

// Track is lost: search.
void MessageReader::Lost() {
  section_.Clear();
  resync_.Reset();
  first_line_read_ = false;
  state_ = tunnel_ ? State::kOpaque : State::kResync;
}

void MessageReader::NotHttp() {
  core_->Count(HttpCounter::kNotHttpLine);
  Lost();
}

void MessageReader::TooLarge(SectionBuffer::State why) {
  core_->Count(why == SectionBuffer::State::kNoBlock ? HttpCounter::kHeadBuffersEmpty
                                                     : HttpCounter::kHeadTooLarge);
  if (state_ == State::kTrailer) {
    Broken();
  } else {
    Lost();
  }
}

void MessageReader::ResyncStep(Bytes* data) {
  const size_t given = data->size();
  const bool found = resync_.Find(data);
  Searched(given - data->size());
  if (found) {
    section_.Keep(resync_.tail());
    resync_.Reset();
    found_by_search_ = true;
    state_ = State::kHead;
  } else if (searched_bytes_ > core_->limits.resync_bytes_max) {
    events_->OnGaveUp(is_request_);
  }
}

void MessageReader::Searched(size_t bytes) {
  core_->Count(HttpCounter::kResyncBytes, bytes);
  searched_bytes_ += bytes;
}

void MessageReader::FirstByte(uint8_t byte) {
  const bool like_http = is_request_ ? std::strchr("GPHDOCT", byte) != nullptr && byte != 0
                                     : byte == 'H';
  if (like_http) {
    state_ = State::kHead;
  } else {
    state_ = state_ == State::kAwaitPeer ? State::kOpaqueAwaiting : State::kOpaque;
  }
}

void MessageReader::Resume() {
  if (state_ == State::kAwaitPeer) state_ = State::kHead;
  if (state_ == State::kOpaqueAwaiting) Lost();
}

void MessageReader::EnterTunnel() {
  section_.Clear();
  if (!MutantIs("http.tunnel_begins_inside_a_head")) first_line_read_ = found_by_search_ = false;
  tunnel_ = true;
  if (state_ == State::kHead || state_ == State::kAwaitPeer) state_ = State::kTunnelStart;
  if (state_ == State::kOpaqueAwaiting) state_ = State::kOpaque;
}

void MessageReader::Stop() {
  if (!section_.empty()) core_->Count(HttpCounter::kHeadTruncated);
  if (state_ == State::kLength || state_ == State::kChunked) core_->Count(HttpCounter::kBodyTruncated);
  body_.Drop(core_);
  section_.Clear();
  state_ = State::kOpaque;
}

void MessageReader::Gap(uint64_t skipped) {
  if (state_ == State::kOpaque || state_ == State::kOpaqueAwaiting || skipped == 0) return;
  const bool in_body = state_ == State::kLength || state_ == State::kUntilClose ||
                       (state_ == State::kChunked && chunks_.in_data() &&
                        skipped <= chunks_.data_left());
  events_->OnGap(is_request_);
  core_->Count(in_body ? HttpCounter::kGapInBody : HttpCounter::kGapInHead);
  if (in_body) body_.Gap(core_);
  if (state_ == State::kLength) {
    const uint64_t inside = std::min(skipped, left_);
    left_ -= inside;
    if (left_ == 0) EndMessage();
    if (inside < skipped && !stopped()) Lost();
  } else if (state_ == State::kChunked && in_body) {
    chunks_.Took(skipped);
  } else if (state_ == State::kChunked || state_ == State::kTrailer) {
    Broken();
  } else if (state_ != State::kUntilClose) {
    Lost();
  }
}

void MessageReader::End() {
  if (state_ == State::kUntilClose) EndMessage();
  Stop();
}

}  // namespace stillwatch::dataplane
