#include "dataplane/bypass/fail_open.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/mutant.h"
#include "dataplane/bypass/bpffs.h"
#include "dataplane/bypass/programme.h"

namespace stillwatch::dataplane {

namespace {

constexpr char kPortLetters[] = {'a', 'b'};

std::string PinOf(const std::string& bpffs, const std::string& name) { return bpffs + "/" + name; }
std::string PortPin(const std::string& bpffs, size_t port, const std::string& name) {
  return PinOf(bpffs, std::string(1, kPortLetters[port]) + "_" + name);
}

Fd OpenPin(const std::string& path) { return Fd(bpf_obj_get(path.c_str())); }

// Replaces what was pinned there.
Status Pin(int fd, const std::string& path) {
  unlink(path.c_str());
  if (bpf_obj_pin(fd, path.c_str()) == 0) return {};
  return Error{path + ": cannot pin: " + std::strerror(errno)};
}

uint32_t InterfaceOfLink(int link) {
  bpf_link_info info{};
  uint32_t size = sizeof info;
  return bpf_obj_get_info_by_fd(link, &info, &size) == 0 ? info.xdp.ifindex : 0;
}

sw_control* MapControlPage(int fd) {
  void* at = mmap(nullptr, static_cast<size_t>(sysconf(_SC_PAGESIZE)), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return at == MAP_FAILED ? nullptr : static_cast<sw_control*>(at);
}
void UnmapControlPage(sw_control* control) { munmap(control, static_cast<size_t>(sysconf(_SC_PAGESIZE))); }

uint64_t Load(const __u64* at) { return __atomic_load_n(at, __ATOMIC_ACQUIRE); }
void Store(__u64* at, uint64_t value) { __atomic_store_n(at, value, __ATOMIC_RELEASE); }

// A process that was killed a moment ago leaves a fresh beat behind: wait until it is stale, or moves.
bool AnotherHeartBeats(const sw_control* control) {
  const SystemClock clock;
  const uint64_t first = Load(&control->beat_ns);
  for (;;) {
    const uint64_t beat = Load(&control->beat_ns);
    const auto now = static_cast<uint64_t>(clock.MonotonicNs());
    if (beat != first) return true;
    if (beat == 0 || now < beat || now - beat > Load(&control->timeout_ns)) return false;
    const timespec nap{0, 1'000'000};
    nanosleep(&nap, nullptr);
  }
}

// The maps that a programme of this version pinned; empty when there are none that fit.
std::map<std::string, Fd> PinnedShared(const std::string& bpffs) {
  std::map<std::string, Fd> maps;
  for (const char* name : kSharedMaps) {
    Fd fd = OpenPin(PinOf(bpffs, name));
    if (!fd.ok()) return {};
    maps[name] = std::move(fd);
  }
  sw_control* control = MapControlPage(maps["control_map"].get());
  if (control == nullptr) return {};
  const uint64_t version = Load(&control->version);
  UnmapControlPage(control);
  return version == SW_VERSION ? std::move(maps) : std::map<std::string, Fd>{};
}

// Attaches the programme, or puts it in the place of the one that is pinned.
Status Link(const std::string& bpffs, size_t port, const std::string& interface, int programme, bool* native) {
  const std::string pin = PortPin(bpffs, port, "link");
  if (const Fd link = OpenPin(pin); link.ok()) {
    if (InterfaceOfLink(link.get()) == if_nametoindex(interface.c_str()) &&
        bpf_link_update(link.get(), programme, nullptr) == 0) {
      return {};
    }
    unlink(pin.c_str());  // of an interface that is gone, or another one
  }
  Result<Fd> link = AttachProgramme(programme, interface, native);
  if (!link.ok()) return link.error();
  return Pin(link.value().get(), pin);
}

}  // namespace

struct FailOpen::PortFds {
  std::array<Fd, 2> counters;
};

FailOpen::FailOpen() : ports_(std::make_unique<PortFds>()) {}

FailOpen::~FailOpen() {
  if (control_ != nullptr) UnmapControlPage(control_);
  for (const int fd : {control_fd_, prefix_fd_, port_fd_}) {
    if (fd >= 0) close(fd);
  }
}

Status FailOpen::MapControl() {
  control_ = MapControlPage(control_fd_);
  if (control_ == nullptr) return Error{bpffs_ + "/control_map: cannot be mapped: " + std::strerror(errno)};
  heart_ = std::make_unique<Heart>(reinterpret_cast<uint64_t*>(&control_->beat_ns),
                                   reinterpret_cast<const uint64_t*>(&control_->timeout_ns));
  return {};
}

Result<std::unique_ptr<FailOpen>> FailOpen::Install(const FailOpenOptions& options) {
  std::vector<std::string> interfaces{options.port_a};
  if (!options.port_b.empty()) interfaces.push_back(options.port_b);
  for (const std::string& interface : interfaces) {
    if (if_nametoindex(interface.c_str()) != 0) continue;
    return Error{interface + ": no such interface in this network namespace; `ip link` shows which there are"};
  }
  Status mounted = MountBpffs(options.bpffs);
  if (!mounted.ok()) return Error{mounted.message()};

  std::unique_ptr<FailOpen> self(new FailOpen);
  self->bpffs_ = options.bpffs;
  std::map<std::string, Fd> shared = PinnedShared(options.bpffs);
  self->adopted_ = !shared.empty();
  if (self->adopted_) {
    self->control_fd_ = dup(shared["control_map"].get());
    Status mapped = self->MapControl();
    if (!mapped.ok()) return Error{mapped.message()};
    if (AnotherHeartBeats(self->control_)) {
      return Error{options.bpffs + ": another process is forwarding between these ports (its heart beats); stop it first"};
    }
  }

  for (size_t port = 0; port < interfaces.size(); ++port) {
    std::map<std::string, int> reuse;
    for (const auto& [name, fd] : shared) reuse[name] = fd.get();
    std::map<std::string, Fd> own;
    for (const char* name : kPortMaps) {
      if (!self->adopted_) break;
      if (Fd fd = OpenPin(PortPin(options.bpffs, port, name)); fd.ok()) {
        reuse[name] = fd.get();
        own[name] = std::move(fd);
      }
    }
    Result<LoadedProgramme> loaded = LoadProgramme(reuse);
    if (!loaded.ok()) return loaded.error();
    LoadedProgramme& programme = loaded.value();
    if (shared.empty()) {
      for (const char* name : kSharedMaps) {
        if (Status s = Pin(programme.maps[name].get(), PinOf(options.bpffs, name)); !s.ok()) return Error{s.message()};
        shared[name] = std::move(programme.maps[name]);
      }
    }
    if (self->control_ == nullptr) {
      self->control_fd_ = dup(shared["control_map"].get());
      if (Status s = self->MapControl(); !s.ok()) return Error{s.message()};
      Store(&self->control_->version, SW_VERSION);
    }
    Store(&self->control_->timeout_ns, static_cast<uint64_t>(options.timeout_ns));
    for (const char* name : kPortMaps) {
      if (own.contains(name)) continue;
      if (Status s = Pin(programme.maps[name].get(), PortPin(options.bpffs, port, name)); !s.ok()) return Error{s.message()};
    }
    const uint32_t zero = 0;
    const int peer_map = programme.maps["peer_map"].get();
    if (options.forward && interfaces.size() == 2) {
      const uint32_t peer = if_nametoindex(interfaces[1 - port].c_str());
      if (bpf_map_update_elem(peer_map, &zero, &peer, BPF_ANY) != 0) {
        return Error{interfaces[1 - port] + ": cannot be the kernel's way out of " + interfaces[port] + ": " + std::strerror(errno)};
      }
    } else {
      bpf_map_delete_elem(peer_map, &zero);
    }
    self->ports_->counters[port] = std::move(programme.maps["counter_map"]);
    if (Status s = Link(options.bpffs, port, interfaces[port], programme.programme.get(), &self->native_); !s.ok()) {
      return Error{s.message()};
    }
  }
  self->prefix_fd_ = shared["prefix_map"].Release();
  self->port_fd_ = shared["port_map"].Release();
  self->SetTimeout(options.timeout_ns);
  return self;
}

Result<std::unique_ptr<FailOpen>> FailOpen::Open(const std::string& bpffs) {
  std::unique_ptr<FailOpen> self(new FailOpen);
  self->bpffs_ = bpffs;
  std::map<std::string, Fd> shared = PinnedShared(bpffs);
  if (shared.empty()) return Error{bpffs + ": no fail-open programme of this version is pinned there"};
  self->adopted_ = true;
  self->control_fd_ = shared["control_map"].Release();
  self->prefix_fd_ = shared["prefix_map"].Release();
  self->port_fd_ = shared["port_map"].Release();
  for (size_t port = 0; port < 2; ++port) self->ports_->counters[port] = OpenPin(PortPin(bpffs, port, "counter_map"));
  if (Status s = self->MapControl(); !s.ok()) return Error{s.message()};
  return self;
}

Status FailOpen::Uninstall(const std::string& bpffs) {
  if (!OnBpffs(bpffs)) return {};
  std::string failed;
  const auto remove = [&](const std::string& path) {
    if (unlink(path.c_str()) != 0 && errno != ENOENT) failed = path + ": " + std::strerror(errno);
  };
  for (size_t port = 0; port < 2; ++port) {
    const std::string pin = PortPin(bpffs, port, "link");
    // Detached even if somebody else holds the link open.
    if (const Fd link = OpenPin(pin); link.ok()) bpf_link_detach(link.get());
    remove(pin);
    for (const char* name : kPortMaps) remove(PortPin(bpffs, port, name));
  }
  for (const char* name : kSharedMaps) remove(PinOf(bpffs, name));
  if (!failed.empty()) return Error{failed};
  UnmountBpffsIfEmpty(bpffs);
  return {};
}

void FailOpen::SetTimeout(int64_t timeout_ns) {
  if (MutantIs("heart_never_stale")) timeout_ns = kNsPerHour;
  Store(&control_->timeout_ns, static_cast<uint64_t>(timeout_ns));
}

void FailOpen::SetBypass(bool on) { Store(&control_->bypass, on ? 1 : 0); }
bool FailOpen::bypass() const { return Load(&control_->bypass) != 0; }

Status FailOpen::SetInterest(const Interest& interest) {
  Store(&control_->match_prefixes, 0);
  Store(&control_->match_ports, 0);
  sw_prefix key{};
  while (bpf_map_get_next_key(prefix_fd_, nullptr, &key) == 0) {
    if (bpf_map_delete_elem(prefix_fd_, &key) != 0) break;
  }
  const uint8_t listed = 1;
  for (const sw_prefix& prefix : interest.prefixes) {
    if (bpf_map_update_elem(prefix_fd_, &prefix, &listed, BPF_ANY) != 0) {
      return Error{std::string("fail_open.interest_prefixes: the kernel refuses a prefix: ") + std::strerror(errno)};
    }
  }
  for (uint32_t word = 0; word < interest.port_words.size(); ++word) {
    if (bpf_map_update_elem(port_fd_, &word, &interest.port_words[word], BPF_ANY) != 0) {
      return Error{std::string("fail_open.interest_ports: the kernel refuses a port: ") + std::strerror(errno)};
    }
  }
  Store(&control_->match_prefixes, interest.prefixes.empty() ? 0 : 1);
  Store(&control_->match_ports, interest.port_words.empty() ? 0 : 1);
  return {};
}

void FailOpen::RefreshCounters() {
  static_assert(static_cast<size_t>(BypassCounter::kCount) == SW_COUNTERS);
  const int processors = libbpf_num_possible_cpus();
  if (processors <= 0) return;
  std::vector<uint64_t> values(static_cast<size_t>(processors));
  for (uint32_t counter = 0; counter < SW_COUNTERS; ++counter) {
    uint64_t sum = 0;
    for (const Fd& fd : ports_->counters) {
      if (!fd.ok() || bpf_map_lookup_elem(fd.get(), &counter, values.data()) != 0) continue;
      for (const uint64_t value : values) sum += value;
    }
    counters_.Set(static_cast<BypassCounter>(counter), sum);
  }
}

}  // namespace stillwatch::dataplane
