#include "dataplane/llm/loose_answer.h"

namespace stillwatch::dataplane {
namespace {

FinishReason FinishOf(std::string_view name) {
  if (name == "end_turn" || name == "stop_sequence" || name == "stop" || name == "FINISH" || name == "FINISHED" ||
      name == "COMPLETE" || name == "endoftext" || name == "eos" || name == "eos_token") {
    return FinishReason::kStop;
  }
  if (name == "max_tokens" || name == "length" || name == "LENGTH" || name == "MAX_TOKENS" ||
      name == "model_context_window_exceeded") {
    return FinishReason::kLength;
  }
  if (name == "tool_use" || name == "tool_calls" || name == "TOOL_CALL") return FinishReason::kToolUse;
  if (name == "guardrail_intervened" || name == "content_filtered" || name == "CONTENT_FILTERED" ||
      name == "content_filter" || name == "refusal") {
    return FinishReason::kContentFilter;
  }
  return FinishReason::kOther;
}

bool IsFinishName(std::string_view key) {
  return key == "stop_reason" || key == "stopReason" || key == "finish_reason" || key == "completionReason";
}

void ReadFinish(JsonReader& json, JsonValue& value, OutputDigest* output) {
  std::string_view text;
  if (json.String(value, &text)) output->Finish(FinishOf(text), text);
}

void ReadUsage(JsonReader& json, JsonValue& usage, OutputDigest* output) {
  json.Fields(usage, [&](std::string_view key, JsonValue value) {
    uint64_t tokens;
    if (key == "inputTokens" || key == "input_tokens" || key == "prompt_tokens" || key == "inputTokenCount") {
      if (json.Uint(value, &tokens)) output->UsageIn(tokens);
    } else if (key == "outputTokens" || key == "output_tokens" || key == "completion_tokens" ||
               key == "outputTokenCount") {
      if (json.Uint(value, &tokens)) output->UsageOut(tokens);
    } else if (key == "tokens" || key == "billed_units") {  // Cohere, the one after the other
      ReadUsage(json, value, output);
    }
  });
}

// {text, signature}, or {redactedContent}: what Bedrock calls reasoningContent.
void ReadReasoning(JsonReader& json, JsonValue& reasoning, OutputDigest* output) {
  json.Fields(reasoning, [&](std::string_view key, JsonValue value) {
    std::string_view text;
    if (key == "reasoningText") {
      ReadReasoning(json, value, output);
    } else if (key == "text") {
      if (json.String(value, &text)) output->Reasoning(text);
    } else if (key == "signature" || key == "redactedContent") {
      if (json.String(value, &text)) output->IdIssued(text);
    }
  });
}

// `toolUse` of a block, or of a start or delta in a stream.
void ReadToolUse(JsonReader& json, JsonValue& call, OutputDigest* output) {
  std::string_view name, id, input;
  json.Fields(call, [&](std::string_view key, JsonValue value) {
    if (key == "name") json.String(value, &name);
    if (key == "toolUseId") json.String(value, &id);
    if (key == "input") {
      if (json.TypeOf(value) == JsonType::string) {
        json.String(value, &input);
      } else {
        json.Raw(value, &input);
      }
    }
  });
  if (!name.empty()) output->ToolCall(name, id);
  output->ToolArguments(input);
}

// One block of content: Bedrock's and Anthropic's, and the deltas and starts of both.
// note(): 1 while the block being streamed is a call of one of the client's tools, as in anthropic.cc.
void ReadBlock(JsonReader& json, JsonValue& block, bool starts, OutputDigest* output) {
  std::string_view type, text, name, id, input;
  bool has_input = false;
  json.Fields(block, [&](std::string_view key, JsonValue value) {
    if (key == "type") {
      json.String(value, &type);
    } else if (key == "text") {
      if (json.String(value, &text)) output->Text(text);
    } else if (key == "thinking") {
      if (json.String(value, &text)) output->Reasoning(text);
    } else if (key == "partial_json") {
      if (output->note() == 1 && json.String(value, &text)) output->ToolArguments(text);
    } else if (key == "signature" || key == "data") {
      if (json.String(value, &text)) output->IdIssued(text);
    } else if (key == "reasoningContent") {
      ReadReasoning(json, value, output);
    } else if (key == "citationsContent") {  // what was said with the documents beside it
      json.Fields(value, [&](std::string_view inner, JsonValue field) {
        if (inner == "content") ReadTexts(json, field, [&](std::string_view t) { output->Text(t); });
      });
    } else if (key == "toolUse") {
      ReadToolUse(json, value, output);
    } else if (key == "name") {
      json.String(value, &name);
    } else if (key == "id") {
      json.String(value, &id);
    } else if (key == "input") {
      has_input = json.Raw(value, &input);
    } else if (IsFinishName(key)) {
      ReadFinish(json, value, output);
    }
  });
  if (starts) output->note() = type == "tool_use";
  if (type != "tool_use") return;
  output->ToolCall(name, id);
  if (has_input && (!starts || input != "{}")) output->ToolArguments(input);
}

void ReadBlocks(JsonReader& json, JsonValue& content, OutputDigest* output) {
  std::string_view text;
  if (json.TypeOf(content) == JsonType::string) {
    if (json.String(content, &text)) output->Text(text);
    return;
  }
  json.Items(content, [&](JsonValue& block) { ReadBlock(json, block, false, output); });
}

// What some servers put around the text: results, outputs, generations. Only the first is the output.
void ReadTextItems(JsonReader& json, JsonValue& items, OutputDigest* output) {
  bool first = true;
  json.Items(items, [&](JsonValue& item) {
    if (!first) return output->MoreChoices();
    first = false;
    json.Fields(item, [&](std::string_view key, JsonValue value) {
      std::string_view text;
      uint64_t tokens;
      if (key == "outputText" || key == "text") {
        if (json.String(value, &text)) output->Text(text);
      } else if (key == "tokenCount") {
        if (json.Uint(value, &tokens)) output->UsageOut(tokens);
      } else if (IsFinishName(key)) {
        ReadFinish(json, value, output);
      }
    });
  });
}

// `message`: an object with content (Cohere, Ollama, Anthropic's first event), or an error's text.
void ReadMessage(JsonReader& json, JsonValue& message, OutputDigest* output) {
  json.Fields(message, [&](std::string_view key, JsonValue value) {
    std::string_view text;
    if (key == "content") ReadBlocks(json, value, output);
    if (key == "id" && json.String(value, &text)) output->IdIssued(text);
    if (key == "model" && json.String(value, &text)) output->Model(text);
    if (key == "usage") ReadUsage(json, value, output);
    if (key == "thinking" && json.String(value, &text)) output->Reasoning(text);
  });
}

bool ReadNumber(JsonReader& json, std::string_view key, JsonValue& value, OutputDigest* output) {
  uint64_t tokens;
  if (key == "inputTextTokenCount" || key == "prompt_token_count" || key == "prompt_eval_count") {
    if (json.Uint(value, &tokens)) output->UsageIn(tokens);
  } else if (key == "totalOutputTextTokenCount" || key == "generation_token_count" || key == "eval_count") {
    if (json.Uint(value, &tokens)) output->UsageOut(tokens);
  } else {
    return false;
  }
  return true;
}

void ReadField(JsonReader& json, std::string_view key, JsonValue& value, OutputDigest* output) {
  std::string_view text;
  if (key == "choices") {
    ReadChatChoices(json, value, output);
  } else if (key == "content") {
    ReadBlocks(json, value, output);
  } else if (key == "output") {
    json.Fields(value, [&](std::string_view name, JsonValue field) {
      if (name == "message") ReadMessage(json, field, output);
    });
  } else if (key == "message") {
    ReadMessage(json, value, output);
  } else if (key == "outputText" || key == "generation" || key == "completion" || key == "text" ||
             key == "response") {
    if (json.String(value, &text)) output->Text(text);
  } else if (key == "results" || key == "outputs" || key == "generations") {
    ReadTextItems(json, value, output);
  } else if (key == "delta") {
    ReadBlock(json, value, false, output);
  } else if (key == "start" || key == "content_block") {
    ReadBlock(json, value, true, output);
  } else if (IsFinishName(key)) {
    ReadFinish(json, value, output);
  } else if (key == "usage" || key == "amazon-bedrock-invocationMetrics") {
    ReadUsage(json, value, output);
  } else if (key == "id") {
    if (json.String(value, &text)) output->IdIssued(text);
  } else if (key == "model") {
    if (json.String(value, &text)) output->Model(text);
  } else if (key == "error") {
    if (NotNull(json, value)) ReadError(json, value, output);
  } else {
    ReadNumber(json, key, value, output);
  }
}

// Bedrock's events, where they come by name inside the object instead of beside it.
bool IsWrapped(std::string_view key) {
  return key == "messageStart" || key == "contentBlockStart" || key == "contentBlockDelta" || key == "messageStop" ||
         key == "metadata";
}

}  // namespace

void ReadLooseAnswer(JsonReader& json, OutputDigest* output) {
  json.RootFields([&](std::string_view key, JsonValue value) { ReadField(json, key, value, output); });
}

void ReadLooseEvent(JsonReader& json, std::string_view, OutputDigest* output) {
  json.RootFields([&](std::string_view key, JsonValue value) {
    if (!IsWrapped(key)) return ReadField(json, key, value, output);
    json.Fields(value, [&](std::string_view name, JsonValue field) { ReadField(json, name, field, output); });
  });
}

}  // namespace stillwatch::dataplane
