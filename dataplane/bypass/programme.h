// Loads the fail-open programme for one port, with the maps it shares. For FailOpen only.
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

// Names of the maps in fail_open.bpf.c.
inline constexpr const char* kSharedMaps[] = {"control_map", "prefix_map", "port_map"};
inline constexpr const char* kPortMaps[] = {"xsks_map", "peer_map", "counter_map"};

struct LoadedProgramme {
  Fd programme;
  std::map<std::string, Fd> maps;  // by name, all of them
};

// `reuse`: maps that exist already, by name.
Result<LoadedProgramme> LoadProgramme(const std::map<std::string, int>& reuse);

// Runs the programme on frames that come in by `interface`. First in the driver, where that has no
// XDP in the generic place (*native = false).
Result<Fd> AttachProgramme(int programme, const std::string& interface, bool* native);

}  // namespace stillwatch::dataplane
