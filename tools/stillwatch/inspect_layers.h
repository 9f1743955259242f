// The http, http2, stream and tls layers of inspect: lines as inspect.h describes them, to `out`. Fail when a capture cannot
// be opened.
#pragma once

#include <cstdio>
#include <span>
#include <string>

#include "base/result.h"
#include "dataplane/worker.h"

namespace stillwatch {

Status InspectHttp(std::span<const std::string> captures, const dataplane::WorkerOptions& options,
                   std::FILE* out);
Status InspectHttp2(std::span<const std::string> captures, const dataplane::WorkerOptions& options,
                    std::FILE* out);
// A line a WebSocket frame, when its payload was seen to its end: frame (number of the packet, from 1), src, sport, dst,
// dport, fin, opcode, masked, payload_length (the seven bits), length, rsv, and where the frame ends a message
// message_length, its bytes after decompression (else null).
Status InspectWebSocket(std::span<const std::string> captures, const dataplane::WorkerOptions& options,
                    std::FILE* out);
Status InspectStreams(std::span<const std::string> captures,
                      const dataplane::WorkerOptions& options, std::FILE* out);

Status InspectTls(std::span<const std::string> captures, const dataplane::WorkerOptions& options, std::FILE* out);

}  // namespace stillwatch
