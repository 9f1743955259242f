// Runs captures through one decoding worker, start to end, as inspect's layers need it.
#pragma once

#include <span>
#include <string>

#include "base/result.h"
#include "dataplane/worker.h"

namespace stillwatch {

// Reads the captures in time order and lets a worker look at every packet; flows that are still open at the end
// are ended. `streams` and `tls` may be null. Fails when a file cannot be opened; what ended a file early, and each
// interface that is not understood, is said on stderr.
Status RunCaptures(std::span<const std::string> paths, const dataplane::WorkerOptions& options,
                   dataplane::HttpObserver* http, dataplane::WorkerOutput* output,
                   dataplane::StreamObserver* streams, dataplane::TlsObserver* tls = nullptr);

}  // namespace stillwatch
