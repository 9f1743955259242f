#include "dataplane/bypass/fail_open.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/mutant.h"
#include "dataplane/bypass/bpffs.h"
#include "dataplane/bypass/programme.h"
#include "dataplane/bypass/tap.h"

namespace stillwatch::dataplane {

namespace {

constexpr char kPortLetters[] = {'a', 'b'};
constexpr int64_t kSlackNs = 100 * kNsPerMs;  // of clocks, and of the kernel's queues

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
  void* at = mmap(nullptr, static_cast<size_t>(sysconf(_SC_PAGESIZE)), PROT_READ | PROT_WRITE,
                  MAP_SHARED, fd, 0);
  return at == MAP_FAILED ? nullptr : static_cast<sw_control*>(at);
}
void UnmapControlPage(sw_control* control) {
  munmap(control, static_cast<size_t>(sysconf(_SC_PAGESIZE)));
}

uint64_t Load(const __u64* at) { return __atomic_load_n(at, __ATOMIC_ACQUIRE); }
void Store(__u64* at, uint64_t value) { __atomic_store_n(at, value, __ATOMIC_RELEASE); }

// A process that was killed a moment ago leaves a fresh beat behind: wait until it is stale, or
// moves.
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

std::vector<const char*> PortMaps(Hook hook) {
  std::vector<const char*> names{kCounterMap};
  if (hook == Hook::kXdp) names.insert(names.end(), std::begin(kXdpMaps), std::end(kXdpMaps));
  else names.insert(names.end(), std::begin(kTrafficControlMaps), std::end(kTrafficControlMaps));
  return names;
}

uint32_t WayOf(int way_map, uint32_t which) {
  uint32_t index = 0;
  return bpf_map_lookup_elem(way_map, &which, &index) == 0 ? index : 0;
}

// Takes off a port what is pinned of one hook; nothing pinned: nothing.
void RemoveXdp(const std::string& bpffs, size_t port) {
  const std::string pin = PortPin(bpffs, port, "link");
  // Detached even if somebody else holds the link open.
  if (const Fd link = OpenPin(pin); link.ok()) bpf_link_detach(link.get());
  unlink(pin.c_str());
  for (const char* name : kXdpMaps) unlink(PortPin(bpffs, port, name).c_str());
}
void RemoveTrafficControl(const std::string& bpffs, size_t port) {
  const std::string pin = PortPin(bpffs, port, "way_map");
  if (const Fd ways = OpenPin(pin); ways.ok()) {
    const uint32_t index = WayOf(ways.get(), SW_WAY_PORT);
    if (index != 0) DetachFilter(index);
    if (index != 0) RemoveTap(index);
  }
  unlink(pin.c_str());
}

// Attaches the programme, or puts it in the place of the one that is pinned.
Status Link(const std::string& bpffs, size_t port, const std::string& interface, int programme,
            bool* native) {
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

struct FailOpen::Maps {
  std::map<std::string, Fd> shared;  // by name, of both ports
  std::array<Fd, 2> counters;        // by port
};

FailOpen::FailOpen() : maps_(std::make_unique<Maps>()) {}

FailOpen::~FailOpen() {
  if (control_ != nullptr) UnmapControlPage(control_);
}

Status FailOpen::MapControl() {
  control_ = MapControlPage(maps_->shared["control_map"].get());
  if (control_ == nullptr)
    return Error{bpffs_ + "/control_map: cannot be mapped: " + std::strerror(errno)};
  heart_ = std::make_unique<Heart>(reinterpret_cast<uint64_t*>(&control_->beat_ns),
                                   reinterpret_cast<const uint64_t*>(&control_->timeout_ns),
                                   reinterpret_cast<uint64_t*>(&control_->drained_ns));
  return {};
}

Result<std::unique_ptr<FailOpen>> FailOpen::Install(const FailOpenOptions& options) {
  const size_t ports = options.port_b.empty() ? 1 : 2;
  for (size_t port = 0; port < ports; ++port) {
    const std::string& interface = port == 0 ? options.port_a : options.port_b;
    if (if_nametoindex(interface.c_str()) != 0) continue;
    return Error{interface +
                 ": no such interface in this network namespace; `ip link` shows which there are"};
  }
  if (Status s = MountBpffs(options.bpffs); !s.ok()) return Error{s.message()};
  std::unique_ptr<FailOpen> self(new FailOpen);
  self->bpffs_ = options.bpffs;
  self->options_ = options;
  if (Status s = self->Adopt(); !s.ok()) return Error{s.message()};
  for (size_t port = 0; port < ports; ++port) {
    if (Status s = self->InstallPort(options, port); !s.ok()) return Error{s.message()};
  }
  self->SetTimeout(options.timeout_ns);
  self->SetOverload(0);
  Store(&self->control_->drained_ns, 0);  // what an earlier process had sent on
  return self;
}

Status FailOpen::Reattach(size_t port) {
  const size_t ports = options_.port_b.empty() ? 1 : 2;
  CHECK(port < ports);
  // Its maps are pinned, and stay; the other port's way out was emptied by the kernel.
  adopted_ = true;
  for (size_t i = 0; i < ports; ++i) {
    const size_t which = (port + i) % ports;
    if (if_nametoindex((which == 0 ? options_.port_a : options_.port_b).c_str()) == 0) continue;  // its turn comes when it is back
    if (Status s = InstallPort(options_, which); !s.ok()) return s;
  }
  return {};
}

Status FailOpen::Adopt() {
  maps_->shared = PinnedShared(bpffs_);
  adopted_ = !maps_->shared.empty();
  if (adopted_ && MutantIs("passed.outlives_the_process")) maps_->shared[kPassedMap] = OpenPin(PinOf(bpffs_, kPassedMap));
  if (!adopted_) return {};
  if (Status s = MapControl(); !s.ok()) return s;
  if (!AnotherHeartBeats(control_)) return {};
  return Error{
      bpffs_ +
      ": another process is forwarding between these ports (its heart beats); stop it first"};
}

Status FailOpen::InstallPort(const FailOpenOptions& options, size_t port) {
  const Hook hook = options.traffic_control ? Hook::kTrafficControl : Hook::kXdp;
  std::map<std::string, int> reuse;
  for (const auto& [name, fd] : maps_->shared) reuse[name] = fd.get();
  std::map<std::string, Fd> pinned;
  for (const char* name : PortMaps(hook)) {
    Fd fd = adopted_ ? OpenPin(PortPin(bpffs_, port, name)) : Fd();
    if (!fd.ok()) continue;
    reuse[name] = fd.get();
    pinned[name] = std::move(fd);
  }
  Result<LoadedProgramme> loaded = LoadProgramme(hook, reuse, MutantIs("passed.unbounded") ? 1u << 20 : std::max(options.passed_flows_max, 1u));
  if (!loaded.ok()) return loaded.error();
  LoadedProgramme& programme = loaded.value();
  for (const char* name : PortMaps(hook)) {
    if (pinned.contains(name)) continue;
    if (Status s = Pin(programme.maps[name].get(), PortPin(bpffs_, port, name)); !s.ok()) return s;
  }
  if (maps_->shared.empty()) {
    for (const char* name : kSharedMaps) {
      if (Status s = Pin(programme.maps[name].get(), PinOf(bpffs_, name)); !s.ok()) return s;
      maps_->shared[name] = std::move(programme.maps[name]);
    }
    if (Status s = MapControl(); !s.ok()) return s;
    SetTimeout(options.timeout_ns);
    Store(&control_->version, SW_VERSION);
  }
  if (!maps_->shared.contains(kPassedMap)) {
    if (Status s = Pin(programme.maps[kPassedMap].get(), PinOf(bpffs_, kPassedMap)); !s.ok()) return s;
    maps_->shared[kPassedMap] = std::move(programme.maps[kPassedMap]);
  }
  Store(&control_->mirror, options.forward ? 0 : 1);
  Store(&control_->passes, options.forward && options.passed_flows_max != 0 ? 1 : 0);
  maps_->counters[port] = std::move(programme.maps[kCounterMap]);
  process_ports_[port] = port == 0 ? options.port_a : options.port_b;
  return options.traffic_control ? AttachTrafficControl(options, port, &programme) : AttachXdp(options, port, &programme);
}

Status FailOpen::AttachXdp(const FailOpenOptions& options, size_t port, LoadedProgramme* programme) {
  RemoveTrafficControl(bpffs_, port);
  const std::string& interface = port == 0 ? options.port_a : options.port_b;
  const std::string& peer = port == 0 ? options.port_b : options.port_a;
  const uint32_t zero = 0, index = if_nametoindex(peer.c_str());
  const int peer_map = programme->maps["peer_map"].get();
  if (options.forward && index != 0) {
    if (bpf_map_update_elem(peer_map, &zero, &index, BPF_ANY) != 0) {
      return Error{peer + ": cannot be the kernel's way out of " + interface + ": " +
                   std::strerror(errno)};
    }
  } else {
    bpf_map_delete_elem(peer_map, &zero);
  }
  return Link(bpffs_, port, interface, programme->programmes["xsk_def_prog"].get(), &native_);
}

Status FailOpen::AttachTrafficControl(const FailOpenOptions& options, size_t port, LoadedProgramme* programme) {
  RemoveXdp(bpffs_, port);
  const std::string& interface = port == 0 ? options.port_a : options.port_b;
  const std::string& peer = port == 0 ? options.port_b : options.port_a;
  const uint32_t index = if_nametoindex(interface.c_str());
  const int way_map = programme->maps["way_map"].get();
  if (const uint32_t before = WayOf(way_map, SW_WAY_PORT); before != 0 && before != index) RemoveTap(before);
  const Result<Tap> tap = MakeTap(index, interface);
  if (!tap.ok()) return tap.error();
  // The process's end first: nothing comes there before the programme on the port is.
  const std::pair<const char*, unsigned> places[] = {
      {"to_nobody", tap.value().theirs}, {"from_process", tap.value().ours}, {"from_wire", index}};
  const uint32_t ways[SW_WAYS] = {if_nametoindex(peer.c_str()), tap.value().ours, index};
  for (uint32_t way = 0; way < SW_WAYS; ++way) {
    if (bpf_map_update_elem(way_map, &way, &ways[way], BPF_ANY) != 0) return Error{interface + ": way_map: " + std::strerror(errno)};
  }
  for (const auto& [name, where] : places) {
    if (Status s = AttachFilter(programme->programmes[name].get(), where, interface); !s.ok()) return s;
  }
  process_ports_[port] = ProcessEnd(index);
  return {};
}

Result<std::unique_ptr<FailOpen>> FailOpen::Open(const std::string& bpffs) {
  std::unique_ptr<FailOpen> self(new FailOpen);
  self->bpffs_ = bpffs;
  self->maps_->shared = PinnedShared(bpffs);
  if (self->maps_->shared.empty())
    return Error{bpffs + ": no fail-open programme of this version is pinned there"};
  self->maps_->shared[kPassedMap] = OpenPin(PinOf(bpffs, kPassedMap));
  self->adopted_ = true;
  for (size_t port = 0; port < 2; ++port)
    self->maps_->counters[port] = OpenPin(PortPin(bpffs, port, "counter_map"));
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
    RemoveXdp(bpffs, port);
    RemoveTrafficControl(bpffs, port);
    remove(PortPin(bpffs, port, kCounterMap));
    for (const char* name : {"link", "xsks_map", "peer_map", "way_map"}) remove(PortPin(bpffs, port, name));
  }
  for (const char* name : kSharedMaps) remove(PinOf(bpffs, name));
  remove(PinOf(bpffs, kPassedMap));
  if (!failed.empty()) return Error{failed};
  UnmountBpffsIfEmpty(bpffs);
  return {};
}

void FailOpen::SetTimeout(int64_t timeout_ns) {
  if (MutantIs("heart_never_stale")) timeout_ns = kNsPerHour;
  Store(&control_->timeout_ns, static_cast<uint64_t>(timeout_ns));
}

void FailOpen::SetBypass(int64_t until_ns, std::string_view reason) {
  if (MutantIs("bypass_never_ends") && until_ns != 0) until_ns = kUntilSwitchedOff;
  reason = reason.substr(0, SW_REASON_BYTES - 1);
  std::memset(control_->bypass_reason, 0, SW_REASON_BYTES);
  reason.copy(control_->bypass_reason, reason.size());
  Store(&control_->bypass_until_ns, static_cast<uint64_t>(until_ns));
}

std::string FailOpen::bypass_reason() const {
  return {control_->bypass_reason, strnlen(control_->bypass_reason, SW_REASON_BYTES)};
}

void FailOpen::SetOverload(int64_t until_ns) {
  Store(&control_->overload_until_ns, static_cast<uint64_t>(until_ns));
}

int64_t FailOpen::StillAhead(__u64 sw_control::*field) const {
  const auto until_ns = static_cast<int64_t>(Load(&(control_->*field)));
  return until_ns > SystemClock().MonotonicNs() ? until_ns : 0;
}

// Frames pass meanwhile, and what went to the process for a moment would be overtaken by what comes behind it. So a list is
// changed in its place, and one that comes is asked before one that goes is not.
Status FailOpen::SetInterest(const Interest& interest) {
  const auto refused = [&](const char* what) {
    const int reason = errno;
    Store(&control_->match_prefixes, 0);
    Store(&control_->match_ports, 0);
    return Error{std::string("fail_open.") + what + ": " + std::strerror(reason)};
  };
  if (MutantIs("interest.all_while_set")) {
    Store(&control_->match_prefixes, 0);
    Store(&control_->match_ports, 0);
  }
  const int prefix_map = maps_->shared["prefix_map"].get();
  const uint8_t listed = 1;
  const auto list = [&](const sw_prefix& prefix) { return bpf_map_update_elem(prefix_map, &prefix, &listed, BPF_ANY) == 0; };
  const auto stays = [&](const sw_prefix& prefix) {
    return std::any_of(interest.prefixes.begin(), interest.prefixes.end(),
                       [&](const sw_prefix& wanted) { return std::memcmp(&wanted, &prefix, sizeof prefix) == 0; });
  };
  if (!interest.prefixes.empty()) {
    // Old ones go behind new ones, which may find no room before that.
    std::for_each(interest.prefixes.begin(), interest.prefixes.end(), list);
    std::vector<sw_prefix> there;
    sw_prefix key{};
    for (const sw_prefix* at = nullptr; bpf_map_get_next_key(prefix_map, at, &key) == 0; at = &key) there.push_back(key);
    for (const sw_prefix& prefix : there) {
      if (!stays(prefix)) bpf_map_delete_elem(prefix_map, &prefix);
    }
    if (!std::all_of(interest.prefixes.begin(), interest.prefixes.end(), list)) return refused("interest_prefixes: the kernel refuses a prefix");
  }
  const auto set_ports = [&](const char* map, const std::vector<uint64_t>& words) {
    for (uint32_t word = 0; word < kPortWords; ++word) {
      const uint64_t bits = words.empty() ? 0 : words[word];
      if (bpf_map_update_elem(maps_->shared[map].get(), &word, &bits, BPF_ANY) != 0) return false;
    }
    return true;
  };
  if (!interest.port_words.empty() && !set_ports("port_map", interest.port_words)) return refused("interest_ports: the kernel refuses a port");
  if (!set_ports("udp_port_map", MutantIs("interest.no_udp") ? std::vector<uint64_t>{} : interest.udp_port_words)) {
    return refused("interest_udp_ports: the kernel refuses a port");
  }
  if (!interest.prefixes.empty()) Store(&control_->match_prefixes, 1);
  if (!interest.port_words.empty()) Store(&control_->match_ports, 1);
  if (interest.prefixes.empty()) Store(&control_->match_prefixes, 0);
  if (interest.port_words.empty()) Store(&control_->match_ports, 0);
  return {};
}

bool FailOpen::Pass(const FlowEnds& ends, int64_t looked_ns) {
  sw_flow_key key;
  SwFlowKey(ends.source, ends.destination, htons(ends.source_port), htons(ends.destination_port), ends.protocol, &key);
  sw_passed_flow flow{};
  // What was received at looked_ns may have waited for it as long as the process may stand still.
  flow.judged_ns = static_cast<uint64_t>(std::max<int64_t>(looked_ns - static_cast<int64_t>(Load(&control_->timeout_ns)) - kSlackNs, 1));
  if (MutantIs("passed.whatever_began")) flow.judged_ns = UINT64_MAX;
  // One that is there stays: one of its directions may have moved.
  const int passed_map = maps_->shared[kPassedMap].get();
  return bpf_map_update_elem(passed_map, &key, &flow, BPF_NOEXIST) == 0 || errno == EEXIST;
}

void FailOpen::ForgetPassed() { Store(&control_->passed_void_ns, static_cast<uint64_t>(SystemClock().MonotonicNs())); }

void FailOpen::RefreshCounters() {
  static_assert(static_cast<size_t>(BypassCounter::kCount) == SW_COUNTERS);
  const int processors = libbpf_num_possible_cpus();
  if (processors <= 0) return;
  std::vector<uint64_t> values(static_cast<size_t>(processors));
  for (uint32_t counter = 0; counter < SW_COUNTERS; ++counter) {
    uint64_t sum = 0;
    for (const Fd& fd : maps_->counters) {
      if (!fd.ok() || bpf_map_lookup_elem(fd.get(), &counter, values.data()) != 0) continue;
      for (const uint64_t value : values) sum += value;
    }
    counters_.Set(static_cast<BypassCounter>(counter), sum);
  }
}

}  // namespace stillwatch::dataplane
