// For inspect only: sees the text of exchanges while they are decoded. The daemon has none, and there text
// never leaves the dialect layer. Called on the worker's thread; views are valid during the call.
#pragma once

#include <cstdint>
#include <string_view>

#include "dataplane/llm/exchange.h"
#include "dataplane/llm/request_view.h"

namespace stillwatch::dataplane {

enum class OutputKind : uint8_t {
  kText,
  kReasoning,
  kToolName,       // a call begins
  kToolArguments,  // of the call that began last, in fragments
  kModel,          // that answered
  kFinish,         // the provider's word for why it ended
  kError,          // the provider's error type
  kMoreChoices,    // another choice than the first answered; its text is left out
};

class ExchangeTextObserver {
 public:
  virtual ~ExchangeTextObserver() = default;
  // `exchange` is the same in all calls of one exchange, and may be used again after OnExchange.
  virtual void OnRequest(const void* exchange, const RequestView& request) = 0;
  virtual void OnOutput(const void* exchange, OutputKind kind, std::string_view fragment) = 0;
  virtual void OnExchange(const void* exchange, const ExchangeView& view, uint64_t events) = 0;
  // The exchange was dropped: it was no model request after all.
  virtual void OnDropped(const void* exchange) = 0;
};

}  // namespace stillwatch::dataplane
