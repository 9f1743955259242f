#include "tools/stillwatch/port_watch.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/mutant.h"

namespace stillwatch {

namespace {

using dataplane::Overload;

constexpr int64_t kSettleNs = 10 * kNsPerSecond;

// Asks the kernel for an interface's flags, or sets or clears IFF_UP.
class InterfaceFlags {
 public:
  explicit InterfaceFlags(const std::string& name) : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    name.copy(request_.ifr_name, IFNAMSIZ - 1);
    exists_ = fd_ >= 0 && ioctl(fd_, SIOCGIFFLAGS, &request_) == 0;
  }
  ~InterfaceFlags() {
    if (fd_ >= 0) close(fd_);
  }
  Link link() const {
    if (!exists_) return Link::kMissing;
    return (request_.ifr_flags & IFF_UP) && (request_.ifr_flags & IFF_RUNNING) ? Link::kUp : Link::kDown;
  }
  bool SetUp(bool up) {
    if (!exists_) return false;
    request_.ifr_flags = static_cast<short>(up ? request_.ifr_flags | IFF_UP : request_.ifr_flags & ~IFF_UP);
    return ioctl(fd_, SIOCSIFFLAGS, &request_) == 0;
  }

 private:
  const int fd_;
  ifreq request_{};
  bool exists_ = false;
};

// A socket that gets incoming frames with an 802.1ad tag and no others; -1: none.
int OpenTagSocket(const std::string& interface) {
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_VLAN_TPID)),
                        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_8021AD, 0, 1),
                        BPF_STMT(BPF_RET | BPF_K, 1),  // one byte of it: only counted
                        BPF_STMT(BPF_RET | BPF_K, 0)};
  const sock_fprog filter{static_cast<unsigned short>(std::size(code)), code};
  const int on = 1;
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0 &&
      setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) == 0 &&
      bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    return fd;
  }
  close(fd);
  return -1;
}

std::string Seconds(int64_t ns) { return std::to_string((ns + kNsPerSecond / 2) / kNsPerSecond) + " s"; }

}  // namespace

const char* NameOf(Link link) {
  switch (link) {
    case Link::kUp: return "up";
    case Link::kDown: return "down";
    case Link::kHeldDown: return "held_down";
    case Link::kMissing: break;
  }
  return "missing";
}

int64_t ParseDurationNs(const std::string& text) {
  if (text.size() < 2) return 0;
  int64_t unit_s = 0;
  switch (text.back()) {
    case 's': unit_s = 1; break;
    case 'm': unit_s = 60; break;
    case 'h': unit_s = 3'600; break;
    case 'd': unit_s = 86'400; break;
    default: return 0;
  }
  constexpr int64_t kMaxS = 30 * 86'400;
  int64_t count = 0;
  const char* const end = text.data() + text.size() - 1;
  const auto [at, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc() || at != end || count <= 0 || count > kMaxS / unit_s) return 0;
  return count * unit_s * kNsPerSecond;
}

PortWatch::PortWatch(const Options& options, dataplane::FailOpen* fail_open, dataplane::InlinePair* ports,
                     const dataplane::Engine* engine, const Clock* clock, Note note)
    : options_(options), fail_open_(fail_open), ports_(ports), engine_(engine), clock_(clock), note_(std::move(note)),
      overload_bypass_(options.overload_bypass), link_loss_forwarding_(options.link_loss_forwarding) {}

PortWatch::~PortWatch() {
  Stop();
  for (const int fd : tag_sockets_) {
    if (fd >= 0) close(fd);
  }
}

void PortWatch::Start() {
  if (options_.link_loss_forwarding && options_.forward) {
    // One that was killed may have left a port held down.
    for (const std::string& port : options_.ports) {
      if (!port.empty()) InterfaceFlags(port).SetUp(true);
    }
    settling_until_ns_ = clock_->MonotonicNs() + kSettleNs;
  }
  for (size_t side = 0; side < 2; ++side) indexes_[side] = if_nametoindex(options_.ports[side].c_str());
  if (fail_open_ != nullptr) bypass_until_ns_ = fail_open_->bypass_until_ns();
  for (size_t side = 0; side < 2 && options_.changes_tags && options_.forward; ++side) {
    if (!options_.ports[side].empty()) tag_sockets_[side] = OpenTagSocket(options_.ports[side]);
  }
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "sw-watch");
    Run();
  });
}

void PortWatch::Stop() {
  {
    std::lock_guard lock(mutex_);
    if (stop_) return;
    stop_ = true;
  }
  wake_.notify_all();
  if (!thread_.joinable()) return;
  thread_.join();
  RefreshCounters();
  if (held_down_ >= 0) InterfaceFlags(options_.ports[static_cast<size_t>(held_down_)]).SetUp(true);
}

PortWatch::State PortWatch::state() const {
  std::lock_guard lock(mutex_);
  return state_;
}

void PortWatch::Run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    lock.unlock();
    Step();
    lock.lock();
    wake_.wait_for(lock, std::chrono::nanoseconds(dataplane::kOverloadWindowNs), [this] { return stop_; });
  }
}

void PortWatch::Step() {
  const int64_t now_ns = clock_->MonotonicNs();
  RefreshCounters();
  PassUninteresting();
  WatchLinks(now_ns);
  WatchReturn(now_ns);
  WatchOverload(now_ns);
  WatchBypass(now_ns);
  WatchTags();
}

void PortWatch::RefreshCounters() {
  if (fail_open_ != nullptr) fail_open_->RefreshCounters();
  ports_->RefreshDeviceCounters();
}

void PortWatch::PassUninteresting() {
  if (fail_open_ == nullptr) return;
  engine_->TakeUninteresting([&](const dataplane::UninterestingFlow& flow) {
    const bool taken = fail_open_->Pass(flow.ends, flow.looked_ns);
    counters_.Add(taken ? WatchCounter::kFlowsPassed : WatchCounter::kPassRefused);
  });
}

bool PortWatch::LinksUp() const {
  for (size_t side = 0; side < 2; ++side) {
    if (!options_.ports[side].empty() && state_.links[side] != Link::kUp) return false;
  }
  return true;
}

void PortWatch::WatchOverload(int64_t now_ns) {
  if (!options_.forward) return;
  using dataplane::DeviceCounter;
  using dataplane::ForwardCounter;
  using dataplane::ForwarderCounter;
  const auto& device = ports_->device_counters();
  dataplane::OverloadSample sample;
  sample.time_ns = now_ns;
  sample.forwarded = ports_->Count(ForwardCounter::kSentA) + ports_->Count(ForwardCounter::kSentB);
  sample.lost = ports_->Count(ForwardCounter::kTxFull) + ports_->Count(ForwardCounter::kStale) +
                device.Get(DeviceCounter::kMissed) + device.Get(DeviceCounter::kNoBuffer);
  sample.unseen = engine_->Count(ForwarderCounter::kWorkerRingFull) + engine_->Count(ForwarderCounter::kBuffersScarce);
  // Read after what it is a part of: never more than all.
  sample.looked_at = std::max(engine_->Count(ForwarderCounter::kFrames), sample.unseen) - sample.unseen;
  sample.ports_up = LinksUp();
  const Overload found = guard_.Observe(sample);
  const bool over = found == Overload::kNone && state_.overload != Overload::kNone && now_ns >= guard_.raised_until_ns();
  if (found == Overload::kNone && !over) return;
  const bool bypass = fail_open_ != nullptr && overload_bypass_.load();
  if (found != Overload::kNone) {
    counters_.Add(found == Overload::kForwarding ? WatchCounter::kOverloadForwarding : WatchCounter::kOverloadLooking);
    if (bypass) fail_open_->SetOverload(guard_.raised_until_ns());
  }
  {
    std::lock_guard lock(mutex_);
    state_.overload = found;
    state_.overload_until_ns = found == Overload::kNone ? 0 : guard_.raised_until_ns();
  }
  if (over) return note_("overload", "ports", "over; frames are looked at again");
  note_("overload", "ports",
        std::string(dataplane::NameOf(found)) + " does not keep up; " +
            (bypass ? "the kernel forwards for " + Seconds(guard_.raised_until_ns() - now_ns) + " and nothing is looked at"
                    : "there is no bypass for it"));
}

void PortWatch::WatchLinks(int64_t now_ns) {
  for (size_t side = 0; side < 2; ++side) {
    const std::string& name = options_.ports[side];
    if (name.empty()) continue;
    Link link = InterfaceFlags(name).link();
    if (link == Link::kDown && held_down_ == static_cast<int>(side)) link = Link::kHeldDown;
    if (link == state_.links[side]) continue;
    {
      std::lock_guard lock(mutex_);
      state_.links[side] = link;
    }
    if (link == Link::kDown || link == Link::kMissing) counters_.Add(WatchCounter::kLinkLost);
    const std::string mend = link == Link::kMissing ? "; frames for it are dropped until the interface is back" : "";
    note_("link", std::string("ports.") + (side == 0 ? "a" : "b"), name + " is " + NameOf(link) + mend);
  }
  if (options_.forward && (link_loss_forwarding_.load() || held_down_ >= 0)) ForwardLinkLoss(now_ns);
}

void PortWatch::WatchReturn(int64_t now_ns) {
  if (ports_->reopening() || MutantIs("a_port_never_comes_back")) return;
  if (reopen_asked_) {
    reopen_asked_ = false;
    const std::string error = ports_->reopen_error();
    const bool said = error == state_.reopen_error;
    {
      std::lock_guard lock(mutex_);
      state_.reopen_error = error;
    }
    if (error.empty()) {
      counters_.Add(WatchCounter::kReopened);
      note_("ports", "ports", "opened anew; frames are looked at again");
    } else if (!said) {
      note_("ports", "ports", "cannot be opened anew: " + error);
    }
  }
  if (now_ns < next_reopen_ns_) return;
  bool wanted = !ports_->open(), missing = false;
  for (size_t side = 0; side < 2; ++side) {
    const unsigned index = if_nametoindex(options_.ports[side].c_str());
    if (index == indexes_[side]) continue;
    if (index == 0 || state_.links[side] == Link::kMissing) {
      missing = true;  // not yet
      continue;
    }
    // The kernel's programme first: from here on the wire goes on without us, and nothing goes to the host's own stack.
    if (fail_open_ != nullptr) {
      if (Status s = fail_open_->Reattach(side); !s.ok()) {
        next_reopen_ns_ = now_ns + kNsPerSecond;
        std::lock_guard lock(mutex_);
        state_.reopen_error = s.message();
        return;
      }
    }
    indexes_[side] = index;
    wanted = true;
  }
  if (!wanted || missing) return;
  next_reopen_ns_ = now_ns + kNsPerSecond;
  reopen_asked_ = true;
  const auto name = [&](size_t side) { return fail_open_ == nullptr ? options_.ports[side] : fail_open_->process_port(side); };
  ports_->Reopen(name(0), name(1));
}

void PortWatch::ForwardLinkLoss(int64_t now_ns) {
  const std::array<Link, 2>& links = state_.links;
  if (held_down_ >= 0) {
    const auto held = static_cast<size_t>(held_down_);
    if (links[1 - held] != Link::kUp && link_loss_forwarding_.load()) return;
    InterfaceFlags(options_.ports[held]).SetUp(true);
    held_down_ = -1;
    settling_until_ns_ = now_ns + kSettleNs;
    return;
  }
  if (LinksUp()) settling_until_ns_ = 0;
  if (now_ns < settling_until_ns_) return;
  for (size_t lost = 0; lost < 2; ++lost) {
    if (links[lost] == Link::kUp || links[1 - lost] != Link::kUp) continue;
    if (MutantIs("link_loss_stays_here") || !InterfaceFlags(options_.ports[1 - lost]).SetUp(false)) return;
    held_down_ = static_cast<int>(1 - lost);
    counters_.Add(WatchCounter::kLinkForwarded);
    return;
  }
}

void PortWatch::WatchTags() {
  uint64_t seen = 0;
  for (const int fd : tag_sockets_) {
    char byte;
    while (fd >= 0 && recv(fd, &byte, 1, 0) >= 0) ++seen;
    tpacket_stats lost{};  // reading clears them
    socklen_t size = sizeof lost;
    if (fd >= 0 && getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &lost, &size) == 0) seen += lost.tp_drops;
  }
  if (seen == 0) return;
  counters_.Add(WatchCounter::kTagChanged, seen);
  if (state_.tags_changed == 0) note_("tags", "ports", "frames with an 802.1ad tag come in, which af_packet changes to 802.1Q; use ports.driver = \"af_xdp\"");
  std::lock_guard lock(mutex_);
  state_.tags_changed += seen;
}

void PortWatch::WatchBypass(int64_t now_ns) {
  if (fail_open_ == nullptr) return;
  const int64_t until_ns = fail_open_->bypass_until_ns();
  // Switched off before its time: whoever did it is on record.
  if (until_ns == 0 && bypass_until_ns_ != 0 && now_ns >= bypass_until_ns_) {
    note_("bypass", "ports", "over: its time has run out; frames are looked at again");
  }
  bypass_until_ns_ = until_ns;
}

}  // namespace stillwatch
