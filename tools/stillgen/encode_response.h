// Writes an Answer in the form of its dialect: JSON with Content-Length or chunks, or server-sent events
// in chunks. Fills bytes and the pieces' bounds; the caller sets their times.
#pragma once

#include "tools/stillgen/responder.h"

namespace stillwatch::stillgen {

void EncodeResponse(const RequestFacts& facts, int64_t unix_s, Rng& rng, Response* response);

// prefix + `length` letters and digits.
std::string RandomId(std::string_view prefix, size_t length, Rng& rng);

}  // namespace stillwatch::stillgen
