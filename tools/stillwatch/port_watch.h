// Watches a live box's ports on a thread of its own, five times a second: whether the process keeps up (if not, the
// kernel is told to forward for a while), whether both ports and their links are there, and whether the operator's
// bypass has run out. What changes is told by `Note`, on the watch's thread; what is so can be asked on any thread.
//
// Link-loss forwarding (off unless asked for): when one port loses its link the other is set down, so that the
// devices behind both see it and take another way; when the link is back, so is the other port.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/counters.h"
#include "dataplane/bypass/fail_open.h"
#include "dataplane/bypass/overload.h"
#include "dataplane/dpdk/inline_pair.h"
#include "dataplane/engine/engine.h"

namespace stillwatch {

enum class WatchCounter {
  kOverloadForwarding,  // times that forwarding did not keep up, see overload in `stillctl status`;
                        // give the forwarder a processor of its own (threads.cpus)
  kOverloadLooking,     // times that looking missed nearly all; raise threads.workers
  kLinkLost,            // times that a port lost its link or was gone; check the cable and `ip link`
  kLinkForwarded,       // times that the other port was set down for it (ports.link_loss_forwarding)
  kReopened,        // times that both ports were opened anew because an interface had come back
  kTagChanged,     // frames with an 802.1ad tag that af_packet sent on with an 802.1Q tag; use af_xdp
  kFlowsPassed,    // flows of no interest that the kernel was told to keep
  kPassRefused,    // flows of no interest that the kernel did not take; they stay with the process
  kCount
};
inline constexpr CounterNames<WatchCounter> kWatchCounterNames{
    "watch.overload_forwarding", "watch.overload_looking", "watch.link_lost", "watch.link_forwarded", "watch.reopened",
    "watch.tag_changed", "watch.flows_passed", "watch.pass_refused"};

enum class Link { kUp, kDown, kHeldDown, kMissing };
const char* NameOf(Link link);

class PortWatch {
 public:
  struct Options {
    std::array<std::string, 2> ports;  // interface names; "": none, or no interface of the kernel's
    bool forward = true;
    bool overload_bypass = true;
    bool link_loss_forwarding = false;
    bool changes_tags = false;  // af_packet: 802.1ad tags come out as 802.1Q
  };
  struct State {
    dataplane::Overload overload = dataplane::Overload::kNone;
    int64_t overload_until_ns = 0;  // CLOCK_MONOTONIC
    std::array<Link, 2> links{};
    uint64_t tags_changed = 0;
    std::string reopen_error;  // an interface has come back and cannot be used: why
  };
  // For the log and the audit trail.
  using Note = std::function<void(const std::string& action, const std::string& subject, const std::string& detail)>;

  // All outlive the watch; `fail_open` may be null: then overload is told and nothing raised.
  PortWatch(const Options& options, dataplane::FailOpen* fail_open, dataplane::InlinePair* ports,
            const dataplane::Engine* engine, const Clock* clock, Note note);
  ~PortWatch();

  void Start();
  // Refreshes the counters a last time and gives back a port that is held down.
  void Stop();
  // Hot keys; any thread.
  void Set(bool overload_bypass, bool link_loss_forwarding) {
    overload_bypass_.store(overload_bypass);
    link_loss_forwarding_.store(link_loss_forwarding);
  }
  State state() const;
  const CounterBlock<WatchCounter>& counters() const { return counters_; }

 private:
  void Run();
  void Step();
  void RefreshCounters();
  // What workers found to be of no interest stays in the kernel.
  void PassUninteresting();
  void WatchOverload(int64_t now_ns);
  void WatchLinks(int64_t now_ns);
  // An interface that was removed and is back is another one: takes it into use.
  void WatchReturn(int64_t now_ns);
  void ForwardLinkLoss(int64_t now_ns);
  void WatchBypass(int64_t now_ns);
  void WatchTags();
  bool LinksUp() const;

  const Options options_;
  dataplane::FailOpen* const fail_open_;
  dataplane::InlinePair* const ports_;
  const dataplane::Engine* const engine_;
  const Clock* const clock_;
  const Note note_;
  std::atomic<bool> overload_bypass_, link_loss_forwarding_;

  dataplane::OverloadGuard guard_;
  std::array<unsigned, 2> indexes_{};  // of the interfaces that are in use; 0: none of the kernel's
  int64_t next_reopen_ns_ = 0;
  bool reopen_asked_ = false;
  int held_down_ = -1;           // which port
  int64_t settling_until_ns_ = 0;  // a port was set up again: its link may take so long
  int64_t bypass_until_ns_ = 0;
  std::array<int, 2> tag_sockets_{-1, -1};  // see incoming frames with an 802.1ad tag only
  mutable std::mutex mutex_;
  State state_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
  CounterBlock<WatchCounter> counters_{kWatchCounterNames};
};

// "90s", "30m", "2h", "7d": from 1 s to 30 d. 0: none of these.
int64_t ParseDurationNs(const std::string& text);

}  // namespace stillwatch
