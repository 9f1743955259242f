// Feeds request and response bodies to an LlmObserver as the HTTP layer would, whole or cut, and keeps what
// came out.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/llm/llm_observer.h"

namespace stillwatch::dataplane::testing {

struct SeenMessage {
  Role role;
  std::string role_name, text;  // text pieces that are no tool results, joined
  std::string tool_text;
};

struct SeenCall {
  std::string name, arguments;
};

// One exchange, with its text.
struct Seen {
  bool request = false, dropped = false, emitted = false;
  std::string model, system_text, end_user;
  uint32_t request_flags = 0;
  bool text_input = false;
  uint32_t turns = 0;
  uint64_t max_tokens = 0, n = 0;
  int32_t temperature_milli = 0, top_p_milli = 0;
  std::vector<SeenMessage> messages;
  std::vector<std::string> tools, ids_returned;
  std::string text, reasoning, response_model, finish, error;
  std::vector<SeenCall> calls;
  bool more_choices = false;
  uint64_t events = 0;
  ExchangeHeader header;
  std::vector<uint64_t> prefix_chain, issued, returned;
  std::vector<uint32_t> tokens[kParts];
};

class Recorder final : public WorkerOutput, public ExchangeTextObserver {
 public:
  void OnExchange(const ExchangeView& view) override;
  void OnFlowRecord(const FlowRecord&) override {}
  void OnRequest(const void* exchange, const RequestView& request) override;
  void OnOutput(const void* exchange, OutputKind kind, std::string_view fragment) override;
  void OnExchange(const void* exchange, const ExchangeView& view, uint64_t events) override;
  void OnDropped(const void* exchange) override;

  Seen seen;
  int exchanges = 0;
};

struct Case {
  std::string method = "POST", target, host = "api.example.com";
  std::vector<std::pair<std::string, std::string>> request_headers, response_headers;
  std::string request, response;
  uint16_t status = 200;
  bool with_response = true;
  bool complete = true;
};

// Plays one case, bodies in pieces of `piece` bytes. `observer` was made with `recorder` twice.
Seen Play(const Case& c, size_t piece, LlmObserver* observer, Recorder* recorder);
// The same with an observer of its own, default options and `change` applied.
Seen Play(const Case& c, size_t piece = 1 << 16, const LlmOptions* options = nullptr);

LlmOptions SmallOptions();  // pools small enough for tests

std::string ReadFile(const std::string& path);

}  // namespace stillwatch::dataplane::testing
