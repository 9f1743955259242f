// One model exchange in flight: what is kept between the calls of the HTTP layer. Private to LlmObserver.
#pragma once

#include <cstdint>

#include "dataplane/http/sse.h"
#include "dataplane/llm/chunk_list.h"
#include "dataplane/llm/dialect.h"
#include "dataplane/llm/document_splitter.h"
#include "dataplane/llm/event_stream.h"
#include "dataplane/llm/exchange.h"
#include "dataplane/llm/output_digest.h"

namespace stillwatch::dataplane {

struct RealtimeSession;

// An event parser from the observer's pool.
struct StreamParser {
  explicit StreamParser(size_t event_bytes_max) : sse(event_bytes_max) {}
  SseParser sse;
  size_t largest_span = 0;      // how big its buffers may have grown
  uint64_t oversized_told = 0;
};

enum class ResponseKind : uint8_t {
  kUnknown,    // no head yet, or no body byte that would tell
  kJson,
  kEvents,     // server-sent events
  kLines,      // a JSON document a line
  kFrames,     // AWS event stream
  kIgnored,    // no parser was free, or the frames are broken
};

struct Transaction {
  Transaction(const text::TokenHasher& hasher, Salt text_salt) : output(hasher, text_salt) {}

  ExchangeHeader header;
  const DialectInfo* dialect = nullptr;
  bool request_digested = false;
  bool dropped = false;              // not a model request after all
  bool request_cut = false, response_cut = false;  // passed the body limit, or the pool was empty
  bool response_begun = false;       // a byte of its body that is no blank was seen
  ResponseKind response_kind = ResponseKind::kUnknown;
  StreamParser* stream = nullptr;
  uint64_t events = 0;
  uint64_t tokens_counted = 0;       // of the request
  uint8_t model_length = 0;
  char model[64];
  ChunkList request_body, response_body;
  ChunkList digest;                  // prefix chain, ids returned (uint64), then tokens by part (uint32)
  OutputState output;
  DocumentSplitter documents;        // of a batch that is sent, or of an answer by lines
  EventStreamFramer frames;          // of an answer in frames
  bool frame_skipped = false;        // the frame at hand is over the limit
  Transaction* lines = nullptr;      // of a batch: its requests so far, the newest first
  Transaction* next_line = nullptr;
  uint32_t lines_count = 0;
  RealtimeSession* session = nullptr;  // of a request that upgraded to a realtime conversation
  uint64_t response_key = 0, event_key = 0;  // of a realtime answer: its id, once begun; the id of the event that asked
  bool digest_late = false;          // nobody asked for it by an event: what was heard meanwhile is its request
  Transaction* next_free = nullptr;
};

}  // namespace stillwatch::dataplane
