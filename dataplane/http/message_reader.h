// Reads the messages of one direction: heads, bodies by their framing, trailers, and the search for the next
// head when track was lost. Knows nothing of transactions: MessageEvents decides what a head means.
// Resumable at any byte and whenever the budget of decoded output is spent.
#pragma once

#include "dataplane/http/body_decoder.h"
#include "dataplane/http/chunked.h"
#include "dataplane/http/http_core.h"
#include "dataplane/http/resync.h"
#include "dataplane/http/section_buffer.h"

namespace stillwatch::dataplane {

// What the reader asks and tells. `is_request` says which direction speaks. The callee may call Stop() or
// other setters of either reader.
class MessageEvents {
 public:
  struct Answer {
    BodyPlan body;
    bool deliver = false;   // OnBody is wanted
    bool interim = false;   // a 1xx: not a message of its own
  };
  virtual Answer OnHead(bool is_request, Head* head) = 0;
  // The response of an HTTP/0.9 request is awaited: it has no head.
  virtual bool StartsRaw() = 0;
  virtual void OnBody(bool is_request, Bytes data) = 0;
  virtual void OnMessageEnd(bool is_request) = 0;
  // The message cannot be read to its end.
  virtual void OnBroken(bool is_request) = 0;
  // About the message being read.
  virtual void OnAnomalies(bool is_request, HttpAnomalies anomalies) = 0;
  virtual void OnGap(bool is_request) = 0;
  // Nothing like HTTP was found for resync_bytes_max.
  virtual void OnGaveUp(bool is_request) = 0;

 protected:
  ~MessageEvents() = default;
};

class MessageReader final : private BodySink {
 public:
  MessageReader(HttpCore* core, MessageEvents* events, bool is_request)
      : core_(core), events_(events), is_request_(is_request), section_(core),
        resync_(is_request) {}
  ~MessageReader() { body_.Drop(core_); }

  // As HttpConnection::Feed.
  size_t Feed(Bytes data, DecodeBudget* budget);
  void Gap(uint64_t skipped);
  void End();

  // Passes over all that follows.
  void Stop();
  // The peer's answer decides what follows this request (Upgrade, CONNECT): HTTP is read on, anything else is
  // passed over until Resume() or Stop().
  void AwaitPeer() { if (state_ == State::kHead) state_ = State::kAwaitPeer; }
  void Resume();
  // A tunnel was opened: HTTP if it begins like it, else opaque.
  void EnterTunnel();
  // Takes no byte more: another protocol's reader goes on.
  void HandOver() { state_ = State::kHandedOver; }

  bool stopped() const { return state_ == State::kOpaque; }
  // Waits for the peer's answer, and no byte has followed.
  bool awaits_peer() const { return state_ == State::kAwaitPeer; }
  // Between messages, with nothing remembered of the last one.
  bool at_rest() const {
    return state_ == State::kHead && section_.empty() && !first_line_read_ && !found_by_search_;
  }
  // Of the message being read or just ended.
  uint64_t body_bytes() const { return body_.bytes(); }
  bool body_cut() const { return body_.cut(); }

 private:
  enum class State : uint8_t {
    kHead, kLength, kUntilClose, kChunked, kTrailer, kResync, kAwaitPeer, kOpaqueAwaiting,
    kTunnelStart, kOpaque, kHandedOver
  };

  bool Step(Bytes* data, DecodeBudget* budget);
  void HeadStep(Bytes* data);
  bool FirstLine(Bytes* data);
  bool SearchHeld(bool again);
  void WholeHead(Head* head, Bytes fields);
  void BeginBody(const MessageEvents::Answer& answer);
  bool LengthStep(Bytes* data, DecodeBudget* budget);
  bool ChunkedStep(Bytes* data, DecodeBudget* budget);
  void TrailerStep(Bytes* data);
  void ResyncStep(Bytes* data);
  void Searched(size_t bytes);
  void FirstByte(uint8_t byte);

  bool Deliver(Bytes* part, DecodeBudget* budget) { return body_.Take(core_, this, part, budget); }
  void OnBodyBytes(Bytes data) override { events_->OnBody(is_request_, data); }
  void OnMislabelled() override {
    events_->OnAnomalies(is_request_, AnomalyBit(HttpCounter::kEncodingMislabelled));
  }

  void EndMessage();
  void Broken();
  void NotHttp();
  void TooLarge(SectionBuffer::State why);
  void Lost();

  HttpCore* const core_;
  MessageEvents* const events_;
  const bool is_request_;
  State state_ = State::kHead;
  bool first_line_read_ = false;  // of the head being collected: it is HTTP
  bool found_by_search_ = false;  // the head being collected
  bool tunnel_ = false;
  uint64_t left_ = 0;             // of a body of known length
  uint64_t searched_bytes_ = 0;   // since the last message
  SectionBuffer section_;
  ChunkedReader chunks_;
  ResyncScanner resync_;
  // While its output waits, the last byte taken is reported as not taken.
  BodyDecoder body_;
};

}  // namespace stillwatch::dataplane
