// Loads the fail-open programme for one port, on XDP or on traffic control, with the maps it shares. For FailOpen only.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/result.h"

namespace stillwatch::dataplane {

// A descriptor that is closed at the end.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.Release()) {}
  Fd& operator=(Fd&& other) noexcept {
    Reset(other.Release());
    return *this;
  }
  ~Fd() { Reset(-1); }
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }
  int Release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }

 private:
  void Reset(int fd);
  int fd_;
};

// Where the programme runs.
enum class Hook { kXdp, kTrafficControl };

// Names of the maps in fail_open_decide.h, and of those of each port.
inline constexpr const char* kSharedMaps[] = {"control_map", "prefix_map", "port_map", "udp_port_map", "beginning_map"};
inline constexpr const char* kPassedMap = "passed_map";  // shared, and each process makes its own
inline constexpr const char* kXdpMaps[] = {"xsks_map", "peer_map"};  // fail_open.bpf.c
inline constexpr const char* kTrafficControlMaps[] = {"way_map"};    // fail_open_tc.bpf.c
inline constexpr const char* kCounterMap = "counter_map";

struct LoadedProgramme {
  std::map<std::string, Fd> programmes;  // by name: "xsk_def_prog", or "from_wire", "from_process", "to_nobody"
  std::map<std::string, Fd> maps;        // by name, all of them
};

// `reuse`: maps that exist already, by name. `passed_flows_max`: entries of passed_map where it is made, at least 1.
Result<LoadedProgramme> LoadProgramme(Hook hook, const std::map<std::string, int>& reuse, uint32_t passed_flows_max);

// Runs the programme on frames that come in by `interface`. First in the driver, where that has no
// XDP in the generic place (*native = false).
Result<Fd> AttachProgramme(int programme, const std::string& interface, bool* native);

}  // namespace stillwatch::dataplane
