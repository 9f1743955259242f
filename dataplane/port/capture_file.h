// Capture files as a Port: one or several pcap or pcapng files, merged in time order (by each
// file's own order where its times step back; earlier named file first on equal times). For replay
// and inspect; one thread. Frames point into the mapped files; memory that was read and released is
// given back to the kernel, so that a capture of any size needs a few MiB.
//
// Link types: Ethernet as it is; raw IP, NULL, LOOP and Linux cooked (SLL, SLL2) with a made-up
// Ethernet header; records of any other are counted and left out. A cut or corrupt record is
// counted, ends its file with a warning and keeps what came before.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/counters.h"
#include "base/result.h"
#include "dataplane/port/capture_reader.h"
#include "dataplane/port/port.h"
#include "dataplane/port/traffic_clock.h"

namespace stillwatch::dataplane {

enum class CaptureCounter {
  kPackets,          // records handed out as frames
  kBytes,            // captured bytes of those
  kCut,              // records captured shorter than they were on the wire (handed out)
  kTruncatedRecord,  // a file ended inside a record: the rest of that file is missing
  kCorruptRecord,    // a record whose lengths contradict each other: the rest of that file is not
                     // read
  kLinkUnsupported,  // records of a link type that is not understood (left out)
  kLinkMalformed,    // records whose link header is cut or names no IP family (left out)
  kTimeJump,         // traffic time moved more than an hour ahead after 64 packets agreed
  kCount
};
inline constexpr CounterNames<CaptureCounter> kCaptureCounterNames{
    "capture.packets",          "capture.bytes",          "capture.cut",
    "capture.truncated_record", "capture.corrupt_record", "capture.link_unsupported",
    "capture.link_malformed",   "capture.time_jump"};

class CapturePort final : public Port {
 public:
  explicit CapturePort(std::vector<std::unique_ptr<CaptureReader>> readers);
  ~CapturePort() override;

  // Frame.port is the index of the file (of the first 65,536).
  size_t Receive(std::span<Frame> frames) override;
  void Release(std::span<const Frame> frames) override;
  bool lossless() const override { return true; }
  bool at_end() const override { return heap_.empty(); }

  // One line for each file that ended early and each interface that was left out (the first 64).
  const std::vector<std::string>& warnings() const { return warnings_; }
  const CounterBlock<CaptureCounter>& counters() const { return counters_; }
  void RegisterCounters(CounterRegistry* registry) { registry->Register(counters_); }

 private:
  struct File;

  // Reads records of `file` until one can be handed out; false at its end.
  bool Advance(File& file);
  bool Adopt(File& file);
  void Warn(std::string line);

  std::vector<std::unique_ptr<File>> files_;
  std::vector<File*> heap_;  // files with a record waiting, earliest first
  TrafficClock clock_;
  uint64_t number_ = 0;
  std::vector<std::string> warnings_;
  CounterBlock<CaptureCounter> counters_{kCaptureCounterNames};
};

// The error names the file and the reason.
Result<std::unique_ptr<CapturePort>> OpenCaptures(std::span<const std::string> paths);

}  // namespace stillwatch::dataplane
