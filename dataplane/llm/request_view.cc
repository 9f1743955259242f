#include "dataplane/llm/request_view.h"

#include <charconv>

#include "base/mutant.h"

namespace stillwatch::dataplane {
namespace {

Role RoleOf(std::string_view name) {
  if (name == "user") return Role::kUser;
  if (name == "assistant" || name == "model") return Role::kAssistant;
  if (name == "system" || name == "developer") return Role::kSystem;
  if (name == "tool" || name == "function" || name == "function_call_output") return Role::kTool;
  return Role::kOther;
}

}  // namespace

RequestView::RequestView() {
  system.reserve(kNamesMax);
  messages.reserve(kMessagesMax);
  pieces.reserve(kPiecesMax);
  tool_names.reserve(kNamesMax);
  ids_returned.reserve(kIdsMax);
  biased_tokens.reserve(kNamesMax);
}

void RequestView::Clear() {
  dialect = Dialect::kUnknown;
  api = Api::kUnknown;
  model = end_user = {};
  flags = 0;
  shape = text_input = false;
  generates = true;
  temperature_milli = top_p_milli = 0;
  max_tokens = n = seed = 0;
  tools = 0;
  pieces_dropped = ids_dropped = 0;
  system.clear();
  tool_names.clear();
  ids_returned.clear();
  biased_tokens.clear();
  ClearMessages();
}

void RequestView::ClearMessages() {
  messages.clear();
  pieces.clear();
  turns = 0;
}

void RequestView::ForgetText() {
  messages.clear();
  pieces.clear();
  system.clear();
}

void RequestView::BeginMessage() {
  ++turns;
  if (messages.size() == kMessagesMax) {
    ++pieces_dropped;
    messages.pop_back();  // the newest is worth more than the one before it
  }
  messages.push_back({Role::kOther, {}, static_cast<uint32_t>(pieces.size()), 0});
}

void RequestView::AddPiece(PieceKind kind, std::string_view text) {
  if (text.empty() || messages.empty()) return;
  if (pieces.size() == kPiecesMax) {
    ++pieces_dropped;
    return;
  }
  pieces.push_back({kind, text});
  ++messages.back().pieces;
}

void RequestView::EndMessage(std::string_view role_name) {
  RequestMessage& message = messages.back();
  message.role_name = role_name;
  message.role = RoleOf(role_name);
  if (message.role != Role::kTool) return;
  for (uint32_t i = 0; i < message.pieces; ++i) {
    TextPiece& piece = pieces[message.first_piece + i];
    if (piece.kind == PieceKind::kText) piece.kind = PieceKind::kToolResult;
  }
}

void RequestView::AddSystem(std::string_view text) {
  if (text.empty()) return;
  if (system.size() == kNamesMax) {
    ++pieces_dropped;
    return;
  }
  system.push_back({PieceKind::kText, text});
}

void RequestView::AddTool(std::string_view name) {
  ++tools;
  flags |= kToolsDeclared;
  if (tool_names.size() < kNamesMax) tool_names.push_back(name);
}

void RequestView::AddIdReturned(std::string_view id) {
  if (id.empty()) return;
  if (ids_returned.size() == kIdsMax) {
    ++ids_dropped;
    return;
  }
  ids_returned.push_back(id);
}

void RequestView::AddBiasedToken(std::string_view id) {
  uint64_t token = 0;
  std::from_chars(id.data(), id.data() + id.size(), token);
  if (biased_tokens.size() < kNamesMax) biased_tokens.push_back(token);
}

size_t RequestView::InstructionMessage() const {
  for (size_t m = messages.size(); m-- > 0;) {
    if (messages[m].role != Role::kUser) continue;
    for (const TextPiece& piece : PiecesOf(messages[m])) {
      if (piece.kind == PieceKind::kText || MutantIs("llm.tool_result_instructs")) return m;
    }
  }
  return messages.size();
}

}  // namespace stillwatch::dataplane
