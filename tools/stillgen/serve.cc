#include "tools/stillgen/serve.h"

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <queue>
#include <unordered_map>

#include "base/clock.h"
#include "tools/stillgen/body_scan.h"
#include "tools/stillgen/http_reader.h"

namespace stillwatch::stillgen {
namespace {

constexpr uint64_t kListenerId = 0, kStopId = 1;

struct Connection {
  Fd fd;
  HttpReader reader;
  Response response;
  size_t piece = 0;          // next piece of response
  bool answering = false;
  bool close_after = false;
  int64_t asked_ns = 0;
  std::string out;           // due but not taken by the socket yet
  bool writable_wanted = false;
};

struct Timer {
  int64_t at_ns;
  uint64_t id;
  bool operator>(const Timer& o) const { return at_ns > o.at_ns; }
};

}  // namespace

struct Server::State {
  const Responder* responder;
  Fd listener, epoll;
  SystemClock clock;
  ServeCounts counts;
  uint64_t next_id = 2, serial = 0;
  std::unordered_map<uint64_t, Connection> connections;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers;

  void Watch(int fd, uint64_t id, uint32_t events, int operation) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = id;
    epoll_ctl(epoll.get(), operation, fd, &event);
  }

  void Accept() {
    for (;;) {
      Fd fd(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!fd.open()) return;
      const int on = 1;
      setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      ++counts.connections;
      const uint64_t id = next_id++;
      Watch(fd.get(), id, EPOLLIN | EPOLLRDHUP, EPOLL_CTL_ADD);
      connections[id].fd = std::move(fd);
    }
  }

  void Drop(uint64_t id) {
    const auto found = connections.find(id);
    if (found == connections.end()) return;
    counts.broken += found->second.answering || !found->second.reader.idle();
    connections.erase(found);
  }

  void Read(uint64_t id) {
    Connection& c = connections[id];
    char buffer[64 << 10];
    for (;;) {
      const ssize_t got = read(c.fd.get(), buffer, sizeof buffer);
      if (got < 0 && errno == EAGAIN) return;
      if (got <= 0) return Drop(id);
      counts.bytes_in += static_cast<uint64_t>(got);
      const auto state = c.reader.Feed({buffer, static_cast<size_t>(got)});
      if (state == HttpReader::State::kBad) {
        ++counts.bad_requests;
        return Drop(id);
      }
      if (state == HttpReader::State::kDone && !c.answering) Begin(id, c);
      if (!connections.contains(id)) return;
    }
  }

  // The reader holds a whole request: decides the answer and sets its first timer.
  void Begin(uint64_t id, Connection& c) {
    ++counts.requests;
    c.answering = true;
    c.piece = 0;
    c.close_after = c.reader.close_asked();
    c.asked_ns = clock.MonotonicNs();
    std::string_view line = c.reader.first_line();
    line.remove_prefix(std::min(line.find(' ') + 1, line.size()));
    const std::string_view target = line.substr(0, line.find(' '));
    const auto api = ApiOfTarget(target);
    RequestFacts facts;
    if (!api || !ScanRequest(*api, target, c.reader.body(), &facts)) {
      ++counts.bad_requests;
      c.response = {};
      c.response.bytes = !api ? "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
                              : "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
      c.response.pieces.push_back({0, 0, c.response.bytes.size()});
    } else {
      c.response = responder->Respond(facts, ++serial, clock.UnixNs() / kNsPerSecond);
      counts.rate_limited += c.response.answer.status == 429;
    }
    timers.push({c.asked_ns + c.response.pieces[0].at_ns, id});
  }

  // Sends the pieces that are due.
  void Continue(uint64_t id) {
    const auto found = connections.find(id);
    if (found == connections.end() || !found->second.answering) return;
    Connection& c = found->second;
    const int64_t now = clock.MonotonicNs();
    const auto& pieces = c.response.pieces;
    while (c.piece < pieces.size() && c.asked_ns + pieces[c.piece].at_ns <= now) {
      c.out.append(c.response.bytes, pieces[c.piece].begin, pieces[c.piece].end - pieces[c.piece].begin);
      ++c.piece;
    }
    if (c.piece < pieces.size()) timers.push({c.asked_ns + pieces[c.piece].at_ns, id});
    Write(id, c);
  }

  void Write(uint64_t id, Connection& c) {
    while (!c.out.empty()) {
      const ssize_t sent = send(c.fd.get(), c.out.data(), c.out.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN) return Drop(id);
      if (sent < 0) break;
      counts.bytes_out += static_cast<uint64_t>(sent);
      c.out.erase(0, static_cast<size_t>(sent));
    }
    const bool want = !c.out.empty();
    if (want != c.writable_wanted) {
      c.writable_wanted = want;
      Watch(c.fd.get(), id, EPOLLIN | EPOLLRDHUP | (want ? EPOLLOUT : 0u), EPOLL_CTL_MOD);
    }
    if (!want && c.answering && c.piece == c.response.pieces.size()) Finish(id, c);
  }

  void Finish(uint64_t id, Connection& c) {
    ++counts.responses;
    c.answering = false;
    const auto state = c.reader.Next();
    if (c.close_after || state == HttpReader::State::kBad) return Drop(id);
    if (state == HttpReader::State::kDone) Begin(id, c);  // pipelined
  }
};

Server::Server(const Responder* responder, Fd listener) : state_(std::make_unique<State>()) {
  state_->responder = responder;
  state_->listener = std::move(listener);
  state_->epoll = Fd(epoll_create1(EPOLL_CLOEXEC));
  state_->Watch(state_->listener.get(), kListenerId, EPOLLIN, EPOLL_CTL_ADD);
}

Server::~Server() = default;
const ServeCounts& Server::counts() const { return state_->counts; }

uint16_t Server::port() const {
  sockaddr_in at{};
  socklen_t size = sizeof at;
  getsockname(state_->listener.get(), reinterpret_cast<sockaddr*>(&at), &size);
  return ntohs(at.sin_port);
}

void Server::Run(int stop, int64_t for_ms) {
  State& s = *state_;
  if (stop >= 0) s.Watch(stop, kStopId, EPOLLIN, EPOLL_CTL_ADD);
  const int64_t end_ns = for_ms < 0 ? INT64_MAX : s.clock.MonotonicNs() + for_ms * kNsPerMs;
  epoll_event events[256];
  for (;;) {
    const int64_t now = s.clock.MonotonicNs();
    if (now >= end_ns) return;
    while (!s.timers.empty() && s.timers.top().at_ns <= now) {
      const uint64_t id = s.timers.top().id;
      s.timers.pop();
      s.Continue(id);
    }
    int64_t wait_ms = 1000;
    if (!s.timers.empty()) wait_ms = std::min(wait_ms, (s.timers.top().at_ns - now + kNsPerMs - 1) / kNsPerMs);
    wait_ms = std::min(wait_ms, (end_ns - now) / kNsPerMs + 1);
    const int count = epoll_wait(s.epoll.get(), events, 256, static_cast<int>(std::max<int64_t>(0, wait_ms)));
    for (int i = 0; i < count; ++i) {
      const uint64_t id = events[i].data.u64;
      if (id == kStopId) return;
      if (id == kListenerId) {
        s.Accept();
        continue;
      }
      if (events[i].events & EPOLLOUT && s.connections.contains(id)) s.Write(id, s.connections[id]);
      if (events[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR) && s.connections.contains(id)) s.Read(id);
    }
  }
}

}  // namespace stillwatch::stillgen
