// Text that reaches a record may hold bytes from the wire (a model's name in a URL path). proto3
// and JSON both demand UTF-8: a consumer's parser refuses the whole record otherwise. Pure; any
// thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <google/protobuf/message.h>

namespace stillwatch::pipeline {

// Length of the well-formed UTF-8 sequence at the front of `text` (Unicode 15, table 3-7); 0 when
// the front is ill-formed or `text` is empty.
size_t Utf8SequenceLength(std::string_view text);

bool IsUtf8(std::string_view text);

// Each ill-formed byte becomes U+FFFD.
std::string RepairUtf8(std::string_view text);

// Null when every string in `record` is well formed (the usual case, no copy); else a repaired
// copy.
std::unique_ptr<google::protobuf::Message> RepairedCopy(const google::protobuf::Message& record);

}  // namespace stillwatch::pipeline
