// Counters of the dialect layer; one block a worker.
#pragma once

#include "base/counters.h"

namespace stillwatch::dataplane {

enum class LlmCounter {
  kExchanges,            // exchanges emitted
  kNotModelApi,          // HTTP requests that no dialect claims by method and path
  kNotModelShape,        // the path fits a dialect, the JSON body does not: another service
  kExchangePoolEmpty,    // model requests not looked at: llm exchanges in flight are at their limit
  kBodyPoolEmpty,        // bodies or tokens cut because the body pool was empty; raise llm.body_pool_mib
  kRequestTooLarge,      // request bodies over the body limit: the first part was read; raise llm.body_kib
  kResponseTooLarge,     // JSON response bodies over the body limit: the first part was read;
                         // raise llm.body_kib
  kRequestMalformed,     // request JSON that could not be read to its end
  kResponseMalformed,    // response JSON that could not be read to its end
  kNestedTooDeep,        // JSON nested deeper than 1,024
  kEvents,               // stream events with data that were read
  kEventMalformed,       // stream events whose JSON could not be read
  kEventTooLarge,        // stream events over the event limit, dropped
  kStreamPoolEmpty,      // streamed responses not read: event parsers in use are at their limit
  kPiecesDropped,        // texts of a request past the limit of pieces or messages
  kIdsDropped,           // ids past the limit of one exchange
  kIdsWeak,              // ids of less than 64 random bits, left out: a constant or a count would link strangers
  kNoCredential,         // exchanges without any credential;
                         // set llm.credential_header where accounts are named otherwise
  kForwardedShort,       // forwarding header with fewer entries than trusted hops: packet source used;
                         // check llm.trusted_hops
  kForwardedUnreadable,  // forwarding header whose entry is no address: packet source used
  kGeneric,              // exchanges of APIs that no dialect claims, read by the generic profile
  kGenericSkipped,       // JSON requests to unknown paths not looked at: half of all exchanges in flight are in use
  kBatchRequests,        // exchanges that came as one request of a batch
  kBatchUnread,          // requests of batches not read: past 1,024 of one batch, or the pool was half empty
  kEventStreamBroken,    // answers in AWS event stream framing given up: lengths or checksums do not hold together
  kCount,
};

inline constexpr CounterNames<LlmCounter> kLlmCounterNames{
    "llm.exchanges",          "llm.not_model_api",       "llm.not_model_shape",
    "llm.exchange_pool_empty", "llm.body_pool_empty",    "llm.request_too_large",
    "llm.response_too_large", "llm.request_malformed",   "llm.response_malformed",
    "llm.nested_too_deep",    "llm.events",              "llm.event_malformed",
    "llm.event_too_large",    "llm.stream_pool_empty",   "llm.pieces_dropped",
    "llm.ids_dropped",        "llm.ids_weak",           "llm.no_credential",       "llm.forwarded_short",
    "llm.forwarded_unreadable", "llm.generic",          "llm.generic_skipped",
    "llm.batch_requests",     "llm.batch_unread",        "llm.event_stream_broken"};

}  // namespace stillwatch::dataplane
