// Reads what each end needs out of the other's body. Server: RequestFacts from a path and a request body,
// by one shallow pass. Client: the Answer from a response body, whole or streamed.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tools/stillgen/model_request.h"
#include "tools/stillgen/responder.h"

namespace stillwatch::stillgen {

// Which of the four endpoints a request target names, if any.
std::optional<Api> ApiOfTarget(std::string_view target);

// False when the body is no JSON object. tool_names point into `body`.
bool ScanRequest(Api api, std::string_view target, std::string_view body, RequestFacts* facts);

// False when the body cannot be read. `status` and `retry_after` come from the head.
bool ReadAnswer(Api api, int status, bool stream, std::string_view body, Answer* answer);

}  // namespace stillwatch::stillgen
