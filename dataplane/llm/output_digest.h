// What the dialects report of a response, fragment by fragment: text goes through the tokenizer at once and
// is gone. OutputState is the part that lives as long as the exchange; OutputDigest binds it to the
// worker's pools for the time of one call.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/text/stream_hash.h"
#include "base/text/tokenizer.h"
#include "dataplane/llm/chunk_list.h"
#include "dataplane/llm/exchange.h"
#include "dataplane/llm/llm_counters.h"
#include "dataplane/llm/text_observer.h"

namespace stillwatch::dataplane {

inline constexpr uint32_t kIdsIssuedMax = 32;  // of one exchange

struct OutputState {
  text::Tokenizer tokenizer;
  text::StreamHash hash;
  ChunkList tokens;           // uint32: the first kPartTokensMax, then the second half as a ring
  uint64_t tokens_seen = 0;
  bool tokens_lost = false;   // the pool was empty: the rest is missing
  OutputKind kind = OutputKind::kText;
  bool any_text = false;
  uint32_t flags = 0;
  FinishReason finish = FinishReason::kUnknown;
  uint64_t tokens_in = 0, tokens_out = 0;
  uint32_t ids_count = 0;
  uint64_t ids[kIdsIssuedMax];
  int32_t note = 0;           // free for the dialect (kind of the block being streamed)

  OutputState(const text::TokenHasher& hasher, Salt salt) : tokenizer(hasher), hash(salt) {}
};

class OutputDigest final : private text::TokenSink {
 public:
  OutputDigest(OutputState* state, ChunkPool* pool, CounterBlock<LlmCounter>* counters, Salt id_salt,
               ExchangeTextObserver* observer, const void* exchange)
      : state_(*state), pool_(pool), counters_(*counters), id_salt_(id_salt), observer_(observer),
        exchange_(exchange) {}

  void Text(std::string_view fragment) { Add(OutputKind::kText, fragment); }
  void Reasoning(std::string_view fragment) { Add(OutputKind::kReasoning, fragment); }
  void ToolCall(std::string_view name, std::string_view id);
  void ToolArguments(std::string_view fragment) { Add(OutputKind::kToolArguments, fragment); }
  // The provider's own refusal text.
  void Refusal(std::string_view fragment);
  void Finish(FinishReason finish, std::string_view name);
  void Model(std::string_view name) { Tell(OutputKind::kModel, name); }
  void IdIssued(std::string_view id);
  void UsageIn(uint64_t tokens);
  void UsageOut(uint64_t tokens);
  void Error(std::string_view type, bool rate_limited);
  void Flag(ExchangeFlags flag) { state_.flags |= flag; }
  void MoreChoices() { Tell(OutputKind::kMoreChoices, {}); }

  bool any_text() const { return state_.any_text; }
  int32_t& note() { return state_.note; }

  // The response is over; no text after this.
  void End();

 private:
  void Add(OutputKind kind, std::string_view fragment);
  void Tell(OutputKind kind, std::string_view fragment) {
    if (observer_ != nullptr) observer_->OnOutput(exchange_, kind, fragment);
  }
  void Append(std::span<const uint32_t> hashes) override;

  OutputState& state_;
  ChunkPool* pool_;
  CounterBlock<LlmCounter>& counters_;
  Salt id_salt_;
  ExchangeTextObserver* observer_;
  const void* exchange_;
};

}  // namespace stillwatch::dataplane
