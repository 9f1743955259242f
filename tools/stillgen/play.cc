#include "tools/stillgen/play.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <queue>

#include "tools/stillgen/body_scan.h"
#include "tools/stillgen/caller.h"
#include "tools/stillgen/http_reader.h"

namespace stillwatch::stillgen {
namespace {

constexpr int64_t kGraceNs = 10 * kNsPerSecond;
constexpr uint64_t kStopId = UINT64_MAX;

enum class Line { kClosed, kConnecting, kIdle, kAsking };

struct Link {
  explicit Link(Actor* actor) : caller(actor) {}

  Caller caller;
  const Account* on = nullptr;  // the account whose connection this is
  Fd fd;
  Line state = Line::kClosed;
  HttpReader reader;
  std::string out;
  size_t out_at = 0;
  bool writable_wanted = false;
  bool asked = false;         // a question is under way (also while connecting)
  int64_t idle_since_ns = 0;
};

Answer Unanswered() {
  Answer answer;
  answer.status = 0;
  return answer;
}

struct Due {
  int64_t at_ns;  // wall
  size_t which;
  bool operator>(const Due& o) const { return std::tie(at_ns, which) > std::tie(o.at_ns, o.which); }
};

class Player {
 public:
  Player(World* world, const PlayOptions& options)
      : world_(world), options_(options), epoll_(epoll_create1(EPOLL_CLOEXEC)), rng_(world->rng.Fork("play")) {
    for (auto& actor : world->actors) links_.emplace_back(actor.get());
  }

  Result<PlayCounts> Run(int stop) {
    if (stop >= 0) Watch(stop, kStopId, EPOLLIN, EPOLL_CTL_ADD);
    start_ns_ = clock_.MonotonicNs();
    for (size_t i = 0; i < links_.size(); ++i) Plan(i);
    int64_t next_progress_ns = kNsPerSecond;
    for (bool stopped = false; !stopped;) {
      const int64_t now = Wall();
      if (now >= options_.duration_ns && (under_way_ == 0 || now >= options_.duration_ns + kGraceNs)) break;
      if (due_.empty() && under_way_ == 0) break;  // nobody has anything left to ask
      if (options_.progress && now >= next_progress_ns) {
        options_.progress(now, counts_);
        next_progress_ns += kNsPerSecond;
      }
      while (!due_.empty() && due_.top().at_ns <= now && now < options_.duration_ns) {
        const size_t which = due_.top().which;
        due_.pop();
        Ask(which, now);
      }
      if (!error_.empty()) return Error{error_};
      stopped = Wait(now);
    }
    counts_.unanswered = under_way_;
    return counts_;
  }

 private:
  int64_t Wall() const { return clock_.MonotonicNs() - start_ns_; }
  int64_t Scenario(int64_t wall_ns) const { return static_cast<int64_t>(static_cast<double>(wall_ns) * options_.speed); }

  void Watch(int fd, uint64_t id, uint32_t events, int operation) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = id;
    epoll_ctl(epoll_.get(), operation, fd, &event);
  }

  void Plan(size_t which) {
    const int64_t at = links_[which].caller.NextAt();
    if (at == kNever) return Close(links_[which]);
    const int64_t wall = static_cast<int64_t>(static_cast<double>(at) / options_.speed);
    if (wall < options_.duration_ns) due_.push({wall, which});
  }

  // Returns true when the stop descriptor fired.
  bool Wait(int64_t now) {
    int64_t wait_ns = kNsPerSecond / 5;
    if (!due_.empty() && now < options_.duration_ns) wait_ns = std::min(wait_ns, due_.top().at_ns - now);
    epoll_event events[256];
    const int count = epoll_wait(epoll_.get(), events, 256, static_cast<int>(std::max<int64_t>(0, wait_ns / kNsPerMs)));
    for (int i = 0; i < count; ++i) {
      if (events[i].data.u64 == kStopId) return true;
      const size_t which = events[i].data.u64;
      Link& link = links_[which];
      if (link.state == Line::kConnecting && events[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) Connected(which);
      if (link.state == Line::kAsking && events[i].events & EPOLLOUT) Send(which);
      if (link.state != Line::kClosed && events[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) Receive(which);
    }
    return false;
  }

  uint32_t SourceOf(const Account& account) {
    if (options_.sources.count == 0) return 0;
    const Address& address = account.addresses[rng_.Below(account.addresses.size())];
    uint32_t mixed = 0;
    for (uint8_t byte : address.bytes) mixed = mixed * 31 + byte;
    // Not the prefix's own address, its broadcast address, or the first ones, where hosts sit.
    return options_.sources.first + 2 + mixed % (options_.sources.count - 3);
  }

  void Ask(size_t which, int64_t now) {
    Link& link = links_[which];
    const ClientStack& stack = *link.caller.account()->client.stack;
    if (link.state == Line::kIdle && static_cast<double>(now - link.idle_since_ns) > stack.keep_alive_s * 1e9) Close(link);
    link.out = link.caller.Ask(Scenario(now)).bytes;
    if (link.state == Line::kIdle && link.on != link.caller.account()) Close(link);
    link.on = link.caller.account();
    link.out_at = 0;
    link.asked = true;
    ++under_way_;
    if (link.state == Line::kIdle) {
      link.state = Line::kAsking;
      Send(which);
      return;
    }
    link.fd = StartConnect(options_.target, SourceOf(*link.caller.account()));
    if (!link.fd.open()) {
      ++counts_.connect_errors;
      if (counts_.responses == 0) error_ = std::string("cannot connect: ") + std::strerror(errno);
      return Over(which, Unanswered());
    }
    link.state = Line::kConnecting;
    link.reader = {};
    link.writable_wanted = true;
    Watch(link.fd.get(), which, EPOLLIN | EPOLLOUT | EPOLLRDHUP, EPOLL_CTL_ADD);
  }

  void Connected(size_t which) {
    Link& link = links_[which];
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(link.fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
      ++counts_.connect_errors;
      if (counts_.responses == 0) error_ = std::string("cannot connect: ") + std::strerror(error);
      Close(link);
      return Over(which, Unanswered());
    }
    ++counts_.connections;
    link.state = Line::kAsking;
    Send(which);
  }

  void Send(size_t which) {
    Link& link = links_[which];
    while (link.out_at < link.out.size()) {
      const ssize_t sent = send(link.fd.get(), link.out.data() + link.out_at, link.out.size() - link.out_at, MSG_NOSIGNAL);
      if (sent < 0 && errno == EAGAIN) break;
      if (sent < 0) return Broken(which);
      counts_.bytes_out += static_cast<uint64_t>(sent);
      link.out_at += static_cast<size_t>(sent);
      if (link.out_at == link.out.size()) ++counts_.requests;
    }
    const bool want = link.out_at < link.out.size();
    if (want != link.writable_wanted) {
      link.writable_wanted = want;
      Watch(link.fd.get(), which, EPOLLIN | EPOLLRDHUP | (want ? EPOLLOUT : 0u), EPOLL_CTL_MOD);
    }
  }

  void Receive(size_t which) {
    Link& link = links_[which];
    char buffer[64 << 10];
    for (;;) {
      const ssize_t got = read(link.fd.get(), buffer, sizeof buffer);
      if (got < 0 && errno == EAGAIN) return;
      if (got <= 0) return Broken(which);
      counts_.bytes_in += static_cast<uint64_t>(got);
      const auto state = link.reader.Feed({buffer, static_cast<size_t>(got)});
      if (state == HttpReader::State::kBad || (state == HttpReader::State::kDone && !link.asked)) return Broken(which);
      if (state == HttpReader::State::kDone) return Answered(which);
    }
  }

  void Answered(size_t which) {
    Link& link = links_[which];
    ++counts_.responses;
    const std::string_view line = link.reader.first_line();
    int status = 0;
    if (line.size() > 12) std::from_chars(line.data() + 9, line.data() + 12, status);
    Answer answer;
    const bool stream = link.reader.Header("content-type").starts_with("text/event-stream");
    if (!ReadAnswer(link.caller.account()->client.api, status, stream, link.reader.body(), &answer)) {
      ++counts_.unreadable;
      answer.status = 0;
    }
    if (status == 429) {
      ++counts_.rate_limited;
      const std::string_view wait = link.reader.Header("retry-after");
      std::from_chars(wait.data(), wait.data() + wait.size(), answer.retry_after_s);
    }
    const bool keep = link.caller.account()->client.stack->keep_alive_s > 0 && !link.reader.close_asked();
    link.reader.Next();
    link.state = Line::kIdle;
    link.idle_since_ns = Wall();
    if (!keep) Close(link);
    Over(which, answer);
  }

  void Broken(size_t which) {
    Link& link = links_[which];
    const bool asked = link.asked;
    Close(link);
    if (!asked) return;  // the server closed an idle connection
    ++counts_.broken;
    Over(which, Unanswered());
  }

  void Over(size_t which, const Answer& answer) {
    Link& link = links_[which];
    link.asked = false;
    --under_way_;
    link.caller.Hear(answer, Scenario(Wall()));
    Plan(which);
  }

  static void Close(Link& link) {
    link.fd.Reset();
    link.state = Line::kClosed;
    link.reader = {};
  }

  World* world_;
  const PlayOptions& options_;
  Fd epoll_;
  SystemClock clock_;
  Rng rng_;
  int64_t start_ns_ = 0;
  std::vector<Link> links_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  uint64_t under_way_ = 0;
  PlayCounts counts_;
  std::string error_;
};

}  // namespace

Result<PlayCounts> Play(World* world, const PlayOptions& options, int stop) { return Player(world, options).Run(stop); }

}  // namespace stillwatch::stillgen
