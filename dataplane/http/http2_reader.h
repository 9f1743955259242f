// Reads the frames of one direction of an HTTP/2 connection (RFC 9113): the preface, frame boundaries, padding,
// header blocks with their continuations through HPACK, and the search for the next frame when track was lost.
// Knows nothing of streams: Http2Events decides what a frame means. Flow control is ignored: what was sent is read.
// Resumable at any byte and whenever the budget of decoded output is spent.
//
// Bounds: a header block waits in at most header_bytes_max; a longer one (a flood of continuations) is read over for
// its table's sake in the same buffer and dropped. SETTINGS, RST_STREAM and GOAWAY are read in eight bytes.
#pragma once

#include <algorithm>
#include <utility>

#include "dataplane/http/hpack.h"
#include "dataplane/http/http2_frame.h"
#include "dataplane/http/http_core.h"
#include "dataplane/http/section_buffer.h"

namespace stillwatch::dataplane {

// One whole header block.
struct Http2Block {
  uint32_t stream_id = 0;
  uint32_t promised_stream = 0;     // of a PUSH_PROMISE; else 0
  bool end_stream = false;
  bool dropped = false;             // it was too large, malformed or incomplete: no fields
  std::span<const HttpHeader> fields;  // pseudo-header fields included, in the order sent
  uint32_t fields_lost = 0;         // left out: they stood in a lost table
};

class Http2Events {
 public:
  virtual const StreamContext& at() const = 0;
  virtual void OnBlock(bool from_client, const Http2Block& block) = 0;
  // Data of one DATA frame, piece by piece. False: the budget is spent; with `*data` taken in whole, output waits
  // inside and OnDrain goes on.
  virtual bool OnData(bool from_client, uint32_t stream_id, Bytes* data, DecodeBudget* budget) = 0;
  virtual bool OnDrain(bool from_client, uint32_t stream_id, DecodeBudget* budget) = 0;
  virtual void OnDataEnd(bool from_client, uint32_t stream_id, bool end_stream) = 0;
  virtual void OnReset(bool from_client, uint32_t stream_id) = 0;
  virtual void OnSetting(bool from_client, uint16_t id, uint32_t value) = 0;
  virtual void OnSettingsEnd(bool from_client, bool ack) = 0;
  virtual void OnWindowUpdate(bool from_client, uint32_t stream_id, uint32_t increment) = 0;
  // Bytes are missing: of DATA of this stream; 0: of anything.
  virtual void OnGap(bool from_client, uint32_t stream_id) = 0;
  virtual bool FollowsStream(uint32_t stream_id) const = 0;
  virtual void OnGaveUp(bool from_client) = 0;

 protected:
  ~Http2Events() = default;
};

class Http2Reader {
 public:
  enum class Start : uint8_t { kPreface, kFrame, kJoinedAtFrame, kJoined };
  Http2Reader(HttpCore* core, Http2Events* events, bool from_client, Start start);

  // As HttpConnection::Feed.
  size_t Feed(Bytes data, DecodeBudget* budget);
  void Gap(uint64_t skipped);
  // Passes over all that follows, and gives back what is held.
  void Stop();
  bool stopped() const { return state_ == State::kStopped; }

  // What the other side announced to receive; a lower one than before changes nothing.
  void SetFrameSizeMax(uint32_t bytes) {
    frame_size_max_ = std::exchange(frame_size_known_, true) ? std::max(frame_size_max_, bytes) : bytes;
  }
  void SetTableMax(uint32_t bytes) { hpack_.SetTableMax(bytes); }

 private:
  enum class State : uint8_t { kPreface, kHeader, kPrefix, kContent, kInflate, kPadding, kResync, kStopped };

  bool Step(Bytes* data, DecodeBudget* budget);
  bool GoOn(DecodeBudget* budget);
  void PrefaceStep(Bytes* data);
  bool HeaderStep(Bytes* data, DecodeBudget* budget);
  bool BeginFrame(DecodeBudget* budget);
  void CheckContinuation();
  void PassOver(Http2Error error);
  bool PrefixStep(Bytes* data, DecodeBudget* budget);
  bool BeginContent(DecodeBudget* budget);
  bool ContentStep(Bytes* data, DecodeBudget* budget);
  bool BlockStep(Bytes* data, DecodeBudget* budget);
  bool InflateInPlace(Bytes block, DecodeBudget* budget);
  bool InflateHeld(DecodeBudget* budget);
  void SmallStep(Bytes* data);
  bool EndContent(DecodeBudget* budget);
  void AfterContent();
  void EndFrame();
  bool ResyncStep(Bytes* data, DecodeBudget* budget);
  bool MayBegin(const Http2FrameHeader& header) const;

  bool HoldsBlock() const;
  void EndBlock(bool dropped);
  void DropBlock();
  void FailBlock(HpackDecoder::Step why);
  void LoseTable();
  void Lost();
  void Show(Bytes payload);

  HttpCore* const core_;
  Http2Events* const events_;
  const bool from_client_;
  State state_;
  bool byte_owed_ = false;      // the last byte taken was reported as not taken: output waits inside
  bool waits_ = false;
  bool on_trial_ = false;       // the frame was found by searching: the next one must look like one too
  bool block_open_ = false;     // continuations must follow
  bool block_lost_ = false;     // ... of a block that is passed over
  bool block_closing_ = false;  // its last frame is being read
  bool block_dropping_ = false; // its fields are dropped, over the limit
  bool end_stream_ = false;     // of the block
  bool frame_size_known_ = false;
  uint8_t head_bytes_ = 0, small_bytes_ = 0;
  uint8_t head_[kHttp2HeaderBytes];
  uint8_t small_[8];
  Http2FrameHeader header_;
  Http2Prefix prefix_;
  uint32_t left_ = 0;           // of the part being read
  uint32_t block_stream_ = 0, promised_stream_ = 0;
  uint32_t frame_size_max_ = (1u << 24) - 1;  // until announced: the connection may be joined
  uint64_t searched_bytes_ = 0;
  SectionBuffer block_;
  HpackDecoder hpack_;
};

}  // namespace stillwatch::dataplane
