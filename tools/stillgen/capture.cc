#include "tools/stillgen/capture.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <queue>

#include "tools/stillgen/caller.h"
#include "tools/stillgen/tcp_frames.h"

namespace stillwatch::stillgen {
namespace {

constexpr int64_t kSegmentGapNs = 12'000;
constexpr int64_t kRetransmitNs = 200 * kNsPerMs;

struct FrameRef {
  int64_t at_ns;
  uint32_t begin, size;
};

// The frames of one exchange, in the order of their times; freed when the last is written.
struct Strand {
  std::string bytes;
  std::vector<FrameRef> frames;
  size_t next = 0;
  uint64_t serial = 0;
};

class PcapFile {
 public:
  ~PcapFile() {
    if (file_ != nullptr) std::fclose(file_);
  }
  bool Open(const std::string& path) {
    file_ = std::fopen(path.c_str(), "wb");
    if (file_ == nullptr) return false;
    buffer_.resize(4 << 20);
    std::setvbuf(file_, buffer_.data(), _IOFBF, buffer_.size());
    const uint32_t head[6] = {0xa1b2c3d4, 2 | 4u << 16, 0, 0, 262144, 1};
    Put(head, sizeof head);
    return true;
  }
  void Frame(int64_t unix_ns, std::string_view frame) {
    const uint32_t head[4] = {static_cast<uint32_t>(unix_ns / kNsPerSecond),
                              static_cast<uint32_t>(unix_ns % kNsPerSecond / 1000),
                              static_cast<uint32_t>(frame.size()), static_cast<uint32_t>(frame.size())};
    Put(head, sizeof head);
    Put(frame.data(), frame.size());
  }
  bool Close() {
    good_ = std::fclose(file_) == 0 && good_;
    file_ = nullptr;
    return good_;
  }
  uint64_t bytes() const { return bytes_; }

 private:
  void Put(const void* data, size_t size) {
    good_ = std::fwrite(data, 1, size, file_) == size && good_;
    bytes_ += size;
  }
  std::FILE* file_ = nullptr;
  std::vector<char> buffer_;
  bool good_ = true;
  uint64_t bytes_ = 0;
};

// One caller's connection over its life, turned into frames exchange by exchange.
class Connection {
 public:
  Connection(const CaptureOptions& options, Rng rng) : options_(options), rng_(rng) {}

  bool open() const { return frames_.has_value(); }
  const Account* account() const { return account_; }

  void Open(const Account& account, int64_t now_ns, Strand* strand) {
    account_ = &account;
    const Address& client = account.addresses[rng_.Below(account.addresses.size())];
    Address server;
    server.v6 = client.v6;
    static constexpr uint8_t kV4[4] = {198, 51, 100, 10};  // documentation range
    static constexpr uint8_t kV6[16] = {0x20, 0x01, 0x0d, 0xb8, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10};
    client.v6 ? std::memcpy(server.bytes, kV6, 16) : std::memcpy(server.bytes, kV4, 4);
    frames_.emplace(client, static_cast<uint16_t>(rng_.Range(1024, 65535)), server, options_.server_port, rng_);
    rtt_ns_ = static_cast<int64_t>(account.rtt_ms * 1e6 * (0.9 + 0.3 * rng_.Unit()));
    at_ns_ = now_ns;
    Add(0, kSyn, {}, strand);
    Add(1, kSyn | kAck, {}, strand);
    at_ns_ += rtt_ns_;
    Add(0, kAck, {}, strand);
  }

  // Client bytes in the writes given, then the answer's pieces; returns the time of the last frame.
  int64_t Exchange(int64_t now_ns, std::string_view head, std::string_view body, const Response& response,
                   Strand* strand) {
    at_ns_ = std::max(at_ns_, now_ns);
    Burst(0, head, strand);
    if (!body.empty()) Burst(0, body, strand);
    const int64_t asked_ns = at_ns_;
    at_ns_ += 40'000;
    Add(1, kAck, {}, strand);
    for (const ResponsePiece& piece : response.pieces) {
      at_ns_ = std::max(at_ns_ + kSegmentGapNs, asked_ns + piece.at_ns);
      Burst(1, std::string_view(response.bytes).substr(piece.begin, piece.end - piece.begin), strand);
    }
    at_ns_ += rtt_ns_;
    Add(0, kAck, {}, strand);
    return at_ns_;
  }

  void Close(int64_t now_ns, Strand* strand) {
    at_ns_ = std::max(at_ns_ + kSegmentGapNs, now_ns);
    Add(0, kFin | kAck, {}, strand);
    at_ns_ += 60'000;
    Add(1, kFin | kAck, {}, strand);
    at_ns_ += rtt_ns_;
    Add(0, kAck, {}, strand);
    frames_.reset();
  }
  int64_t at_ns() const { return at_ns_; }

 private:
  void Burst(int side, std::string_view data, Strand* strand) {
    for (size_t at = 0; at < data.size(); at += frames_->mss()) {
      const std::string_view cut = data.substr(at, frames_->mss());
      const bool last = at + cut.size() == data.size();
      Add(side, last ? kAck | kPsh : kAck, cut, strand);
      if (!last) at_ns_ += kSegmentGapNs;
    }
    at_ns_ += kSegmentGapNs;
  }
  void Add(int side, uint8_t flags, std::string_view payload, Strand* strand) {
    const size_t begin = strand->bytes.size();
    if (waiting_side_ >= 0 && waiting_side_ != side) {  // the peer waits for the repeat
      at_ns_ += kRetransmitNs;
      waiting_side_ = -1;
    }
    frames_->Append(side, flags, payload, &strand->bytes);
    FrameRef frame{at_ns_, static_cast<uint32_t>(begin), static_cast<uint32_t>(strand->bytes.size() - begin)};
    const double draw = payload.empty() ? 1.0 : rng_.Unit();
    if (draw < options_.loss) {  // lost on the way here: seen once, when repeated
      waiting_side_ = side;
      frame.at_ns += kRetransmitNs - kNsPerMs;
    } else if (draw < options_.loss + options_.reorder) {
      frame.at_ns += 3 * kSegmentGapNs;
    } else if (draw < options_.loss + options_.reorder + options_.dup) {
      strand->frames.push_back({frame.at_ns + 100'000, frame.begin, frame.size});
    }
    strand->frames.push_back(frame);
  }

  const CaptureOptions& options_;
  Rng rng_;
  const Account* account_ = nullptr;
  std::optional<TcpFrames> frames_;
  int64_t rtt_ns_ = 0, at_ns_ = 0;
  int waiting_side_ = -1;  // side that lost a segment not yet repeated
};

class Writer {
 public:
  Writer(World* world, const CaptureOptions& options)
      : world_(world), options_(options),
        responder_(world->rng.Fork("responder"), &world->prose, options.responder) {
    for (auto& actor : world->actors) {
      callers_.emplace_back(actor.get());
      connections_.emplace_back(options_, world->rng.Fork("connection", callers_.size()));
    }
  }

  Result<CaptureTotals> Run() {
    if (!file_.Open(options_.path)) return Failed();
    for (size_t i = 0; i < callers_.size(); ++i) Plan(i);
    while (!plan_.empty()) {
      const auto [at_ns, which] = plan_.top();
      plan_.pop();
      Drain(at_ns);
      Step(which, at_ns);
      Plan(which);
    }
    Drain(kNever);
    totals_.bytes = file_.bytes();
    if (!file_.Close()) return Failed();
    return totals_;
  }

 private:
  struct Due {
    int64_t at_ns;
    size_t which;
    bool operator>(const Due& o) const { return std::tie(at_ns, which) > std::tie(o.at_ns, o.which); }
  };
  struct Later {
    bool operator()(const std::unique_ptr<Strand>& a, const std::unique_ptr<Strand>& b) const {
      return std::tie(a->frames[a->next].at_ns, a->serial) > std::tie(b->frames[b->next].at_ns, b->serial);
    }
  };

  Error Failed() const { return Error{options_.path + ": " + std::strerror(errno)}; }

  void Plan(size_t which) {
    const int64_t at_ns = callers_[which].NextAt();
    if (at_ns < world_->options.duration_ns) plan_.push({at_ns, which});
  }

  void Step(size_t which, int64_t now_ns) {
    Caller& caller = callers_[which];
    Connection& connection = connections_[which];
    auto strand = std::make_unique<Strand>();
    strand->serial = ++totals_.exchanges;
    const HttpRequest request = caller.Ask(now_ns);
    const Account& account = *caller.account();
    if (connection.open() && connection.account() != &account) connection.Close(now_ns, strand.get());
    if (!connection.open()) {
      connection.Open(account, now_ns, strand.get());
      ++totals_.connections;
    }
    const RequestFacts facts = FactsOf(account.client.api, caller.prompt(), request.bytes.size() - request.head_size);
    const int64_t unix_s = (world_->options.start_unix_ns + now_ns) / kNsPerSecond;
    const Response response = responder_.Respond(facts, strand->serial, unix_s);
    const bool apart = account.client.stack->head_apart;
    const std::string_view bytes = request.bytes;
    const int64_t end_ns =
        connection.Exchange(now_ns, apart ? bytes.substr(0, request.head_size) : bytes,
                            apart ? bytes.substr(request.head_size) : "", response, strand.get());
    caller.Hear(response.answer, end_ns);  // may move to another account
    totals_.rate_limited += response.answer.status == 429;
    // Whether the client will have closed before its next question is known now.
    const int64_t keep_ns = static_cast<int64_t>(account.client.stack->keep_alive_s * 1e9);
    if (caller.NextAt() >= world_->options.duration_ns || caller.NextAt() - end_ns >= keep_ns) {
      connection.Close(end_ns + std::min<int64_t>(keep_ns, 5 * kNsPerSecond), strand.get());
    }
    auto& frames = strand->frames;
    std::stable_sort(frames.begin(), frames.end(),
                     [](const FrameRef& a, const FrameRef& b) { return a.at_ns < b.at_ns; });
    strands_.push_back(std::move(strand));
    std::push_heap(strands_.begin(), strands_.end(), Later{});
  }

  // Writes every frame up to `until_ns`: nothing earlier can come any more.
  void Drain(int64_t until_ns) {
    while (!strands_.empty() && strands_.front()->frames[strands_.front()->next].at_ns <= until_ns) {
      std::pop_heap(strands_.begin(), strands_.end(), Later{});
      Strand& strand = *strands_.back();
      const FrameRef& frame = strand.frames[strand.next++];
      file_.Frame(world_->options.start_unix_ns + frame.at_ns,
                  std::string_view(strand.bytes).substr(frame.begin, frame.size));
      ++totals_.frames;
      totals_.last_ns = frame.at_ns;
      if (strand.next == strand.frames.size()) {
        strands_.pop_back();
      } else {
        std::push_heap(strands_.begin(), strands_.end(), Later{});
      }
    }
  }

  World* world_;
  const CaptureOptions& options_;
  Responder responder_;
  PcapFile file_;
  std::vector<Caller> callers_;
  std::vector<Connection> connections_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> plan_;
  std::vector<std::unique_ptr<Strand>> strands_;
  CaptureTotals totals_;
};

}  // namespace

Result<CaptureTotals> WriteCapture(World* world, const CaptureOptions& options) {
  return Writer(world, options).Run();
}

}  // namespace stillwatch::stillgen
