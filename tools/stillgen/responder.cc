#include "tools/stillgen/responder.h"

#include "tools/stillgen/encode_response.h"
#include "tools/stillgen/tool_catalogue.h"

namespace stillwatch::stillgen {

std::string RandomId(std::string_view prefix, size_t length, Rng& rng) {
  static constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  std::string id(prefix);
  for (size_t i = 0; i < length; ++i) id.push_back(kAlphabet[rng.Below(kAlphabet.size())]);
  return id;
}

RequestFacts FactsOf(Api api, const Prompt& prompt, size_t body_bytes) {
  RequestFacts facts;
  facts.api = api;
  facts.model = prompt.model;
  facts.stream = prompt.parameters.stream;
  facts.json_output = prompt.parameters.json_output;
  facts.reasoning = !prompt.parameters.reasoning_effort.empty();
  facts.max_tokens = prompt.parameters.max_tokens;
  facts.logprobs = prompt.parameters.top_logprobs >= 0;
  for (const Message& m : prompt.messages) facts.tool_results += m.role == Message::Role::kTool;
  for (const ToolSpec* tool : prompt.tools) facts.tool_names.push_back(tool->name);
  facts.body_bytes = body_bytes;
  return facts;
}

Answer Responder::Choose(const RequestFacts& facts, Rng& rng) const {
  Answer answer;
  answer.tokens_in = static_cast<int>(facts.body_bytes / 5 + 4);
  switch (facts.api) {
    case Api::kChat: answer.id = RandomId("chatcmpl-", 29, rng); break;
    case Api::kResponses: answer.id = RandomId("resp_0", 49, rng); break;
    case Api::kMessages: answer.id = RandomId("msg_01", 22, rng); break;
    case Api::kGemini: answer.id = RandomId("", 23, rng); break;
  }
  if (rng.Chance(options_.rate_limited)) {
    answer.status = 429;
    answer.retry_after_s = static_cast<int>(rng.Range(1, 8));
    return answer;
  }
  // An agent's loop: the fewer results there are, the likelier another call.
  if (!facts.tool_names.empty() && rng.Chance(0.92 - 0.11 * facts.tool_results)) {
    ToolCall call;
    call.name = rng.Pick(facts.tool_names);
    call.id = facts.api == Api::kMessages ? RandomId("toolu_01", 22, rng) : RandomId("call_", 24, rng);
    call.arguments = ToolArguments(call.name, *prose_, rng);
    if (rng.Chance(0.4)) answer.text = prose_->Sentence(rng);
    answer.tokens_out = static_cast<int>(call.arguments.size() / 4 + answer.text.size() / 5 + 12);
    answer.calls.push_back(std::move(call));
    answer.finish = Finish::kToolUse;
    return answer;
  }
  double tokens = rng.LogNormal(options_.answer_tokens, 0.7);
  tokens = std::min(tokens, 6 * options_.answer_tokens);
  if (facts.max_tokens > 0 && tokens > facts.max_tokens) {
    tokens = facts.max_tokens;
    answer.finish = Finish::kLength;
  }
  answer.tokens_out = std::max(1, static_cast<int>(tokens));
  if (facts.reasoning) answer.reasoning_tokens = answer.tokens_out / 2;
  if (!options_.words) return answer;
  answer.text = answer.tokens_out <= 2 ? prose_->Word(rng) : prose_->Text(rng, static_cast<size_t>(answer.tokens_out) * 5);
  if (facts.json_output) answer.text = "{\"answer\": \"" + prose_->Text(rng, 200) + "\"}";
  return answer;
}

Responder::Decision Responder::Decide(const RequestFacts& facts, uint64_t serial) const {
  Rng rng = rng_.Fork("answer", serial), delay = rng_.Fork("delay", serial);
  Decision decision;
  decision.answer = Choose(facts, rng);
  // First byte after queueing and prefill, then tokens at a steady rate.
  const double first_ms = delay.LogNormal(350, 0.5) + static_cast<double>(facts.body_bytes) / 200.0;
  const double per_token_ms = 1000.0 / static_cast<double>(delay.Range(45, 140));
  decision.first_ns = static_cast<int64_t>(first_ms * 1e6 / options_.speed);
  decision.whole_ns = decision.first_ns + static_cast<int64_t>(per_token_ms * 1e6 / options_.speed) *
                                              (decision.answer.tokens_out + decision.answer.reasoning_tokens);
  if (decision.answer.status != 200) decision.first_ns = decision.whole_ns = decision.first_ns / 8;
  return decision;
}

Response Responder::Respond(const RequestFacts& facts, uint64_t serial, int64_t unix_s) const {
  Rng rng = rng_.Fork("encoding", serial);
  const Decision decision = Decide(facts, serial);
  Response response;
  response.answer = decision.answer;
  EncodeResponse(facts, unix_s, rng, &response);
  const size_t count = response.pieces.size();
  const bool streamed = facts.stream && response.answer.status == 200;
  for (size_t i = 0; i < count; ++i) {
    const int64_t spread = decision.whole_ns - decision.first_ns;
    response.pieces[i].at_ns = streamed ? decision.first_ns + spread * static_cast<int64_t>(i) / static_cast<int64_t>(count)
                                        : decision.whole_ns;
  }
  return response;
}

}  // namespace stillwatch::stillgen
