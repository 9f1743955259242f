// inspect --layer exchange: one JSON line for each exchange with a model API. Single thread.
//
//   auto inspector = MakeExchangeInspector(options);
//   auto worker = MakeWorker(worker_options, inspector->http(), inspector->output());
//
// Without show_text a line holds names, numbers and pseudonyms only; with it the texts too, as sent. Bytes that
// are no UTF-8 are printed as U+FFFD. A line (fields always there unless marked ?):
//   time, dialect, api, model, batch, stream, messages, roles, temperature, top_p, n, max_tokens, seed, logprobs,
//   logit_bias, response_format, reasoning, tools, status, finish_reason (the provider's word), finish (ours),
//   response_model, usage {input, output, counted}, tool_calls, error, refusal, rate_limited, account, client,
//   client_port (null: not named), joined (with the client's connection in front of a terminator), ja4 (hash; null: unknown),
//   request_bytes, response_bytes, events, time_to_first_byte_ms, tokens {system, instruction, tail, output},
//   truncated, ids {issued, returned}, prefix_chain, request_complete, response_complete, marks
//   with show_text: system_text?, last_user_text?, message_texts, text, reasoning_text, tool_calls[].arguments
#pragma once

#include <cstdio>
#include <memory>

#include "dataplane/llm/llm_observer.h"

namespace stillwatch {

struct InspectExchangeOptions {
  dataplane::LlmOptions llm;
  bool show_text = false;
  std::FILE* out = stdout;
};

class ExchangeInspector {
 public:
  virtual ~ExchangeInspector() = default;
  virtual dataplane::HttpObserver* http() = 0;
  virtual dataplane::WorkerOutput* output() = 0;  // of the worker; flow records are passed over
  virtual void RegisterCounters(CounterRegistry* registry) = 0;
};

std::unique_ptr<ExchangeInspector> MakeExchangeInspector(const InspectExchangeOptions& options);

}  // namespace stillwatch
