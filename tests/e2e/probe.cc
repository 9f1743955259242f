#include "probe.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "stamped_message.h"

namespace stillwatch::e2e {

namespace {

int64_t NowNs(clockid_t clock = CLOCK_MONOTONIC) {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * 1'000'000'000ll + now.tv_nsec;
}

std::string Be16(uint16_t v) { return {static_cast<char>(v >> 8), static_cast<char>(v)}; }

constexpr char kMark[] = "stillwatch-probe";
constexpr size_t kSequenceAt = 14 + 20 + 4, kFlagsAt = 14 + 20 + 13, kPayloadAt = 14 + 20 + 20;  // of an untagged frame

}  // namespace

std::string TcpFrame(uint16_t port, const std::string& payload, uint16_t vlan) {
  std::string frame("\x02\0\0\0\0\x50\x02\0\0\0\0\xc0", 12);
  if (vlan != 0) frame += Be16(0x8100) + Be16(vlan);
  frame += Be16(0x0800);
  std::string ip = std::string("\x45\0", 2) + Be16(static_cast<uint16_t>(40 + payload.size())) +
                   std::string("\0\1\0\0\x40\x06\0\0\x0a\x4d\0\x01\x0a\x4d\0\x63", 16);
  uint32_t sum = 0;
  for (size_t i = 0; i < 20; i += 2)
    sum +=
        static_cast<uint32_t>(static_cast<uint8_t>(ip[i]) << 8 | static_cast<uint8_t>(ip[i + 1]));
  sum = (sum & 0xffff) + (sum >> 16);
  const std::string checksum = Be16(static_cast<uint16_t>(~(sum + (sum >> 16))));
  ip[10] = checksum[0];
  ip[11] = checksum[1];
  const std::string tcp =
      Be16(40'000) + Be16(port) + std::string("\0\0\0\1\0\0\0\1\x50\x10\xff\xff\0\0\0\0", 16);
  return frame + ip + tcp + payload;
}

RawSocket::RawSocket(const Namespace& in, const std::string& interface) {
  in.Call([&] {
    // Hears nothing (protocol 0) until it is told to ignore what this host itself sends: a probe of the other way that
    // sends already would be taken for frames that arrived.
    fd_ = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    const int room = 64 << 20, on = 1;
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    setsockopt(fd_, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
    setsockopt(fd_, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on);
    setsockopt(fd_, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
    if (fd_ < 0 || bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fd_ = -1;
  });
  if (fd_ < 0) throw std::runtime_error("no raw socket on " + interface);
}

RawSocket::~RawSocket() { close(fd_); }

bool RawSocket::Send(const std::string& frame) {
  return send(fd_, frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size());
}

std::string RawSocket::Receive(int timeout_ms, int64_t* unix_ns) {
  pollfd wait{fd_, POLLIN, 0};
  if (poll(&wait, 1, timeout_ms) != 1) return "";
  char data[9200];
  StampedMessage got;
  const ssize_t size = got.Receive(fd_, data);
  if (size <= 0) return "";
  if (unix_ns != nullptr && got.unix_ns != 0) *unix_ns = got.unix_ns;
  std::string frame(data, static_cast<size_t>(size));
  for (cmsghdr* at = CMSG_FIRSTHDR(&got.message); at != nullptr; at = CMSG_NXTHDR(&got.message, at)) {
    if (at->cmsg_level != SOL_PACKET || at->cmsg_type != PACKET_AUXDATA) continue;
    tpacket_auxdata aux;
    std::memcpy(&aux, CMSG_DATA(at), sizeof aux);
    if (aux.tp_status & TP_STATUS_VLAN_VALID) {
      const uint16_t type = aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid : 0x8100;
      frame.insert(12, Be16(type) + Be16(aux.tp_vlan_tci));
    }
  }
  return frame;
}

Probe::Probe(const NetLab& lab, int frames_a_round, Way way, Sequence sequence, int round_ms)
    : out_(way == Way::kToServer ? lab.client : lab.server, way == Way::kToServer ? "c0" : "s0"),
      in_(way == Way::kToServer ? lab.server : lab.client, way == Way::kToServer ? "s0" : "c0") {
  arrivals_.reserve(2'000'000);
  receiver_ = std::thread([this] { Receive(); });
  sender_ = std::thread([this, frames_a_round, sequence, round_ms] { Send(frames_a_round, sequence, round_ms); });
}

Probe::~Probe() {
  stop_ = stop_receiving_ = true;
  if (sender_.joinable()) sender_.join();
  if (receiver_.joinable()) receiver_.join();
}

void Probe::Send(int frames_a_round, Sequence sequence, int round_ms) {
  std::string frame = TcpFrame(kPort, kMark + std::string(8 + 160, '\0'));
  const size_t at = frame.size() - 168;
  if (sequence == Sequence::kAdvances) {
    std::string syn = TcpFrame(kPort, "");
    std::memset(syn.data() + kSequenceAt, 0, 4);
    syn[kFlagsAt] = 2;
    out_.Send(syn);
  }
  begin_ns_ = NowNs();
  while (!stop_) {
    const int64_t round_ns = NowNs();
    for (int i = 0; i < frames_a_round && !stop_; ++i) {
      const uint64_t number = sent_.load();
      const int64_t unix_ns = NowNs(CLOCK_REALTIME);
      std::memcpy(frame.data() + at, &number, 8);
      std::memcpy(frame.data() + at + 8, &unix_ns, 8);
      if (sequence == Sequence::kAdvances) {
        const auto offset = htonl(static_cast<uint32_t>(1 + number * (frame.size() - kPayloadAt)));
        std::memcpy(frame.data() + kSequenceAt, &offset, sizeof offset);
      }
      if (out_.Send(frame)) sent_.store(number + 1);
    }
    // A late round is not caught up with: the rate never exceeds what was asked for.
    const int64_t rest_ns = std::max<int64_t>(round_ns + round_ms * 1'000'000ll - NowNs(), 1);
    const timespec nap{0, static_cast<long>(rest_ns)};
    nanosleep(&nap, nullptr);
  }
  end_ns_ = NowNs();
}

void Probe::Receive() {
  while (!stop_receiving_) {
    int64_t arrived_ns = 0, sent_ns = 0;
    const std::string frame = in_.Receive(20, &arrived_ns);
    const size_t at = frame.find(kMark);
    if (at == std::string::npos || frame.size() < at + sizeof kMark - 1 + 16) continue;
    uint64_t number;
    std::memcpy(&number, frame.data() + at + sizeof kMark - 1, 8);
    std::memcpy(&sent_ns, frame.data() + at + sizeof kMark - 1 + 8, 8);
    latest_ns_ = std::max(latest_ns_, arrived_ns - sent_ns);
    arrivals_.push_back(number);
    received_.store(arrivals_.size());
  }
}

ProbeResult Probe::Finish() {
  stop_ = true;
  sender_.join();
  // Until nothing has arrived for half a second.
  for (uint64_t before = ~0ull; before != received_.load();) {
    before = received_.load();
    const timespec nap{0, 500'000'000};
    nanosleep(&nap, nullptr);
  }
  stop_receiving_ = true;
  receiver_.join();

  ProbeResult result;
  result.sent = sent_;
  result.received = arrivals_.size();
  result.latest_ms = static_cast<double>(latest_ns_) / 1e6;
  result.rate = static_cast<double>(result.sent) * 1e9 / static_cast<double>(end_ns_ - begin_ns_);
  std::vector<bool> seen(result.sent);
  uint64_t highest = 0, distinct = 0;
  for (const uint64_t number : arrivals_) {
    if (number >= seen.size()) continue;
    if (seen[number]) {
      ++result.doubled;
      continue;
    }
    seen[number] = true;
    ++distinct;
    if (number < highest) ++result.reordered;
    highest = std::max(highest, number);
  }
  result.lost = result.sent - distinct;
  return result;
}

}  // namespace stillwatch::e2e
