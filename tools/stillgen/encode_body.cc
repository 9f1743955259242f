// The four request bodies. Key order follows the SDKs, or starts with the model where people write the
// body by hand.
#include "tools/stillgen/client_stack.h"

namespace stillwatch::stillgen {
namespace {

using Role = Message::Role;

void Sampling(const Parameters& p, std::string_view max_tokens_key, JsonText* j) {
  if (p.max_tokens >= 0) j->Key(max_tokens_key).Number(p.max_tokens);
  if (p.temperature_milli >= 0) j->Key("temperature").Milli(p.temperature_milli);
  if (p.top_p_milli >= 0) j->Key("top_p").Milli(p.top_p_milli);
}

void ChatMessages(const Prompt& prompt, JsonText* j) {
  j->Key("messages").Open('[');
  if (!prompt.system.empty()) {
    j->Open('{').Key("role").Text("system").Key("content").Text(prompt.system).Close('}');
  }
  for (const Message& m : prompt.messages) {
    j->Open('{').Key("role").Text(m.role == Role::kUser        ? "user"
                                  : m.role == Role::kAssistant ? "assistant"
                                                               : "tool");
    if (m.role == Role::kTool) j->Key("tool_call_id").Text(m.call_id);
    j->Key("content");
    m.text.empty() ? j->Null() : j->Text(m.text);
    if (!m.calls.empty()) {
      j->Key("tool_calls").Open('[');
      for (const ToolCall& call : m.calls) {
        j->Open('{').Key("id").Text(call.id).Key("type").Text("function");
        j->Key("function").Open('{').Key("name").Text(call.name);
        j->Key("arguments").Text(call.arguments).Close('}').Close('}');
      }
      j->Close(']');
    }
    j->Close('}');
  }
  j->Close(']');
}

void ChatBody(const Prompt& prompt, bool model_first, JsonText* j) {
  const Parameters& p = prompt.parameters;
  if (model_first) j->Key("model").Text(prompt.model);
  ChatMessages(prompt, j);
  if (!model_first) j->Key("model").Text(prompt.model);
  Sampling(p, prompt.model.find("reason") != std::string::npos ? "max_completion_tokens" : "max_tokens", j);
  if (!p.reasoning_effort.empty()) j->Key("reasoning_effort").Text(p.reasoning_effort);
  if (p.json_output) j->Key("response_format").Raw(R"({"type":"json_object"})");
  if (p.seed >= 0) j->Key("seed").Number(p.seed);
  if (p.top_logprobs >= 0) j->Key("logprobs").Bool(true).Key("top_logprobs").Number(p.top_logprobs);
  if (!p.logit_bias.empty()) {
    j->Key("logit_bias").Open('{');
    for (const auto& [token, bias] : p.logit_bias) j->Key(std::to_string(token)).Number(bias);
    j->Close('}');
  }
  if (p.stream) j->Key("stream").Bool(true).Key("stream_options").Raw(R"({"include_usage":true})");
  if (!prompt.tools.empty()) {
    j->Key("tools").Open('[');
    for (const ToolSpec* tool : prompt.tools) {
      j->Open('{').Key("type").Text("function").Key("function").Open('{');
      j->Key("name").Text(tool->name).Key("description").Text(tool->description);
      j->Key("parameters").Raw(tool->parameters).Close('}').Close('}');
    }
    j->Close(']');
  }
  if (!prompt.end_user.empty()) j->Key("user").Text(prompt.end_user);
}

void ResponsesInput(const Prompt& prompt, JsonText* j) {
  j->Key("input").Open('[');
  for (const Message& m : prompt.messages) {
    if (m.role == Role::kTool) {
      j->Open('{').Key("type").Text("function_call_output").Key("call_id").Text(m.call_id);
      j->Key("output").Text(m.text).Close('}');
      continue;
    }
    if (!m.text.empty()) {
      j->Open('{').Key("role").Text(m.role == Role::kUser ? "user" : "assistant");
      j->Key("content").Text(m.text).Close('}');
    }
    for (const ToolCall& call : m.calls) {
      j->Open('{').Key("type").Text("function_call").Key("call_id").Text(call.id);
      j->Key("name").Text(call.name).Key("arguments").Text(call.arguments).Close('}');
    }
  }
  j->Close(']');
}

void ResponsesBody(const Prompt& prompt, bool model_first, JsonText* j) {
  const Parameters& p = prompt.parameters;
  if (model_first) j->Key("model").Text(prompt.model);
  ResponsesInput(prompt, j);
  if (!prompt.system.empty()) j->Key("instructions").Text(prompt.system);
  Sampling(p, "max_output_tokens", j);
  if (!model_first) j->Key("model").Text(prompt.model);
  if (!prompt.previous_response_id.empty()) j->Key("previous_response_id").Text(prompt.previous_response_id);
  if (!p.reasoning_effort.empty()) {
    j->Key("reasoning").Open('{').Key("effort").Text(p.reasoning_effort).Close('}');
  }
  if (p.json_output) j->Key("text").Raw(R"({"format":{"type":"json_object"}})");
  if (p.top_logprobs >= 0) j->Key("top_logprobs").Number(p.top_logprobs);
  if (p.stream) j->Key("stream").Bool(true);
  if (!prompt.tools.empty()) {
    j->Key("tools").Open('[');
    for (const ToolSpec* tool : prompt.tools) {
      j->Open('{').Key("type").Text("function").Key("name").Text(tool->name);
      j->Key("description").Text(tool->description).Key("parameters").Raw(tool->parameters).Close('}');
    }
    j->Close(']');
  }
  if (!prompt.end_user.empty()) j->Key("user").Text(prompt.end_user);
}

void MessagesList(const Prompt& prompt, JsonText* j) {
  j->Key("messages").Open('[');
  for (const Message& m : prompt.messages) {
    j->Open('{').Key("role").Text(m.role == Role::kAssistant ? "assistant" : "user").Key("content");
    if (m.role == Role::kTool) {
      j->Open('[').Open('{').Key("type").Text("tool_result").Key("tool_use_id").Text(m.call_id);
      j->Key("content").Text(m.text).Close('}').Close(']');
    } else if (m.calls.empty()) {
      j->Text(m.text);
    } else {
      j->Open('[');
      if (!m.text.empty()) j->Open('{').Key("type").Text("text").Key("text").Text(m.text).Close('}');
      for (const ToolCall& call : m.calls) {
        j->Open('{').Key("type").Text("tool_use").Key("id").Text(call.id).Key("name").Text(call.name);
        j->Key("input").Raw(call.arguments).Close('}');
      }
      j->Close(']');
    }
    j->Close('}');
  }
  j->Close(']');
}

void MessagesBody(const Prompt& prompt, bool model_first, JsonText* j) {
  const Parameters& p = prompt.parameters;
  if (model_first) j->Key("model").Text(prompt.model);
  j->Key("max_tokens").Number(p.max_tokens >= 0 ? p.max_tokens : 1024);
  MessagesList(prompt, j);
  if (!prompt.end_user.empty()) {
    j->Key("metadata").Open('{').Key("user_id").Text(prompt.end_user).Close('}');
  }
  if (!model_first) j->Key("model").Text(prompt.model);
  if (p.stream) j->Key("stream").Bool(true);
  if (!prompt.system.empty()) j->Key("system").Text(prompt.system);
  if (p.temperature_milli >= 0) j->Key("temperature").Milli(std::min(p.temperature_milli, 1000));
  if (p.top_p_milli >= 0) j->Key("top_p").Milli(p.top_p_milli);
  if (!p.reasoning_effort.empty()) {
    j->Key("thinking").Open('{').Key("type").Text("enabled").Key("budget_tokens").Number(2048).Close('}');
  }
  if (!prompt.tools.empty()) {
    j->Key("tools").Open('[');
    for (const ToolSpec* tool : prompt.tools) {
      j->Open('{').Key("name").Text(tool->name).Key("description").Text(tool->description);
      j->Key("input_schema").Raw(tool->parameters).Close('}');
    }
    j->Close(']');
  }
}

void GeminiContents(const Prompt& prompt, JsonText* j) {
  j->Key("contents").Open('[');
  for (const Message& m : prompt.messages) {
    j->Open('{').Key("role").Text(m.role == Role::kAssistant ? "model" : "user");
    j->Key("parts").Open('[');
    if (m.role == Role::kTool) {
      j->Open('{').Key("functionResponse").Open('{').Key("name").Text(m.call_name);
      j->Key("response").Open('{').Key("result").Text(m.text).Close('}').Close('}').Close('}');
    } else {
      if (!m.text.empty()) j->Open('{').Key("text").Text(m.text).Close('}');
      for (const ToolCall& call : m.calls) {
        j->Open('{').Key("functionCall").Open('{').Key("name").Text(call.name);
        j->Key("args").Raw(call.arguments).Close('}').Close('}');
      }
    }
    j->Close(']').Close('}');
  }
  j->Close(']');
}

void GeminiBody(const Prompt& prompt, JsonText* j) {
  const Parameters& p = prompt.parameters;
  GeminiContents(prompt, j);
  if (!prompt.system.empty()) {
    j->Key("systemInstruction").Open('{').Key("parts").Open('[');
    j->Open('{').Key("text").Text(prompt.system).Close('}').Close(']').Close('}');
  }
  if (!prompt.tools.empty()) {
    j->Key("tools").Open('[').Open('{').Key("functionDeclarations").Open('[');
    for (const ToolSpec* tool : prompt.tools) {
      j->Open('{').Key("name").Text(tool->name).Key("description").Text(tool->description);
      j->Key("parameters").Raw(tool->parameters).Close('}');
    }
    j->Close(']').Close('}').Close(']');
  }
  j->Key("generationConfig").Open('{');
  if (p.temperature_milli >= 0) j->Key("temperature").Milli(p.temperature_milli);
  if (p.top_p_milli >= 0) j->Key("topP").Milli(p.top_p_milli);
  if (p.max_tokens >= 0) j->Key("maxOutputTokens").Number(p.max_tokens);
  if (p.top_logprobs >= 0) j->Key("responseLogprobs").Bool(true).Key("logprobs").Number(p.top_logprobs);
  if (p.json_output) j->Key("responseMimeType").Text("application/json");
  if (!p.reasoning_effort.empty()) j->Key("thinkingConfig").Raw(R"({"includeThoughts":true})");
  j->Close('}');
}

}  // namespace

std::string_view ApiName(Api api) {
  switch (api) {
    case Api::kChat: return "chat";
    case Api::kResponses: return "responses";
    case Api::kMessages: return "messages";
    case Api::kGemini: return "generateContent";
  }
  return "";
}

std::string EncodeBody(const ClientIdentity& client, const Prompt& prompt) {
  JsonText j(client.stack->json);
  j.Open('{');
  switch (client.api) {
    case Api::kChat: ChatBody(prompt, client.stack->model_first, &j); break;
    case Api::kResponses: ResponsesBody(prompt, client.stack->model_first, &j); break;
    case Api::kMessages: MessagesBody(prompt, client.stack->model_first, &j); break;
    case Api::kGemini: GeminiBody(prompt, &j); break;
  }
  j.Close('}');
  return std::move(j.text());
}

}  // namespace stillwatch::stillgen
