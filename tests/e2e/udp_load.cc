#include "udp_load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "stamped_message.h"

namespace stillwatch::e2e {
namespace {

constexpr size_t kBytes = 1'200;
constexpr uint64_t kWarmUp = 300;  // datagrams, one in 4 ms
constexpr uint16_t kPort = 443;

int64_t NowNs(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * 1'000'000'000ll + now.tv_nsec;
}

void NapNs(int64_t ns) {
  const timespec nap{0, static_cast<long>(std::clamp<int64_t>(ns, 1, 999'999'999))};
  nanosleep(&nap, nullptr);
}

// RFC 9001, A.2.
std::string ClientInitial() {
  std::ifstream file(STILLWATCH_SOURCE_DIR "/tests/data/tls/quic_initial_rfc9001_a2.hex");
  std::string bytes;
  for (char high, low; file >> high >> low;) bytes += static_cast<char>(std::stoi(std::string{high, low}, nullptr, 16));
  if (bytes.size() != kBytes) throw std::runtime_error("no Initial packet");
  return bytes;
}

int Socket(const Namespace& host, bool server) {
  int fd = -1;
  host.Call([&] {
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const int room = 8 << 20, on = 1;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(kPort);
    inet_pton(AF_INET, "10.77.0.2", &address.sin_addr);
    const auto* at = reinterpret_cast<const sockaddr*>(&address);
    if ((server ? bind(fd, at, sizeof address) : connect(fd, at, sizeof address)) != 0) fd = -1;
  });
  if (fd < 0) throw std::runtime_error("no UDP socket");
  return fd;
}

struct Receiver {
  int fd;
  std::atomic<bool> stop{false};
  std::vector<uint64_t> numbers = {};
  std::vector<int64_t> delays_ns = {};

  void Run() {
    numbers.reserve(4'000'000);
    delays_ns.reserve(4'000'000);
    for (pollfd wait{fd, POLLIN, 0}; !stop || poll(&wait, 1, 0) == 1;) {
      if (poll(&wait, 1, 20) != 1) continue;
      char data[kBytes];
      StampedMessage got;
      if (got.Receive(fd, data) != static_cast<ssize_t>(kBytes)) continue;
      uint64_t number;
      int64_t sent_ns;
      std::memcpy(&number, data + 1, 8);
      std::memcpy(&sent_ns, data + 9, 8);
      if (static_cast<uint8_t>(data[0]) != 0x45 || number < kWarmUp) continue;
      numbers.push_back(number);
      delays_ns.push_back(got.unix_ns - sent_ns);
    }
  }
};

}  // namespace

UdpSeen LoadUdp(const NetLab& lab, int datagrams_a_ms, int seconds) {
  Receiver receiver{Socket(lab.server, true)};
  const int out = Socket(lab.client, false);
  std::thread receiving([&] { receiver.Run(); });
  std::string datagram = ClientInitial();
  UdpSeen seen;
  uint64_t number = 0;
  const auto put = [&] {
    const int64_t unix_ns = NowNs(CLOCK_REALTIME);
    std::memcpy(datagram.data() + 1, &number, 8);
    std::memcpy(datagram.data() + 9, &unix_ns, 8);
    if (send(out, datagram.data(), datagram.size(), 0) > 0) ++number;
  };
  (void)send(out, datagram.data(), datagram.size(), 0);
  datagram.assign(kBytes, 'q');
  datagram[0] = 0x45;
  while (number < kWarmUp) {
    put();
    NapNs(4'000'000);
  }
  NapNs(100'000'000);
  const int64_t end_ns = NowNs(CLOCK_MONOTONIC) + seconds * 1'000'000'000ll;
  for (int64_t now_ns = NowNs(CLOCK_MONOTONIC); now_ns < end_ns; now_ns = NowNs(CLOCK_MONOTONIC)) {
    for (int i = 0; i < datagrams_a_ms; ++i) put();
    NapNs(now_ns + 1'000'000 - NowNs(CLOCK_MONOTONIC));
  }
  NapNs(300'000'000);
  receiver.stop = true;
  receiving.join();
  close(out);
  close(receiver.fd);
  seen.sent = number - kWarmUp;
  seen.received = receiver.numbers.size();
  for (size_t i = 1; i < receiver.numbers.size(); ++i) seen.reordered += receiver.numbers[i] < receiver.numbers[i - 1] ? 1 : 0;
  std::vector<int64_t>& delays = receiver.delays_ns;
  std::sort(delays.begin(), delays.end());
  if (delays.empty()) return seen;
  seen.p50_us = static_cast<double>(delays[delays.size() / 2]) / 1e3;
  seen.p99_us = static_cast<double>(delays[delays.size() * 99 / 100]) / 1e3;
  return seen;
}

}  // namespace stillwatch::e2e
