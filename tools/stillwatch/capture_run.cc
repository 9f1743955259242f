#include "tools/stillwatch/capture_run.h"

#include <algorithm>

#include "dataplane/port/capture_file.h"

namespace stillwatch {

using dataplane::Frame;
using dataplane::LookResult;

Status RunCaptures(std::span<const std::string> paths, const dataplane::WorkerOptions& options,
                   dataplane::HttpObserver* http, dataplane::WorkerOutput* output,
                   dataplane::StreamObserver* streams, dataplane::TlsObserver* tls) {
  auto opened = dataplane::OpenCaptures(paths);
  if (!opened.ok()) return opened.error();
  auto& port = *opened.value();
  const auto worker = dataplane::MakeWorker(options, http, output, streams, tls);
  uint64_t packet = 0;
  int64_t time_ns = 0, next_tick_ns = INT64_MIN;
  Frame frames[dataplane::kBurstMax];
  while (!port.at_end()) {
    const size_t count = port.Receive(frames);
    for (const Frame& frame : std::span(frames, count)) {
      packet = frame.number;
      time_ns = frame.time_ns;
      // Timeouts once a second of traffic time, before the packet that carried time there.
      if (time_ns >= next_tick_ns) {
        if (next_tick_ns != INT64_MIN) worker->Tick(packet, time_ns);
        next_tick_ns = time_ns + kNsPerSecond;
      }
      LookResult result = worker->Look(frame);
      while (result == LookResult::kMore) result = worker->Continue();
    }
    port.Release({frames, count});
  }
  worker->Finish(packet, time_ns);
  return {};
}

}  // namespace stillwatch
