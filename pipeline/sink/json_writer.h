// Records as NDJSON, by our own rules rather than protobuf's JSON mapping, so that a line reads
// well and `jq` needs no conversions:
//   - names in snake_case as in the .proto; every field is always written, set or not
//   - Meta's fields stand at the top level of the record
//   - times (see FormOf) RFC 3339 with Z and nine digits; 0 is "1970-01-01T00:00:00.000000000Z":
//   not set
//   - counts are JSON numbers, 64-bit ones too (a reader that keeps doubles loses digits above
//   2^53)
//   - bytes, fixed32 and fixed64 (hashes, ids) are lower-case hex strings
//   - enums are their value's name in lower case without the type's prefix: "step_up"
//   - maps are objects, sorted by key; ill-formed UTF-8 becomes U+FFFD
// There are no floating-point fields (CHECKed: a verdict never depends on one).
// Pure; any thread. Depth and size are bounded by the record types, which do not recurse.
#pragma once

#include <string>
#include <string_view>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include "pipeline/sink/sink.h"

namespace stillwatch::pipeline {

// How one field's values look in JSON.
enum class JsonForm {
  kNumber,
  kBool,
  kString,
  kHexBytes,
  kHex32,
  kHex64,
  kTime,
  kEnum,
  kObject,
  kMap
};
JsonForm FormOf(const google::protobuf::FieldDescriptor& field);

// "ACTION_STEP_UP" of enum Action -> "step_up".
std::string EnumText(const google::protobuf::EnumValueDescriptor& value);

// Appends one JSON object, without a newline.
void AppendRecord(const google::protobuf::Message& record, std::string* out);

// Appends the event as a whole line with its newline. A tombstone is
// {"event_id":"...","key":"...","tombstone":true}.
void AppendLine(const Event& event, std::string* out);

// Appends `text` as a JSON string with its quotes.
void AppendJsonString(std::string_view text, std::string* out);

}  // namespace stillwatch::pipeline
