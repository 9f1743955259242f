// A model request as a dialect read it: what the digest works on and what inspect prints. Filled by one
// dialect from one document, on the worker's thread; views point into the JsonReader and die with it.
// Reused: Clear keeps capacity, and the arrays never grow past their bounds.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "dataplane/llm/exchange.h"

namespace stillwatch::dataplane {

enum class Role : uint8_t { kSystem, kUser, kAssistant, kTool, kOther };

enum class PieceKind : uint8_t {
  kText,
  kToolResult,
  kReasoning,  // the model's, sent back
  kToolCall,   // arguments of a call, sent back; hashed into the prefix chain only
};

struct TextPiece {
  PieceKind kind;
  std::string_view text;
};

struct RequestMessage {
  Role role = Role::kOther;
  std::string_view role_name;  // as sent; for items without a role their type
  uint32_t first_piece = 0, pieces = 0;
};

class RequestView {
 public:
  static constexpr size_t kMessagesMax = 16'384;
  static constexpr size_t kPiecesMax = 65'536;
  static constexpr size_t kNamesMax = 1'024;
  static constexpr size_t kIdsMax = 256;

  RequestView();

  Dialect dialect = Dialect::kUnknown;
  Api api = Api::kUnknown;
  std::string_view model, end_user;
  uint32_t flags = 0;            // those ExchangeFlags that the body decides
  bool shape = false;            // the body has what the dialect cannot do without
  bool text_input = false;       // OpenAI responses with a plain string as input
  bool generates = true;         // false: asks for numbers only (embeddings, a count of tokens)
  int32_t temperature_milli = 0, top_p_milli = 0;
  uint64_t max_tokens = 0, n = 0, seed = 0;
  uint32_t turns = 0, tools = 0;
  uint64_t pieces_dropped = 0, ids_dropped = 0;

  std::vector<TextPiece> system;       // of the system field, beside messages
  std::vector<RequestMessage> messages;
  std::vector<TextPiece> pieces;       // of messages, in order
  std::vector<std::string_view> tool_names;
  std::vector<std::string_view> ids_returned;
  std::vector<uint64_t> biased_tokens;

  void Clear();
  void ClearMessages();  // the field came twice: the last one counts, as with most servers
  void ForgetText();     // of a request that asks for numbers only: names and counts stay

  void BeginMessage();
  void AddPiece(PieceKind kind, std::string_view text);
  void EndMessage(std::string_view role_name);
  void AddSystem(std::string_view text);
  void AddTool(std::string_view name);
  void AddIdReturned(std::string_view id);
  void AddBiasedToken(std::string_view id);

  // The last user message that has text which is not a tool result; messages.size() for none.
  size_t InstructionMessage() const;

  std::span<const TextPiece> PiecesOf(const RequestMessage& message) const {
    return std::span(pieces).subspan(message.first_piece, message.pieces);
  }
};

}  // namespace stillwatch::dataplane
