// What all readers of one LlmObserver share: its pools, the one JSON reader, the digest, the way out. Private to
// dataplane/llm, on the worker's thread; members are open, as HttpCore's are. All memory is taken at construction.
//
// A Transaction goes Take -> (Hold ... DigestRequest) -> response -> Emit -> Release.
#pragma once

#include <deque>
#include <string_view>
#include <vector>

#include "dataplane/llm/exchange_builder.h"
#include "dataplane/llm/llm_observer.h"
#include "dataplane/llm/request_digest.h"
#include "dataplane/llm/transaction.h"

namespace stillwatch::dataplane {

struct LlmCore {
  LlmCore(const LlmOptions& options_given, WorkerOutput* output_given, ExchangeTextObserver* texts_given);
  LlmCore(const LlmCore&) = delete;
  LlmCore& operator=(const LlmCore&) = delete;

  Transaction* Take();  // nullptr: all are in flight
  void Release(Transaction* t);
  bool HalfFree() const { return in_flight < options.exchanges_max / 2; }
  OutputDigest OutputOf(Transaction* t) {
    return OutputDigest(&t->output, &pool, &counters, id_salt, texts, t);
  }
  // Appends to `body` what there is room for; else *cut, counted.
  void Hold(Bytes data, ChunkList* body, bool* cut, LlmCounter too_large);
  // Reads the request body held. t->dropped: it is no model request.
  void DigestRequest(Transaction* t, bool complete);
  // Digests `request`, which a dialect filled.
  void DigestView(Transaction* t);
  void KeepDigest(Transaction* t);
  // One event of a streamed answer. `cut`: its end is missing.
  void ReadEvent(Transaction* t, std::string_view type, std::string_view data, bool cut);
  void CountJsonTrouble(LlmCounter malformed);
  void Emit(const StreamContext& at, const HttpTransactionInfo& info, Transaction* t);
  // A copy of `body` in `inner`, beside the reader's own buffer.
  std::string_view Unwrap(const ChunkList& body);
  // Raw text does not outlive the call that read it.
  void Wipe();

  const LlmOptions options;
  WorkerOutput* const output;
  ExchangeTextObserver* const texts;
  CounterBlock<LlmCounter> counters{kLlmCounterNames};
  const Salt id_salt, text_salt, body_salt, name_salt;
  const text::TokenHasher hasher;
  ChunkPool pool;
  JsonReader json;
  std::vector<uint8_t> inner;              // a document that came inside another one or in a frame
  size_t inner_used = 0;                   // since Wipe
  RequestView request;
  RequestDigest digest;
  ExchangeBuilder builder;
  std::vector<uint32_t> scratch;           // one exchange's request arrays, or its output tokens
  std::deque<Transaction> transactions;    // grows to exchanges_max, never shrinks
  Transaction* free = nullptr;
  uint32_t in_flight = 0;
  std::deque<StreamParser> parsers;
  std::vector<StreamParser*> parsers_free;
};

}  // namespace stillwatch::dataplane
