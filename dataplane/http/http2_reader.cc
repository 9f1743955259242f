#include "dataplane/http/http2_reader.h"

#include <algorithm>
#include <cstring>

#include "base/endian.h"
#include "base/mutant.h"

namespace stillwatch::dataplane {
namespace {

using Type = Http2FrameType;

// Types whose payload is read in small pieces.
bool IsSmall(const Http2FrameHeader& header) {
  return header.Is(Type::kRstStream) || header.Is(Type::kSettings) || header.Is(Type::kWindowUpdate);
}

}  // namespace

Http2Reader::Http2Reader(HttpCore* core, Http2Events* events, bool from_client, Start start)
    : core_(core), events_(events), from_client_(from_client), block_(core), hpack_(&core->hpack) {
  state_ = start == Start::kPreface ? State::kPreface
           : start == Start::kJoined ? State::kResync
                                     : State::kHeader;
  if (start == Start::kJoined || start == Start::kJoinedAtFrame) LoseTable();
}

size_t Http2Reader::Feed(Bytes data, DecodeBudget* budget) {
  const size_t given = data.size();
  if (given == 0) return 0;
  const bool owed = byte_owed_;
  byte_owed_ = false;
  if (owed) data = data.subspan(1);
  if (waits_ && !GoOn(budget)) {
    byte_owed_ = owed;
    return 0;
  }
  while (!data.empty() && Step(&data, budget)) {
  }
  byte_owed_ = waits_ && data.empty();
  return given - data.size() - (byte_owed_ ? 1 : 0);
}

// Output that waited inside. False: the budget is spent again.
bool Http2Reader::GoOn(DecodeBudget* budget) {
  waits_ = false;
  if (state_ == State::kInflate) return InflateHeld(budget);
  if (state_ != State::kContent) return true;
  if (!events_->OnDrain(from_client_, header_.stream_id, budget)) {
    waits_ = true;
    return false;
  }
  return left_ > 0 || EndContent(budget);
}

// One step of the state machine. False: the budget is spent.
bool Http2Reader::Step(Bytes* data, DecodeBudget* budget) {
  switch (state_) {
    case State::kPreface:
      PrefaceStep(data);
      return true;
    case State::kHeader:
      return HeaderStep(data, budget);
    case State::kPrefix:
      return PrefixStep(data, budget);
    case State::kContent:
      return ContentStep(data, budget);
    case State::kInflate:
      return InflateHeld(budget);
    case State::kPadding: {
      const size_t bytes = std::min<size_t>(left_, data->size());
      Show(data->first(bytes));
      *data = data->subspan(bytes);
      left_ -= static_cast<uint32_t>(bytes);
      if (left_ == 0) EndFrame();
      return true;
    }
    case State::kResync:
      return ResyncStep(data, budget);
    case State::kStopped:
      core_->Count(HttpCounter::kOpaqueBytes, data->size());
      *data = {};
      return true;
  }
  return true;
}

// For inspect.
void Http2Reader::Show(Bytes payload) {
  if (core_->frames != nullptr && !payload.empty()) {
    core_->frames->OnFramePayload(events_->at(), from_client_, payload);
  }
}

// ---- frames

void Http2Reader::PrefaceStep(Bytes* data) {
  while (!data->empty() && left_ < kHttp2Preface.size()) {
    if (data->front() != static_cast<uint8_t>(kHttp2Preface[left_])) {
      core_->Count(Http2Counter::kPrefaceMalformed);
      return Lost();
    }
    *data = data->subspan(1);
    ++left_;
  }
  if (left_ == kHttp2Preface.size()) state_ = State::kHeader;
}

bool Http2Reader::HeaderStep(Bytes* data, DecodeBudget* budget) {
  const size_t bytes = std::min(kHttp2HeaderBytes - head_bytes_, data->size());
  std::memcpy(head_ + head_bytes_, data->data(), bytes);
  *data = data->subspan(bytes);
  head_bytes_ = static_cast<uint8_t>(head_bytes_ + bytes);
  if (head_bytes_ < kHttp2HeaderBytes) {
    if (MutantIs("http2.split_header")) head_bytes_ = 0;
    return true;
  }
  return BeginFrame(budget);
}

bool Http2Reader::BeginFrame(DecodeBudget* budget) {
  head_bytes_ = 0;
  header_ = ReadHttp2Header(head_);
  if (on_trial_ && !MayBegin(header_)) {
    Lost();
    return true;
  }
  on_trial_ = false;
  core_->Count(Http2Counter::kFrames);
  const Http2Error error = CheckHttp2Header(header_, frame_size_max_);
  if (core_->frames != nullptr) core_->frames->OnFrame(events_->at(), from_client_, header_);
  prefix_ = {};
  small_bytes_ = 0;
  CheckContinuation();
  if (error != Http2Error::kNone) {
    PassOver(error);
    return true;
  }
  left_ = Http2PrefixBytes(header_);
  state_ = State::kPrefix;
  return left_ > 0 || BeginContent(budget);
}

// Between HEADERS and the end of its block nothing else may come (RFC 9113, 6.10).
void Http2Reader::CheckContinuation() {
  const bool continues = header_.Is(Type::kContinuation) && header_.stream_id == block_stream_;
  if (block_open_ && !continues) {
    if (!block_lost_) {
      core_->Count(Http2Counter::kContinuationMissing);
      LoseTable();
      EndBlock(true);
    }
    DropBlock();
  }
}

// The frame is malformed: its payload is passed over.
void Http2Reader::PassOver(Http2Error error) {
  core_->Count(Http2Counter::kFrameMalformed);
  if (core_->frames != nullptr) core_->frames->OnFrameError(events_->at(), from_client_, error);
  if (HoldsBlock()) {
    LoseTable();
    DropBlock();
  }
  AfterContent();
}

bool Http2Reader::PrefixStep(Bytes* data, DecodeBudget* budget) {
  const uint32_t whole = Http2PrefixBytes(header_);
  const size_t bytes = std::min<size_t>(left_, data->size());
  std::memcpy(small_ + (whole - left_), data->data(), bytes);
  Show(data->first(bytes));
  *data = data->subspan(bytes);
  left_ -= static_cast<uint32_t>(bytes);
  return left_ > 0 || BeginContent(budget);
}

bool Http2Reader::BeginContent(DecodeBudget* budget) {
  const uint32_t prefix_bytes = Http2PrefixBytes(header_);
  const Http2Error error = ReadHttp2Prefix(header_, small_, &prefix_);
  if (error != Http2Error::kNone) {
    prefix_.padding = 0;
    PassOver(error);
    return true;
  }
  left_ = header_.length - prefix_bytes - prefix_.padding;
  if (header_.Is(Type::kHeaders) || header_.Is(Type::kPushPromise)) {
    block_open_ = true;
    block_lost_ = block_dropping_ = false;
    block_stream_ = header_.stream_id;
    promised_stream_ = prefix_.promised_stream;
    end_stream_ = header_.Is(Type::kHeaders) && header_.Has(kHttp2EndStream);
  } else if (header_.Is(Type::kContinuation) && !block_open_) {
    // Its block's beginning was not seen, or there is none.
    if (!block_lost_) core_->Count(Http2Counter::kFrameMalformed);
    LoseTable();
    block_lost_ = !header_.Has(kHttp2EndHeaders);
  } else if (header_.Is(Type::kGoAway)) {
    core_->Count(Http2Counter::kGoAways);
  } else if (header_.type >= kHttp2FrameTypes) {
    core_->Count(Http2Counter::kUnknownFrames);
  }
  block_closing_ = header_.Has(kHttp2EndHeaders);
  state_ = State::kContent;
  return left_ > 0 || EndContent(budget);
}

// The frame is part of a header block that is being collected.
bool Http2Reader::HoldsBlock() const {
  return header_.Is(Type::kHeaders) || header_.Is(Type::kPushPromise) || header_.Is(Type::kContinuation);
}

bool Http2Reader::ContentStep(Bytes* data, DecodeBudget* budget) {
  if (HoldsBlock() && block_open_ && !block_lost_) return BlockStep(data, budget);
  Bytes part = data->first(std::min<size_t>(left_, data->size()));
  const Bytes given = part;
  bool goes_on = true;
  if (header_.Is(Type::kData)) {
    goes_on = events_->OnData(from_client_, header_.stream_id, &part, budget);
    waits_ = !goes_on && part.empty();
  } else if (IsSmall(header_)) {
    SmallStep(&part);
  } else {
    part = {};
  }
  const size_t taken = given.size() - part.size();
  Show(given.first(taken));
  *data = data->subspan(taken);
  left_ -= static_cast<uint32_t>(taken);
  if (!goes_on) return false;
  return left_ > 0 || state_ != State::kContent || EndContent(budget);
}

void Http2Reader::SmallStep(Bytes* data) {
  const size_t unit = header_.Is(Type::kSettings) ? 6 : 4;
  for (const uint8_t byte : *data) {
    small_[small_bytes_++] = byte;
    if (small_bytes_ < unit) continue;
    small_bytes_ = 0;
    if (header_.Is(Type::kSettings)) {
      events_->OnSetting(from_client_, LoadBe16(small_), LoadBe32(small_ + 2));
    } else if (header_.Is(Type::kWindowUpdate)) {
      events_->OnWindowUpdate(from_client_, header_.stream_id, LoadBe32(small_) & 0x7fff'ffff);
    }
  }
  *data = {};
}

// The content was read; padding may follow. False: the budget is spent.
bool Http2Reader::EndContent(DecodeBudget* budget) {
  if (HoldsBlock() && block_open_) {
    if (!block_lost_ && block_closing_) return InflateHeld(budget);
    if (block_closing_) DropBlock();
  } else if (header_.Is(Type::kData)) {
    events_->OnDataEnd(from_client_, header_.stream_id, header_.Has(kHttp2EndStream));
  } else if (header_.Is(Type::kRstStream)) {
    events_->OnReset(from_client_, header_.stream_id);
  } else if (header_.Is(Type::kSettings)) {
    events_->OnSettingsEnd(from_client_, header_.Has(kHttp2Ack));
  }
  if (state_ != State::kStopped) AfterContent();
  return true;
}

void Http2Reader::AfterContent() {
  if (state_ == State::kHeader) {
    left_ = header_.length;  // malformed by its header
  } else if (state_ == State::kPrefix) {
    left_ = header_.length - Http2PrefixBytes(header_);  // malformed by its prefix
  } else {
    left_ = prefix_.padding;
  }
  state_ = State::kPadding;
  if (left_ == 0) EndFrame();
}

void Http2Reader::EndFrame() {
  state_ = State::kHeader;
  if (core_->frames != nullptr) core_->frames->OnFrameEnd(events_->at(), from_client_);
}

// ---- header blocks

bool Http2Reader::BlockStep(Bytes* data, DecodeBudget* budget) {
  const Bytes part = data->first(std::min<size_t>(left_, data->size()));
  if (block_closing_ && block_.empty() && part.size() == left_ && !block_dropping_ &&
      part.size() <= core_->limits.header_bytes_max) {
    Show(part);
    *data = data->subspan(part.size());
    left_ = 0;
    return InflateInPlace(part, budget);
  }
  const size_t room = core_->limits.header_bytes_max - std::min<size_t>(block_.held().size(),
                                                                       core_->limits.header_bytes_max);
  const Bytes piece = part.first(std::min(part.size(), room));
  if (!piece.empty() && !block_.Keep(piece)) {
    core_->Count(HttpCounter::kHeadBuffersEmpty);
    LoseTable();
    EndBlock(true);
    block_open_ = block_lost_ = true;
    return true;
  }
  Show(piece);
  *data = data->subspan(piece.size());
  left_ -= static_cast<uint32_t>(piece.size());
  if (left_ == 0) return EndContent(budget);
  if (piece.size() < part.size() || room == piece.size()) {
    // Full: what is held is read over to make room.
    block_dropping_ = true;
    state_ = State::kInflate;
    return InflateHeld(budget);
  }
  return true;
}

bool Http2Reader::InflateInPlace(Bytes block, DecodeBudget* budget) {
  FieldList& fields = core_->fields;
  fields.Clear();
  const HpackDecoder::Step step = hpack_.Decode(&block, true, &fields, &budget->bytes_left);
  if (step == HpackDecoder::Step::kBudget) {
    block_dropping_ = true;
    state_ = State::kInflate;
    if (!block.empty() && !block_.Keep(block)) {
      core_->Count(HttpCounter::kHeadBuffersEmpty);
      LoseTable();
      EndBlock(true);
      state_ = State::kContent;
      AfterContent();
      return true;
    }
    waits_ = true;
    return false;
  }
  if (step == HpackDecoder::Step::kDone) {
    if (fields.too_large()) core_->Count(Http2Counter::kHeadTooLarge);
    EndBlock(fields.too_large());
  } else {
    FailBlock(step);
  }
  if (state_ != State::kStopped) AfterContent();
  return true;
}

// Reads what is held; all of it when the block's last byte is here. False: the budget is spent.
bool Http2Reader::InflateHeld(DecodeBudget* budget) {
  FieldList& fields = core_->fields;
  fields.Clear();
  if (block_dropping_) fields.DropAll();
  const bool whole = left_ == 0 && block_closing_;
  Bytes rest = block_.held();
  const size_t held = rest.size();
  const HpackDecoder::Step step = hpack_.Decode(&rest, whole, &fields, &budget->bytes_left);
  if (step == HpackDecoder::Step::kDone && whole) {
    if (fields.too_large()) core_->Count(Http2Counter::kHeadTooLarge);
    EndBlock(fields.too_large());
  } else if (step == HpackDecoder::Step::kDone || step == HpackDecoder::Step::kBudget) {
    if (step == HpackDecoder::Step::kDone && rest.size() == held && held >= core_->limits.header_bytes_max) {
      FailBlock(HpackDecoder::Step::kFailed);  // one field as large as the buffer
      block_open_ = block_lost_ = true;
      state_ = State::kContent;
      return true;
    }
    block_dropping_ = true;
    if (held > rest.size()) block_.DropFront(held - rest.size());
    if (block_.held().empty()) block_.Clear();
    if (step == HpackDecoder::Step::kBudget) {
      state_ = State::kInflate;
      waits_ = true;
      return false;
    }
    state_ = State::kContent;
    return true;
  } else {
    FailBlock(step);
    if (!whole) {
      block_open_ = block_lost_ = true;
      state_ = State::kContent;
      return true;
    }
  }
  if (state_ == State::kStopped) return true;
  state_ = State::kContent;
  AfterContent();
  return true;
}

void Http2Reader::FailBlock(HpackDecoder::Step why) {
  core_->Count(why == HpackDecoder::Step::kNoMemory ? Http2Counter::kHpackMemoryEmpty : Http2Counter::kHpackFailed);
  core_->Count(Http2Counter::kHpackLost);
  EndBlock(true);
}

void Http2Reader::EndBlock(bool dropped) {
  const FieldList& fields = core_->fields;
  Http2Block block{block_stream_, promised_stream_, end_stream_, dropped, {}, 0};
  if (!dropped) {
    if (fields.lost > 0) core_->Count(Http2Counter::kHpackFieldsLost, fields.lost);
    if (fields.fields().size() > kHeadFieldsMax) core_->Count(HttpCounter::kFieldsTooMany);
    block.fields = fields.fields();
    block.fields_lost = fields.lost;
    if (core_->frames != nullptr) core_->frames->OnFrameFields(events_->at(), from_client_, block.fields);
  }
  DropBlock();
  events_->OnBlock(from_client_, block);
}

void Http2Reader::DropBlock() {
  block_.Clear();
  block_open_ = block_lost_ = block_dropping_ = false;
}

void Http2Reader::LoseTable() {
  if (hpack_.Lose()) core_->Count(Http2Counter::kHpackLost);
}

// ---- missing bytes

// Track is lost: search.
void Http2Reader::Lost() {
  LoseTable();
  DropBlock();
  byte_owed_ = waits_ = on_trial_ = false;
  head_bytes_ = 0;
  state_ = State::kResync;
}

bool Http2Reader::MayBegin(const Http2FrameHeader& header) const {
  if (header.Is(Type::kData)) {
    return (header.flags & ~(kHttp2EndStream | kHttp2Padded)) == 0 && header.length <= kHttp2FrameSizeMin &&
           events_->FollowsStream(header.stream_id);
  }
  return LooksLikeHttp2Header(header);
}

bool Http2Reader::ResyncStep(Bytes* data, DecodeBudget* budget) {
  size_t at = 0;
  while (at < data->size()) {
    head_[head_bytes_++] = (*data)[at++];
    if (head_bytes_ < kHttp2HeaderBytes) continue;
    if (head_[3] < kHttp2FrameTypes && MayBegin(ReadHttp2Header(head_))) {
      *data = data->subspan(at);
      searched_bytes_ = 0;
      state_ = State::kHeader;
      const bool goes_on = BeginFrame(budget);
      on_trial_ = true;
      return goes_on;
    }
    std::memmove(head_, head_ + 1, --head_bytes_);
    core_->Count(Http2Counter::kResyncBytes);
    if (++searched_bytes_ > core_->limits.resync_bytes_max) {
      *data = data->subspan(at);
      core_->Count(Http2Counter::kGaveUp);
      events_->OnGaveUp(from_client_);
      return true;
    }
  }
  *data = {};
  return true;
}

void Http2Reader::Gap(uint64_t skipped) {
  if (state_ == State::kStopped || skipped == 0) return;
  if (waits_ || state_ == State::kInflate) LoseTable();
  byte_owed_ = waits_ = false;
  uint64_t frame_left = 0;
  if (state_ == State::kPadding) frame_left = left_;
  if (state_ == State::kContent) frame_left = uint64_t{left_} + prefix_.padding;
  if (state_ == State::kPrefix) frame_left = header_.length - Http2PrefixBytes(header_) + uint64_t{left_};
  if (frame_left == 0 || skipped > frame_left) {
    core_->Count(Http2Counter::kGapOverFrames);
    if (!MutantIs("http2.gap_keeps_track")) Lost();
    return events_->OnGap(from_client_, 0);
  }
  const bool data = header_.Is(Type::kData) && state_ == State::kContent;
  core_->Count(data ? Http2Counter::kGapInData : Http2Counter::kGapInFrame);
  if (data) {
    const uint32_t inside = static_cast<uint32_t>(std::min<uint64_t>(skipped, left_));
    left_ -= inside;
    prefix_.padding = static_cast<uint8_t>(prefix_.padding - (skipped - inside));
    events_->OnGap(from_client_, header_.stream_id);
    DecodeBudget unused;
    if (left_ == 0 && state_ == State::kContent) EndContent(&unused);
    return;
  }
  if (HoldsBlock() && state_ != State::kPadding) {
    LoseTable();
    if (state_ == State::kPrefix) {
      block_stream_ = header_.stream_id;
      promised_stream_ = header_.Is(Type::kPushPromise) ? UINT32_MAX : 0;
      end_stream_ = header_.Is(Type::kHeaders) && header_.Has(kHttp2EndStream);
      block_open_ = true;
    }
    if (block_open_ && !block_lost_) EndBlock(true);
    block_lost_ = block_open_ = !header_.Has(kHttp2EndHeaders);
  } else if (header_.Is(Type::kData) && state_ == State::kPrefix) {
    events_->OnGap(from_client_, header_.stream_id);
    events_->OnDataEnd(from_client_, header_.stream_id, header_.Has(kHttp2EndStream));
  }
  if (state_ == State::kStopped) return;
  left_ = static_cast<uint32_t>(frame_left - skipped);
  state_ = State::kPadding;
  if (left_ == 0) EndFrame();
}

void Http2Reader::Stop() {
  LoseTable();
  DropBlock();
  byte_owed_ = waits_ = false;
  state_ = State::kStopped;
}

}  // namespace stillwatch::dataplane
