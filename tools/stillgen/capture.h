// Drives a World over virtual time and writes what an ingress link would show as one pcap file
// (microseconds, Ethernet). Frames of all connections are interleaved by a heap; timestamps never step
// back. Memory is bounded by the exchanges under way, not by the length of the run.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "tools/stillgen/responder.h"
#include "tools/stillgen/world.h"

namespace stillwatch::stillgen {

struct CaptureOptions {
  std::string path;
  double reorder = 0, dup = 0, loss = 0;  // share of data frames
  uint16_t server_port = 80;
  Responder::Options responder;
};

struct CaptureTotals {
  uint64_t exchanges = 0, frames = 0, bytes = 0, connections = 0, rate_limited = 0;
  int64_t last_ns = 0;  // after the start of the run
};

// Writes the file anew; on an error what was written is left for inspection.
Result<CaptureTotals> WriteCapture(World* world, const CaptureOptions& options);

}  // namespace stillwatch::stillgen
