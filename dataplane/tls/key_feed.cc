#include "dataplane/tls/key_feed.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "base/mutant.h"

namespace stillwatch::dataplane {

namespace {

constexpr size_t kLineMax = 512;
constexpr size_t kPeersMax = 16;
constexpr int kFileEveryMs = 20;
constexpr int kRingTries = 50;
constexpr auto kRingPause = std::chrono::milliseconds(1);

}  // namespace

// One source of lines with what it holds of an unfinished one; owns its descriptor.
class KeyFeed::LineReader {
 public:
  explicit LineReader(int descriptor) : descriptor_(descriptor) {}
  ~LineReader() {
    Wipe(line_, sizeof line_);
    close(descriptor_);
  }
  int descriptor() const { return descriptor_; }

  // Calls take(line) for each that ends in the bytes, skip() for each that was too long.
  template <typename Take, typename Skip>
  void Feed(const char* data, size_t size, Take take, Skip skip) {
    for (size_t i = 0; i < size; ++i) {
      if (data[i] != '\n') {
        if (size_ < sizeof line_) line_[size_] = data[i];
        if (size_ <= sizeof line_) ++size_;
        continue;
      }
      if (size_ <= sizeof line_) {
        take(std::string_view(line_, size_));
      } else {
        skip();
      }
      size_ = 0;
    }
  }
  void Forget() { size_ = 0; }
  std::string_view rest() const { return {line_, std::min(size_, sizeof line_)}; }

 private:
  const int descriptor_;
  char line_[kLineMax];
  size_t size_ = 0;
};

KeyFeed::KeyFeed(const KeyFeedOptions& options) : options_(options) {
  for (size_t i = 0; i < std::max<size_t>(options.workers, 1); ++i) {
    rings_.push_back(std::make_unique<SecretRing>(options.ring_secrets));
  }
}

KeyFeed::~KeyFeed() {
  stop_.store(true);
  if (thread_.joinable()) {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t woken = write(wake_, &one, sizeof one);
    thread_.join();
  }
  if (listener_ >= 0) {
    close(listener_);
    unlink(options_.socket.c_str());
  }
  if (wake_ >= 0) close(wake_);
}

bool KeyFeed::locked() const {
  return std::all_of(rings_.begin(), rings_.end(), [](const auto& ring) { return ring->locked(); });
}

Result<std::unique_ptr<KeyFeed>> KeyFeed::Open(const KeyFeedOptions& options) {
  std::unique_ptr<KeyFeed> feed(new KeyFeed(options));
  if (!options.file.empty()) {
    if (Status opened = feed->OpenFile(); !opened.ok()) return Error{opened.message()};
  }
  if (!options.socket.empty()) {
    if (Status listening = feed->Listen(); !listening.ok()) return Error{listening.message()};
  }
  return feed;
}

Result<std::unique_ptr<KeyFeed>> KeyFeed::ReadFile(const std::string& file, size_t workers) {
  struct stat about {};
  if (stat(file.c_str(), &about) != 0) return Error{"key log " + file + ": " + std::strerror(errno)};
  KeyFeedOptions options;
  options.file = file;
  options.workers = workers;
  options.ring_secrets = static_cast<size_t>(about.st_size) / 100 + 1;  // no line with a secret is shorter
  std::unique_ptr<KeyFeed> feed(new KeyFeed(options));
  if (Status opened = feed->OpenFile(); !opened.ok()) return Error{opened.message()};
  feed->FollowFile();
  feed->TakeLine(feed->file_->rest());  // without an end of line
  feed->file_.reset();
  return feed;
}

Status KeyFeed::OpenFile() {
  const int descriptor = open(options_.file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return Error{"key log " + options_.file + ": " + std::strerror(errno) +
                 "; create it readable by this process before the terminator writes to it"};
  }
  file_ = std::make_unique<LineReader>(descriptor);
  file_offset_ = 0;
  return {};
}

Status KeyFeed::Listen() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (options_.socket.size() >= sizeof address.sun_path) {
    return Error{"tls.keylog_socket: '" + options_.socket + "' is longer than 107 characters"};
  }
  std::memcpy(address.sun_path, options_.socket.data(), options_.socket.size());
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(options_.socket).parent_path(), ignored);
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool busy = connect(probe, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  close(probe);
  if (busy) return Error{"tls.keylog_socket: " + options_.socket + " is in use by a running daemon"};
  unlink(options_.socket.c_str());  // left by a killed daemon
  listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(listener_, kPeersMax) != 0) {
    const std::string why = std::strerror(errno);
    close(listener_);
    listener_ = -1;
    return Error{"tls.keylog_socket: cannot listen on " + options_.socket + ": " + why +
                 "; make its folder writable or set another path"};
  }
  // Anyone may knock; whom we hear is decided by who it is.
  chmod(options_.socket.c_str(), 0666);
  return {};
}

void KeyFeed::Start() {
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  live_ = true;
  thread_ = std::thread([this] { Run(); });
}

void KeyFeed::Run() {
  std::vector<pollfd> polled;
  while (!stop_.load(std::memory_order_relaxed)) {
    if (file_ != nullptr) FollowFile();
    polled.clear();
    polled.push_back({wake_, POLLIN, 0});
    if (listener_ >= 0) polled.push_back({listener_, POLLIN, 0});
    for (const auto& peer : peers_) polled.push_back({peer->descriptor(), POLLIN, 0});
    const size_t peers = peers_.size(), first = polled.size() - peers;
    if (poll(polled.data(), polled.size(), options_.file.empty() ? -1 : kFileEveryMs) <= 0) continue;
    for (size_t i = peers; i-- > 0;) {
      if (polled[first + i].revents != 0 && !ReadPeer(peers_[i].get())) {
        peers_.erase(peers_.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
    if (listener_ >= 0 && polled[1].revents != 0) Accept();
  }
}

// Reads what the file has grown by; opens it anew when it was cut, or replaced by one that is written to: until then the
// terminator may still have the old one open.
void KeyFeed::FollowFile() {
  char data[4096];
  for (;;) {
    const ssize_t size = pread(file_->descriptor(), data, sizeof data, static_cast<off_t>(file_offset_));
    if (size > 0) {
      file_offset_ += static_cast<uint64_t>(size);
      TakeBytes(file_.get(), data, static_cast<size_t>(size));
      continue;
    }
    Wipe(data, sizeof data);
    struct stat open_file {}, named {};
    fstat(file_->descriptor(), &open_file);
    const bool there = stat(options_.file.c_str(), &named) == 0;
    const bool cut = static_cast<uint64_t>(open_file.st_size) < file_offset_;
    const bool same = named.st_ino == open_file.st_ino && named.st_dev == open_file.st_dev;
    if (!cut && (!there || same || named.st_size == 0)) return;
    if (!OpenFile().ok()) return;
    counters_.Add(KeyFeedCounter::kFileReopened);
  }
}

void KeyFeed::Accept() {
  const int peer = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (peer < 0) return;
  ucred who{};
  socklen_t size = sizeof who;
  const bool known = getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0;
  const bool listed = known && (who.uid == 0 || who.uid == geteuid() ||
                                std::find(options_.uids.begin(), options_.uids.end(), who.uid) != options_.uids.end());
  if (!listed && !MutantIs("tls.any_peer")) {
    counters_.Add(KeyFeedCounter::kPeersRefused);
    close(peer);
  } else if (peers_.size() == kPeersMax) {
    counters_.Add(KeyFeedCounter::kPeersTooMany);
    close(peer);
  } else {
    peers_.push_back(std::make_unique<LineReader>(peer));
  }
}

// False when the peer has gone.
bool KeyFeed::ReadPeer(LineReader* peer) {
  char data[4096];
  const ssize_t size = read(peer->descriptor(), data, sizeof data);
  if (size > 0) TakeBytes(peer, data, static_cast<size_t>(size));
  Wipe(data, sizeof data);
  if (size == 0) TakeLine(peer->rest());
  return size > 0 || (size < 0 && (errno == EAGAIN || errno == EINTR));
}

void KeyFeed::TakeBytes(LineReader* from, const char* data, size_t size) {
  from->Feed(data, size, [this](std::string_view line) { TakeLine(line); },
             [this] { counters_.Add(KeyFeedCounter::kLongLines); });
}

void KeyFeed::TakeLine(std::string_view line) {
  if (line.empty()) return;
  SessionSecret secret;
  switch (ParseKeyLogLine(line, &secret)) {
    case KeyLogLine::kOther: return counters_.Add(KeyFeedCounter::kOtherLines);
    case KeyLogLine::kBad: return counters_.Add(KeyFeedCounter::kBadLines);
    case KeyLogLine::kSecret: break;
  }
  counters_.Add(KeyFeedCounter::kLines);
  for (const auto& ring : rings_) {
    bool pushed = ring->Push(secret);
    // A worker that hangs costs its own secrets only, after a little while.
    for (int tries = 0; !pushed && live_ && tries < kRingTries && !stop_.load(); ++tries) {
      std::this_thread::sleep_for(kRingPause);
      pushed = ring->Push(secret);
    }
    if (!pushed) counters_.Add(KeyFeedCounter::kRingFull);
  }
  Wipe(&secret, sizeof secret);
}

}  // namespace stillwatch::dataplane
