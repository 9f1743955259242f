// Where the body of a message ends and how it is coded: RFC 9112, 6.3, with every rule that two readers apply
// differently marked in the head's anomalies. Pure functions.
#pragma once

#include "dataplane/http/head.h"

namespace stillwatch::dataplane {

enum class BodyKind : uint8_t {
  kNone,
  kLength,      // `length` bytes
  kChunked,
  kUntilClose,
  kUnknown,     // cannot be known: never guessed, the reader searches for the next head
};

struct BodyPlan {
  BodyKind kind = BodyKind::kNone;
  uint64_t length = 0;
  // Codings to undo, in the order of undoing.
  Coding decode[kCodingsMax] = {};
  uint8_t decode_count = 0;
  bool undecodable = false;       // a coding that is not decoded: the bytes are passed over, counted
};

struct RequestTraits {
  bool head = false, connect = false;
};

// A response that never has a body (RFC 9110, 6.4.1).
bool HasNoBody(uint16_t status, RequestTraits request);

// Both mark `head->anomalies` and add the stops (http.encoding_*, http.body_length_unknown) to `stops`.
BodyPlan PlanRequestBody(Head* head, HttpAnomalies* stops);
BodyPlan PlanResponseBody(Head* head, RequestTraits request, HttpAnomalies* stops);
// HTTP/2 frames bodies itself: kUntilClose stands for the stream's end, kNone for no body (`ends`, or by status).
BodyPlan PlanHttp2Body(const Head& head, RequestTraits request, bool ends, HttpAnomalies* stops);

}  // namespace stillwatch::dataplane
