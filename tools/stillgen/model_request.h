// What a caller asks and what the model answers, before any dialect or client library shapes it.
// Plain values; a Prompt is owned by the actor that asks and lives until its next question.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stillwatch::stillgen {

enum class Api : uint8_t { kChat, kResponses, kMessages, kGemini };
std::string_view ApiName(Api api);

struct ToolCall {
  std::string id, name;
  std::string arguments;  // JSON object as text
};

struct ToolSpec {
  std::string_view name, description;
  std::string_view parameters;  // JSON schema as text
};

struct Message {
  enum class Role : uint8_t { kUser, kAssistant, kTool };
  Role role = Role::kUser;
  std::string text;
  std::vector<ToolCall> calls;      // assistant only
  std::string call_id, call_name;   // tool only: which call this answers
};

struct Parameters {
  int temperature_milli = -1;  // 1/1000; negative: not sent
  int top_p_milli = -1;
  int max_tokens = -1;
  int seed = -1;
  int top_logprobs = -1;             // asks for log probabilities, this many alternatives each
  std::vector<std::pair<int, int>> logit_bias;  // token id and bias; chat only
  bool stream = false;
  bool json_output = false;          // asks for a JSON object
  std::string_view reasoning_effort; // "low", "medium", "high" or empty
};

struct Prompt {
  std::string model;
  std::string system;
  std::vector<Message> messages;
  std::vector<const ToolSpec*> tools;
  Parameters parameters;
  std::string end_user;              // the request's end-user field; empty: not sent
  std::string previous_response_id;  // responses only
};

enum class Finish : uint8_t { kStop, kLength, kToolUse };

struct Answer {
  int status = 200;
  std::string id;
  std::string text;
  std::vector<ToolCall> calls;
  Finish finish = Finish::kStop;
  int tokens_in = 0, tokens_out = 0, reasoning_tokens = 0;
  int retry_after_s = 0;  // with status 429
};

}  // namespace stillwatch::stillgen
