// The fail-open programme in the kernel (fail_open.bpf.c), installed on both ports and pinned: it
// stays when this process dies and sends frames straight from port to port until a heart beats
// again. For the daemon, its stop, and `bypass on|off`. Start-up thread, except Heart (forwarder)
// and the setters (any one thread).
//
// Pinned below Options::bpffs: links and maps of both ports. Install after a crash adopts them:
// maps, operator's bypass switch and counters stay, the programme is replaced in one step; no frame
// is lost by it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/counters.h"
#include "base/result.h"
#include "dataplane/bypass/interest.h"
#include "dataplane/port/flow_ends.h"
#include "dataplane/port/heart.h"

namespace stillwatch::dataplane {

struct LoadedProgramme;

// Kept by the kernel, both ports together; copied here by RefreshCounters.
enum class BypassCounter {
  kToProcess,      // frames given to the process
  kHeartStale,     // frames sent on by the kernel because the heart did not beat in time;
                   // check that the daemon runs and has a processor
  kBypassOn,       // frames sent on by the kernel because bypass is switched on;
                   // use `stillctl bypass off` to look again
  kNoSocket,       // frames sent on by the kernel because no process holds the queue;
                   // check that the daemon runs
  kNotOfInterest,  // IP frames sent on by the kernel that are not on the interest list
  kNotIp,          // control frames, ARP and other EtherTypes sent on by the kernel
  kOverloaded,     // frames sent on by the kernel because the process did not keep up;
                   // look at what `stillctl status` names as overload
  kNoPeer,         // frames dropped because the other port is gone; check ports.a and ports.b
  kPassed,         // frames sent on by the kernel because workers had found their flow to be of no interest
  kPassEnded,      // flows (no frames) that came back to the process: something began anew between their ends, or a fragment came
  kCount
};
inline constexpr CounterNames<BypassCounter> kBypassCounterNames{
    "bypass.to_process", "bypass.heart_stale",     "bypass.switched_on",
    "bypass.no_socket",  "bypass.not_of_interest", "bypass.not_ip",
    "bypass.overloaded", "bypass.no_peer",         "bypass.passed",
    "bypass.pass_ended"};

struct FailOpenOptions {
  bool traffic_control = false;  // the programme runs there, not on XDP; two ports that forward
  std::string bpffs = "/run/stillwatch/bpf";
  std::string port_a;   // interface names in this network namespace
  std::string port_b;   // empty: one mirror port
  bool forward = true;  // false: mirror ports; nothing is ever sent
  int64_t timeout_ns = 20'000'000;
  uint32_t passed_flows_max = 0;  // flows that Pass leaves to the kernel at one time; 0: none
};

class FailOpen {
 public:
  // Refuses when another process's heart beats on these ports.
  static Result<std::unique_ptr<FailOpen>> Install(const FailOpenOptions& options);
  // What is pinned already, without changing it: bypass on|off while no daemon runs.
  static Result<std::unique_ptr<FailOpen>> Open(const std::string& bpffs);
  // Takes the programme off both ports and removes the pins (and the mount, if it was made for us).
  // The ports no longer forward. Nothing pinned: ok.
  static Status Uninstall(const std::string& bpffs);

  // Port 0 (a) or 1 (b) is another interface of the same name now: the programme is put on it, and it is the other
  // port's way out again; that one may be gone. Only after Install. The thread that refreshes the counters.
  Status Reattach(size_t port);

  ~FailOpen();
  FailOpen(const FailOpen&) = delete;
  FailOpen& operator=(const FailOpen&) = delete;

  Heart& heart() { return *heart_; }
  void SetTimeout(int64_t timeout_ns);

  static constexpr int64_t kUntilSwitchedOff = INT64_MAX;
  // The operator's switch: until then (CLOCK_MONOTONIC) the kernel forwards and nothing is looked
  // at. 0: off. It ends by itself, and outlives the process, together with its reason (cut to
  // SW_REASON_BYTES - 1 bytes).
  void SetBypass(int64_t until_ns, std::string_view reason = {});
  // 0: not on.
  int64_t bypass_until_ns() const { return StillAhead(&sw_control::bypass_until_ns); }
  std::string bypass_reason() const;
  // The same by the process itself (overload.h). Install clears it.
  void SetOverload(int64_t until_ns);
  int64_t overload_until_ns() const { return StillAhead(&sw_control::overload_until_ns); }
  // Frames pass unlooked at by one of the two.
  bool bypassed() const { return bypass_until_ns() != 0 || overload_until_ns() != 0; }

  // What is of no interest before and after is so in between. After an error all TCP is of interest.
  Status SetInterest(const Interest& interest);

  // From a quiet moment on the kernel sends the frames of this flow on by itself, both ways, until something begins anew between
  // its ends or others need the place. `looked_ns` (CLOCK_MONOTONIC): all frames that were received up to then have been looked at,
  // as far as they are of this flow. Never for what comes in a tunnel. False: not taken. The thread that refreshes the counters.
  bool Pass(const FlowEnds& ends, int64_t looked_ns);
  // All flows come back to the process: what is of interest is another question now.
  void ForgetPassed();

  void RefreshCounters();
  const CounterBlock<BypassCounter>& counters() const { return counters_; }

  // The programme was pinned before.
  bool adopted() const { return adopted_; }
  // The interface on which the process receives and sends what is port a's (0) or b's (1): the port itself; on traffic control
  // our own end of the way to it.
  const std::string& process_port(size_t port) const { return process_ports_[port]; }
  // It runs in the drivers of both ports; else in the kernel's generic (slower) place.
  bool native() const { return native_; }

 private:
  struct Maps;

  FailOpen();
  Status MapControl();
  // The time in this field, 0 when it is over.
  int64_t StillAhead(__u64 sw_control::*field) const;
  // Takes over what is pinned, if it fits and nobody uses it.
  Status Adopt();
  // Loads, pins and attaches the programme of port 0 (a) or 1 (b).
  Status InstallPort(const FailOpenOptions& options, size_t port);
  Status AttachXdp(const FailOpenOptions& options, size_t port, LoadedProgramme* programme);
  Status AttachTrafficControl(const FailOpenOptions& options, size_t port, LoadedProgramme* programme);

  std::string bpffs_;
  FailOpenOptions options_;
  std::array<std::string, 2> process_ports_;
  std::unique_ptr<Maps> maps_;
  sw_control* control_ = nullptr;  // shared with the kernel
  std::unique_ptr<Heart> heart_;
  bool adopted_ = false, native_ = true;
  CounterBlock<BypassCounter> counters_{kBypassCounterNames};
};

}  // namespace stillwatch::dataplane
