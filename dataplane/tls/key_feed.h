// Session secrets from the TLS terminator: key log lines from a file (followed as it grows, and when it is replaced)
// and from programs that connect to a unix socket and are on its list (SO_PEERCRED). One thread reads them and
// copies each secret to the ring of every worker; a ring that stays full is a counted loss.
//
// ReadFile is for captures: all lines of a file, before the workers start.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/counters.h"
#include "base/result.h"
#include "dataplane/tls/secret_ring.h"

namespace stillwatch::dataplane {

enum class KeyFeedCounter {
  kLines,          // key log lines with a secret, from file or socket
  kOtherLines,     // key log lines that are not needed: comments, exporter secrets
  kBadLines,       // key log lines that are not of the form; the terminator writes something else
  kLongLines,      // key log lines over 512 bytes; passed over
  kPeersRefused,   // programs that connected to tls.keylog_socket and are not in tls.keylog_uids
  kPeersTooMany,   // connections to tls.keylog_socket over 16 at one time; refused
  kRingFull,       // secrets that a worker did not take in time; lost to it
  kFileReopened,   // times that tls.keylog_file was replaced or cut
  kCount
};
inline constexpr CounterNames<KeyFeedCounter> kKeyFeedCounterNames{
    "keyfeed.lines",         "keyfeed.other_lines",    "keyfeed.bad_lines", "keyfeed.long_lines",
    "keyfeed.peers_refused", "keyfeed.peers_too_many", "keyfeed.ring_full", "keyfeed.file_reopened"};

struct KeyFeedOptions {
  std::string file;                 // "" for none
  std::string socket;               // "" for none
  std::vector<uint32_t> uids;       // that may write to the socket; root and our own always may
  size_t workers = 1;
  size_t ring_secrets = 8'192;      // for each worker
};

class KeyFeed {
 public:
  // Opens file and socket; Start begins to read. The message names what fails and the mend.
  static Result<std::unique_ptr<KeyFeed>> Open(const KeyFeedOptions& options);
  // Reads `file` whole into rings that are large enough for it.
  static Result<std::unique_ptr<KeyFeed>> ReadFile(const std::string& file, size_t workers);
  ~KeyFeed();

  void Start();
  SecretRing* ring(size_t worker) { return rings_[worker].get(); }
  const CounterBlock<KeyFeedCounter>& counters() const { return counters_; }
  // How many sessions the rings can hold: for a file read whole, no fewer than it has.
  size_t sessions_max() const { return options_.ring_secrets; }
  // False when the system let us not lock all rings in memory.
  bool locked() const;

 private:
  class LineReader;
  explicit KeyFeed(const KeyFeedOptions& options);
  Status OpenFile();
  Status Listen();
  void Run();
  void FollowFile();
  void Accept();
  bool ReadPeer(LineReader* peer);
  void TakeLine(std::string_view line);
  void TakeBytes(LineReader* from, const char* data, size_t size);

  const KeyFeedOptions options_;
  std::vector<std::unique_ptr<SecretRing>> rings_;
  CounterBlock<KeyFeedCounter> counters_{kKeyFeedCounterNames};
  std::unique_ptr<LineReader> file_;
  std::vector<std::unique_ptr<LineReader>> peers_;
  uint64_t file_offset_ = 0;
  int listener_ = -1, wake_ = -1;
  bool live_ = false;  // workers take from the rings meanwhile
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace stillwatch::dataplane
