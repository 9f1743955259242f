// Realtime APIs: events over WebSocket in, one exchange out for each answer. Private to dataplane/llm, on the worker's
// thread; the LlmObserver gives it to the HTTP layer and hands it requests that upgrade.
//
// The request that upgraded stands for the connection: its key, client and fingerprints go into every exchange, and it
// holds one of the observer's transactions as long as the connection lives. What was said (text and transcripts, never
// audio) and how the session was set up is kept as text in the observer's pool, at most kConversationBytes of each kind
// and connection; of a longer conversation the older part is forgotten. An answer that was asked for by an event is
// digested at that event; one that the server began by itself (it heard somebody stop to speak) when it ends, because
// the transcript of what was heard comes late.
// Bounds: exchanges_max / 8 connections, kTurnsMax open answers of each, one event of at most body_bytes_max in each
// direction. Any bytes are legal; events that make no sense where they come are counted and change nothing.
// What is still open when the connection ends is emitted then, without its end.
#pragma once

#include <array>
#include <deque>
#include <string_view>

#include "dataplane/http/websocket_observer.h"
#include "dataplane/llm/conversation_log.h"
#include "dataplane/llm/llm_core.h"
#include "dataplane/llm/realtime_counters.h"

namespace stillwatch::dataplane {

inline constexpr size_t kConversationBytes = 128u << 10;

struct RealtimeSession {
  static constexpr size_t kTurnsMax = 8;

  Transaction* upgrade = nullptr;
  uint64_t next_index = 0;                 // of its exchanges, in the flow
  ChunkList message[2];                    // being received: from the server, from the client
  bool message_cut[2] = {};
  ConversationLog system, tools, items;
  bool items_lost = false;
  std::array<Transaction*, kTurnsMax> turns{};  // open ones, in the order in which they were asked for
  size_t turns_count = 0;
  uint32_t flags = 0;                      // the session's parameters, as RequestView has them
  int32_t temperature_milli = 0, top_p_milli = 0;
  uint64_t max_tokens = 0;
  uint64_t client_bytes = 0;               // since the last answer was asked for
  int64_t asking_since_ns = 0;
  ConversationLog heard, said;             // transcripts in fragments, until the message is whole
  RealtimeSession* next_free = nullptr;
};
static_assert(sizeof(RealtimeSession) <= 384, "docs/memory.md says so");

class RealtimeReader final : public WebSocketObserver {
 public:
  explicit RealtimeReader(LlmCore* core);

  // `upgrade` goes on as a connection, whose exchanges are numbered from `index`. False: none is free.
  bool Follow(Transaction* upgrade, uint64_t index);
  // The connection was not opened.
  void Refused(Transaction* upgrade);

  bool Wants(Handle handle) override {
    if (handle == nullptr || static_cast<Transaction*>(handle)->session == nullptr) return false;
    counters_.Add(RealtimeCounter::kConnections);
    return true;
  }
  void OnWebSocketFrame(const StreamContext&, Handle, bool, const WebSocketFrame&) override {}
  void OnWebSocketData(const StreamContext& at, Handle handle, bool from_client, uint8_t opcode, Bytes data) override;
  void OnWebSocketMessage(const StreamContext& at, Handle handle, bool from_client, uint8_t opcode, bool whole) override;
  void OnWebSocketEnd(const StreamContext& at, Handle handle) override;

  CounterBlock<RealtimeCounter>& counters() { return counters_; }

  // --- for the protocols, while one event is read
  RealtimeSession& session() { return *session_; }
  JsonReader& json() { return core_->json; }
  // The event from its front again: strings read before are no longer there.
  bool Restart();
  uint64_t KeyOf(std::string_view id) const { return std::max<uint64_t>(KeyedHash64(id, core_->id_salt), 1); }
  // An empty view for what the event says.
  RequestView* NewView();
  void SetModel(std::string_view model);
  // The view's parameters are the session's from now on; its system texts and tools where told so.
  void Configure(bool system, bool tools);
  // The view's messages were said.
  void Say();
  // A fragment of a transcript, joined with the last ones: of the client's speech, or of the model's.
  void Hear(bool from_client, std::string_view fragment);
  // Fragments so far are a message of their own.
  void EndHearing();
  // An answer is asked for: with the session's setup and history, where the view does not have its own.
  Transaction* Ask(uint64_t event_key, bool own_system, bool own_tools, bool own_items);
  // The server began one: the first that was asked for and not begun, or one that nobody asked for.
  Transaction* Begin(uint64_t response_key);
  Transaction* Find(uint64_t response_key) const;  // 0: the only one that has begun
  Transaction* FindAsked(uint64_t event_key) const;
  OutputDigest OutputOf(Transaction* t) { return core_->OutputOf(t); }
  // The event at hand is one of its answer's.
  void CountEvent(Transaction* t);
  // Digests what was not digested when it was asked for; before Say tells the answer.
  void Settle(Transaction* t);
  void End(Transaction* t, bool complete);

 private:
  void Read(bool from_client);
  Transaction* NewTurn();
  void FillFromSession(bool system, bool tools, bool items);
  void Lose();
  void ReleaseSession(RealtimeSession* session);

  LlmCore* const core_;
  CounterBlock<RealtimeCounter> counters_{kRealtimeCounterNames};
  const size_t log_bytes_max_;
  std::deque<RealtimeSession> sessions_;
  RealtimeSession* free_ = nullptr;
  RealtimeSession* session_ = nullptr;       // of the event at hand
  const StreamContext* at_ = nullptr;
  bool from_client_ = false;
};

}  // namespace stillwatch::dataplane
