#include "dataplane/llm/realtime.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "base/mutant.h"

namespace stillwatch::dataplane {

RealtimeReader::RealtimeReader(LlmCore* core)
    : core_(core), log_bytes_max_(std::min(kConversationBytes, core->options.body_bytes_max / 4)) {
  for (uint32_t i = 0; i < std::max(core->options.exchanges_max / 8, 1u); ++i) {
    RealtimeSession& session = sessions_.emplace_back();
    session.next_free = free_;
    free_ = &session;
  }
}

bool RealtimeReader::Follow(Transaction* upgrade, uint64_t index) {
  RealtimeSession* const session = free_;
  if (session == nullptr) {
    counters_.Add(RealtimeCounter::kSessionsEmpty);
    return false;
  }
  free_ = session->next_free;
  session->upgrade = upgrade;
  session->next_index = index;
  upgrade->session = session;
  return true;
}

void RealtimeReader::Refused(Transaction* upgrade) {
  counters_.Add(RealtimeCounter::kRefused);
  ReleaseSession(std::exchange(upgrade->session, nullptr));
}

void RealtimeReader::ReleaseSession(RealtimeSession* session) {
  for (ChunkList& message : session->message) message.Clear(&core_->pool);
  for (ConversationLog* log : {&session->system, &session->tools, &session->items, &session->heard, &session->said}) {
    log->Clear(&core_->pool);
  }
  session->~RealtimeSession();
  new (session) RealtimeSession;
  session->next_free = free_;
  free_ = session;
}

// --- messages -----------------------------------------------------------------------------------

// Gemini's server sends its JSON as binary messages.
void RealtimeReader::OnWebSocketData(const StreamContext& at, Handle handle, bool from_client, uint8_t opcode,
                                     Bytes data) {
  if (opcode >= kWsClose) return;
  RealtimeSession& s = *static_cast<Transaction*>(handle)->session;
  ChunkList& message = s.message[from_client];
  bool& cut = s.message_cut[from_client];
  if (from_client) {
    if (s.client_bytes == 0) s.asking_since_ns = at.time_ns;
    s.client_bytes += data.size();
  }
  if (cut) return;
  if (message.size() + data.size() > core_->options.body_bytes_max) {
    cut = true;
    counters_.Add(RealtimeCounter::kEventTooLarge);
  } else if (!message.Append(&core_->pool, data)) {
    cut = true;
    core_->counters.Add(LlmCounter::kBodyPoolEmpty);
  }
  if (cut) message.Clear(&core_->pool);
}

void RealtimeReader::OnWebSocketMessage(const StreamContext& at, Handle handle, bool from_client, uint8_t opcode,
                                        bool whole) {
  if (opcode >= kWsClose) return;
  session_ = static_cast<Transaction*>(handle)->session;
  at_ = &at;
  from_client_ = from_client;
  const bool cut = std::exchange(session_->message_cut[from_client], false);
  if (!whole && !cut) counters_.Add(RealtimeCounter::kEventCut);
  if (whole && !cut) {
    Read(from_client);
  } else {
    for (size_t i = 0; i < session_->turns_count; ++i) session_->turns[i]->header.flags |= kBodyTooLarge;
    if (from_client) session_->items_lost = true;
  }
  session_->message[from_client].Clear(&core_->pool);
}

void RealtimeReader::Read(bool from_client) {
  counters_.Add(RealtimeCounter::kEvents);
  if (Restart()) session_->upgrade->dialect->read_realtime(this, from_client);
  if (!core_->json.Finish()) {
    counters_.Add(RealtimeCounter::kEventMalformed);
    if (core_->json.nested_too_deep()) core_->counters.Add(LlmCounter::kNestedTooDeep);
  }
  core_->Wipe();
}

bool RealtimeReader::Restart() {
  const ChunkList& message = session_->message[from_client_];
  message.CopyTo(core_->json.buffer());
  return core_->json.Begin(message.size(), false) && core_->json.RootType() == JsonType::object;
}

void RealtimeReader::OnWebSocketEnd(const StreamContext& at, Handle handle) {
  auto* const upgrade = static_cast<Transaction*>(handle);
  session_ = upgrade->session;
  at_ = &at;
  while (session_->turns_count != 0) {
    Settle(session_->turns[0]);
    End(session_->turns[0], false);
  }
  core_->Wipe();
  ReleaseSession(session_);
  upgrade->session = nullptr;
  core_->Release(upgrade);
  session_ = nullptr;
}

// --- the conversation ---------------------------------------------------------------------------

RequestView* RealtimeReader::NewView() {
  core_->request.Clear();
  core_->request.dialect = session_->upgrade->dialect->dialect;
  core_->request.api = session_->upgrade->dialect->api;
  return &core_->request;
}

void RealtimeReader::SetModel(std::string_view model) {
  Transaction* const t = session_->upgrade;
  model = model.substr(0, sizeof t->model);
  std::copy(model.begin(), model.end(), t->model);
  t->model_length = static_cast<uint8_t>(model.size());
}

void RealtimeReader::Configure(bool system, bool tools) {
  const RequestView& view = core_->request;
  RealtimeSession& s = *session_;
  s.flags |= view.flags & ~uint32_t{kToolsDeclared};  // that comes with the names
  if ((view.flags & kHasTemperature) != 0) s.temperature_milli = view.temperature_milli;
  if ((view.flags & kHasTopP) != 0) s.top_p_milli = view.top_p_milli;
  if ((view.flags & kHasMaxTokens) != 0) s.max_tokens = view.max_tokens;
  if (!view.model.empty()) SetModel(view.model);
  bool fits = true;
  if (system) {
    s.system.Clear(&core_->pool);
    for (const TextPiece& piece : view.system) {
      fits = fits && s.system.Append(ConversationLog::kSystem, piece.text, log_bytes_max_, &core_->pool);
    }
  }
  if (!fits) {
    s.system.Clear(&core_->pool);
    Lose();
  }
  if (!tools) return;
  s.tools.Clear(&core_->pool);
  for (const std::string_view name : view.tool_names) {
    if (!s.tools.Append(ConversationLog::kTool, name, log_bytes_max_, &core_->pool)) break;
  }
}

void RealtimeReader::Lose() {
  counters_.Add(RealtimeCounter::kHistoryCut);
  session_->items_lost = true;
}

void RealtimeReader::Say() {
  const RequestView& view = core_->request;
  RealtimeSession& s = *session_;
  const auto add = [&] {
    const auto put = [&](uint8_t tag, std::string_view text) {
      return s.items.Append(tag, text, log_bytes_max_, &core_->pool);
    };
    bool fits = true;
    for (const RequestMessage& message : view.messages) {
      fits = fits && put(ConversationLog::kMessage, message.role_name);
      for (const TextPiece& piece : view.PiecesOf(message)) {
        fits = fits && put(static_cast<uint8_t>(ConversationLog::kPiece + static_cast<uint8_t>(piece.kind)), piece.text);
      }
    }
    for (const std::string_view id : view.ids_returned) fits = fits && put(ConversationLog::kId, id);
    return fits;
  };
  if (add()) return;
  // The newest is worth more than what is older.
  s.items.Clear(&core_->pool);
  Lose();
  if (!add()) s.items.Clear(&core_->pool);
}

void RealtimeReader::Hear(bool from_client, std::string_view fragment) {
  ConversationLog& log = from_client ? session_->heard : session_->said;
  if (fragment.empty() || log.Append(ConversationLog::kPiece, fragment, log_bytes_max_, &core_->pool)) return;
  log.Clear(&core_->pool);
  Lose();
}

void RealtimeReader::EndHearing() {
  for (ConversationLog* log : {&session_->heard, &session_->said}) {
    if (log->size() == 0) continue;
    uint8_t* const at = core_->inner.data();
    core_->inner_used = std::max(core_->inner_used, log->size());
    log->CopyTo(at);
    size_t joined = 0;  // in place: a record is longer than its text
    ConversationLog::Walk({reinterpret_cast<const char*>(at), log->size()}, [&](uint8_t, std::string_view text) {
      std::memmove(at + joined, text.data(), text.size());
      joined += text.size();
    });
    RequestView* const view = NewView();
    view->BeginMessage();
    view->AddPiece(PieceKind::kText, {reinterpret_cast<const char*>(at), joined});
    view->EndMessage(log == &session_->heard ? "user" : "assistant");
    log->Clear(&core_->pool);
    Say();
  }
}

void RealtimeReader::FillFromSession(bool system, bool tools, bool items) {
  RequestView& view = core_->request;
  const RealtimeSession& s = *session_;
  size_t used = 0;
  const auto copy = [&](const ConversationLog& log) {
    uint8_t* const at = core_->inner.data() + used;
    log.CopyTo(at);
    used += log.size();
    return std::string_view(reinterpret_cast<const char*>(at), log.size());
  };
  if (system) {
    ConversationLog::Walk(copy(s.system), [&](uint8_t, std::string_view text) { view.AddSystem(text); });
  }
  if (tools) {
    ConversationLog::Walk(copy(s.tools), [&](uint8_t, std::string_view text) { view.AddTool(text); });
  }
  if (items) {
    std::string_view role;
    bool open = false;
    const auto close = [&] {
      if (open) view.EndMessage(role);
    };
    ConversationLog::Walk(copy(s.items), [&](uint8_t tag, std::string_view text) {
      if (tag == ConversationLog::kMessage) {
        close();
        view.BeginMessage();
        open = true;
        role = text;
      } else if (tag == ConversationLog::kId) {
        view.AddIdReturned(text);
      } else if (tag >= ConversationLog::kPiece && open) {
        view.AddPiece(static_cast<PieceKind>(tag - ConversationLog::kPiece), text);
      }
    });
    close();
  }
  core_->inner_used = std::max(core_->inner_used, used);
  view.flags |= s.flags;
  if (view.temperature_milli == 0) view.temperature_milli = s.temperature_milli;
  if (view.top_p_milli == 0) view.top_p_milli = s.top_p_milli;
  if (view.max_tokens == 0) view.max_tokens = s.max_tokens;
}

// --- answers ------------------------------------------------------------------------------------

Transaction* RealtimeReader::NewTurn() {
  RealtimeSession& s = *session_;
  if (s.turns_count == RealtimeSession::kTurnsMax) {
    counters_.Add(RealtimeCounter::kTurnsFull);
    return nullptr;
  }
  Transaction* const t = core_->Take();
  if (t == nullptr) {
    core_->counters.Add(LlmCounter::kExchangePoolEmpty);
    return nullptr;
  }
  const Transaction& upgrade = *s.upgrade;
  t->dialect = upgrade.dialect;
  t->header = upgrade.header;
  t->model_length = upgrade.model_length;
  std::copy_n(upgrade.model, upgrade.model_length, t->model);
  ExchangeHeader& h = t->header;
  h.flags = (h.flags & kHasKey) | kRequestSeen | kStreamed;
  h.status = 0;
  h.request_start_ns = s.client_bytes != 0 ? s.asking_since_ns : at_->time_ns;
  h.request_end_ns = at_->time_ns;
  h.request_bytes = std::exchange(s.client_bytes, 0);
  if (core_->options.generation != nullptr) {
    h.config_generation = static_cast<uint32_t>(core_->options.generation->load(std::memory_order_relaxed));
  }
  s.turns[s.turns_count++] = t;
  return t;
}

Transaction* RealtimeReader::Ask(uint64_t event_key, bool own_system, bool own_tools, bool own_items) {
  Transaction* const t = NewTurn();
  if (t == nullptr) return nullptr;
  t->event_key = event_key;
  FillFromSession(!own_system, !own_tools, !own_items);
  if (session_->items_lost && !own_items) t->header.flags |= kBodyTooLarge;
  if (core_->request.model.empty()) core_->request.model = {t->model, t->model_length};
  core_->DigestView(t);
  t->request_digested = true;
  return t;
}

Transaction* RealtimeReader::Begin(uint64_t response_key) {
  Transaction* t = nullptr;
  for (size_t i = 0; i < session_->turns_count && t == nullptr; ++i) {
    if (session_->turns[i]->response_key == 0) t = session_->turns[i];
  }
  if (t == nullptr) t = NewTurn();
  if (t == nullptr) return nullptr;
  t->response_key = response_key;
  t->header.flags |= kResponseSeen;
  t->header.status = 200;
  return t;
}

Transaction* RealtimeReader::Find(uint64_t response_key) const {
  for (size_t i = 0; i < session_->turns_count; ++i) {
    Transaction* const t = session_->turns[i];
    if (t->response_key != 0 && (response_key == 0 || t->response_key == response_key)) return t;
  }
  return nullptr;
}

Transaction* RealtimeReader::FindAsked(uint64_t event_key) const {
  for (size_t i = 0; i < session_->turns_count; ++i) {
    Transaction* const t = session_->turns[i];
    if (t->response_key == 0 && t->event_key == event_key) return t;
  }
  return nullptr;
}

void RealtimeReader::CountEvent(Transaction* t) {
  ++t->events;
  core_->counters.Add(LlmCounter::kEvents);
  t->header.response_bytes += session_->message[false].size();
  if (t->header.first_token_ns == 0) t->header.first_token_ns = at_->time_ns;
}

void RealtimeReader::Settle(Transaction* t) {
  if (std::exchange(t->request_digested, true)) return;
  NewView();
  FillFromSession(true, true, !MutantIs("llm.realtime_late_without_history"));
  if (session_->items_lost) t->header.flags |= kBodyTooLarge;
  core_->request.model = {t->model, t->model_length};
  core_->DigestView(t);
}

void RealtimeReader::End(Transaction* t, bool complete) {
  RealtimeSession& s = *session_;
  const auto end = s.turns.begin() + static_cast<ptrdiff_t>(s.turns_count);
  std::copy(std::find(s.turns.begin(), end, t) + 1, end, std::find(s.turns.begin(), end, t));
  --s.turns_count;
  core_->OutputOf(t).End();
  if ((t->output.flags & kRateLimited) != 0) t->header.status = 429;
  HttpTransactionInfo info;
  info.index = s.next_index++;
  info.request_complete = true;
  info.response_complete = complete;
  counters_.Add(RealtimeCounter::kExchanges);
  core_->Emit(*at_, info, t);
  core_->Release(t);
}

}  // namespace stillwatch::dataplane
