// make_capture: the capture that tools/bench measures on. Keep-alive connections of POST
// /v1/chat/completions with JSON bodies of 1 to 4 KB and JSON answers of 2 KB, interleaved by time as one link
// would show them, right checksums, contiguous sequence numbers. The same arguments give the same bytes.
//
//   make_capture OUT.pcap [CONNECTIONS=20000] [REQUESTS_A_CONNECTION=5] [SEED=1]
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <queue>
#include <string>
#include <vector>

#include "base/endian.h"
#include "base/hash.h"

namespace stillwatch::benchmarks {
namespace {

constexpr uint64_t kStartUs = 1'767'225'600ull * 1'000'000;  // 2026-01-01
constexpr uint64_t kBetweenConnectionsUs = 3'000;  // a longer capture lasts longer, it is no denser
constexpr size_t kMss = 1460;
constexpr size_t kAccounts = 4000;
constexpr size_t kAnswerBytes = 2048;

class Random {
 public:
  explicit Random(uint64_t seed) : state_(Mix64(seed + 0x9e3779b97f4a7c15ull)) {}
  uint64_t Next() { return Mix64(state_ += 0x9e3779b97f4a7c15ull); }
  uint64_t Below(uint64_t n) { return Next() % n; }
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

 private:
  uint64_t state_;
};

// Made-up words drawn with a Zipf-like law, with what JSON escapes and what is not ASCII mixed in.
class Vocabulary {
 public:
  Vocabulary() {
    constexpr const char* kOnsets[] = {"b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "st", "tr", "ch"};
    constexpr const char* kNuclei[] = {"a", "e", "i", "o", "u", "ai", "ea", "ou"};
    constexpr const char* kCodas[] = {"", "n", "r", "s", "t", "nd"};
    Random random(7);
    for (int i = 0; i < 6000; ++i) {
      std::string word;
      for (uint64_t syllables = 1 + random.Below(3); syllables > 0; --syllables) {
        word += kOnsets[random.Below(16)];
        word += kNuclei[random.Below(8)];
        word += kCodas[random.Below(6)];
      }
      words_.push_back(word);
    }
  }
  // JSON string content of exactly `bytes` bytes.
  std::string Text(Random* random, size_t bytes) const {
    constexpr const char* kSpice[] = {"\\n", "\\n\\n", " \\\"quoted\\\" ", " caf\u00e9 ", " \u65e5\u672c\u8a9e ", "\\t"};
    std::string text;
    while (text.size() < bytes) {
      const double r = random->Unit();
      text += words_[static_cast<size_t>(static_cast<double>(words_.size()) * r * r * r)];
      if (random->Below(100) == 0) text += kSpice[random->Below(6)];
      text += random->Below(12) == 0 ? ". " : " ";
    }
    // Cut where no escape and no code point is split, then fill up.
    size_t cut = bytes;
    while (cut > 0 && (static_cast<unsigned char>(text[cut - 1]) >= 0x80 || text[cut - 1] == '\\')) --cut;
    text.resize(cut);
    text.append(bytes - cut, 'x');
    return text;
  }

 private:
  std::vector<std::string> words_;
};

uint32_t SumOf(const uint8_t* data, size_t size) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < size; i += 2) sum += LoadBe16(data + i);
  if (size % 2 != 0) sum += static_cast<uint32_t>(data[size - 1]) << 8;
  return sum;
}
uint16_t Fold(uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

// One connection, frame by frame.
class Connection {
 public:
  Connection(uint64_t index, uint64_t requests, uint64_t seed, const Vocabulary& words)
      : random_(Mix64(seed) ^ Mix64(index + 1)), words_(words), requests_left_(requests) {
    account_ = random_.Below(kAccounts);
    client_ip_ = 0x0a000000u | static_cast<uint32_t>(Mix64(account_) & 0xffffff);
    client_port_ = static_cast<uint16_t>(1024 + (index * 7919) % 64000);
    seq_[0] = static_cast<uint32_t>(random_.Next());
    seq_[1] = static_cast<uint32_t>(random_.Next());
    split_ = random_.Below(2) == 0;
    now_us_ = kStartUs + kBetweenConnectionsUs * index;
    Emit(0, 0x02, "");
    now_us_ += 1000;
    Emit(1, 0x12, "");
    now_us_ += 1000;
    Emit(0, 0x10, "");
  }

  struct Frame {
    uint64_t time_us;
    std::string bytes;
  };
  // False when the connection is over.
  bool Next(Frame* frame) {
    if (at_ == frames_.size()) {
      frames_.clear();
      at_ = 0;
      if (requests_left_ > 0) {
        --requests_left_;
        Exchange();
      } else if (!closed_) {
        closed_ = true;
        Emit(0, 0x11, "");
        now_us_ += 1000;
        Emit(1, 0x11, "");
        now_us_ += 1000;
        Emit(0, 0x10, "");
      } else {
        return false;
      }
    }
    *frame = std::move(frames_[at_++]);
    return true;
  }

 private:
  void Exchange() {
    const size_t target = static_cast<size_t>(1000.0 * std::pow(4.0, random_.Unit()));
    const std::string user = std::to_string(account_);
    const std::string before =
        R"({"model": "atlas-large-2", "messages": [{"role": "system", "content": "You are a helpful assistant. )"
        R"(Answer in the user's language."}, {"role": "user", "content": ")";
    const std::string after = R"("}], "temperature": 0.7, "max_tokens": 1024, "stream": false, "user": "u)" + user + R"("})";
    const std::string body = before + words_.Text(&random_, target - before.size() - after.size()) + after;
    char key[48];
    std::snprintf(key, sizeof key, "sk-%016llx%016llx", static_cast<unsigned long long>(Mix64(account_ + 1)),
                  static_cast<unsigned long long>(Mix64(account_ + 2)));
    const std::string head = "POST /v1/chat/completions HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer " +
                             std::string(key) + "\r\nUser-Agent: openai-python/1.61.0\r\nAccept: application/json\r\n"
                             "Content-Type: application/json\r\nConnection: keep-alive\r\nContent-Length: " +
                             std::to_string(body.size()) + "\r\n\r\n";
    if (split_) {
      Send(0, head);
      Send(0, body);
    } else {
      Send(0, head + body);
    }
    now_us_ += 1000;
    Emit(1, 0x10, "");
    now_us_ += 50'000 + random_.Below(400'000);
    char id[32];
    std::snprintf(id, sizeof id, "%016llx", static_cast<unsigned long long>(random_.Next()));
    const std::string answer_before = R"({"id": "chatcmpl-)" + std::string(id) +
        R"(", "object": "chat.completion", "model": "atlas-large-2", "choices": [{"index": 0, "message": {"role": "assistant", "content": ")";
    const std::string answer_after = R"("}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 100, "completion_tokens": 300, "total_tokens": 400}})";
    const std::string answer = answer_before +
        words_.Text(&random_, kAnswerBytes - 180 - answer_before.size() - answer_after.size()) + answer_after;
    Send(1, "HTTP/1.1 200 OK\r\nServer: atlas\r\nContent-Type: application/json\r\nX-Request-Id: req_" + std::string(id) +
                "\r\nConnection: keep-alive\r\nContent-Length: " + std::to_string(answer.size()) + "\r\n\r\n" + answer);
    now_us_ += 1000;
    Emit(0, 0x10, "");
    now_us_ += 200'000 + random_.Below(600'000);
  }

  void Send(int side, const std::string& data) {
    for (size_t at = 0; at < data.size(); at += kMss) {
      now_us_ += 20;
      const size_t size = std::min(kMss, data.size() - at);
      Emit(side, at + size == data.size() ? 0x18 : 0x10, data.substr(at, size));
    }
  }

  void Emit(int side, uint8_t flags, const std::string& payload) {
    std::string frame(54, '\0');
    uint8_t* at = reinterpret_cast<uint8_t*>(frame.data());
    std::memcpy(at, side == 0 ? "\x02\0\0\0\x0a\x01\x02\0\0\0\x0b\x02\x08\0" : "\x02\0\0\0\x0b\x02\x02\0\0\0\x0a\x01\x08\0", 14);
    uint8_t* ip = at + 14;
    uint8_t* tcp = ip + 20;
    constexpr uint32_t kServer = 0xc633640au;  // 198.51.100.10, documentation range
    ip[0] = 0x45;
    StoreBe16(ip + 2, static_cast<uint16_t>(40 + payload.size()));
    StoreBe16(ip + 4, ip_id_++);
    StoreBe16(ip + 6, 0x4000);
    ip[8] = 64;
    ip[9] = 6;
    StoreBe32(ip + 12, side == 0 ? client_ip_ : kServer);
    StoreBe32(ip + 16, side == 0 ? kServer : client_ip_);
    StoreBe16(ip + 10, Fold(SumOf(ip, 20)));
    StoreBe16(tcp, side == 0 ? client_port_ : 80);
    StoreBe16(tcp + 2, side == 0 ? 80 : client_port_);
    StoreBe32(tcp + 4, seq_[side]);
    StoreBe32(tcp + 8, (flags & 0x10) != 0 ? seq_[1 - side] : 0);
    tcp[12] = 0x50;
    tcp[13] = flags;
    StoreBe16(tcp + 14, 65535);
    const uint32_t pseudo = SumOf(ip + 12, 8) + 6 + static_cast<uint32_t>(20 + payload.size());
    const uint8_t* text = reinterpret_cast<const uint8_t*>(payload.data());
    StoreBe16(tcp + 16, Fold(pseudo + SumOf(tcp, 20) + SumOf(text, payload.size())));
    seq_[side] += static_cast<uint32_t>(payload.size()) + ((flags & 3) != 0 ? 1 : 0);
    frames_.push_back({now_us_, frame + payload});
  }

  Random random_;
  const Vocabulary& words_;
  uint64_t requests_left_, account_;
  uint32_t client_ip_, seq_[2];
  uint16_t client_port_, ip_id_ = 1;
  bool split_, closed_ = false;
  uint64_t now_us_;
  std::vector<Frame> frames_;
  size_t at_ = 0;
};

int Main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "make_capture OUT.pcap [CONNECTIONS=20000] [REQUESTS_A_CONNECTION=5] [SEED=1]\n");
    return 64;
  }
  const uint64_t connections = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 20'000;
  const uint64_t requests = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 5;
  const uint64_t seed = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 1;
  FILE* out = std::fopen(argv[1], "wb");
  if (out == nullptr) {
    std::perror(argv[1]);
    return 2;
  }
  std::setvbuf(out, nullptr, _IOFBF, 1 << 22);
  const uint32_t header[6] = {0xa1b2c3d4, 4u << 16 | 2, 0, 0, 262144, 1};
  std::fwrite(header, 1, sizeof header, out);

  const Vocabulary words;
  struct Waiting {
    Connection::Frame frame;
    uint64_t index;
    Connection* connection;
    bool operator>(const Waiting& other) const {
      return frame.time_us != other.frame.time_us ? frame.time_us > other.frame.time_us : index > other.index;
    }
  };
  std::priority_queue<Waiting, std::vector<Waiting>, std::greater<>> heap;
  uint64_t opened = 0, frames = 0, bytes = 0;
  while (opened < connections || !heap.empty()) {
    while (opened < connections &&
           (heap.empty() || kStartUs + kBetweenConnectionsUs * opened <= heap.top().frame.time_us)) {
      auto* connection = new Connection(opened, requests, seed, words);
      Waiting first{{}, opened, connection};
      connection->Next(&first.frame);
      heap.push(std::move(first));
      ++opened;
    }
    Waiting next = heap.top();
    heap.pop();
    const uint32_t size = static_cast<uint32_t>(next.frame.bytes.size());
    const uint32_t record[4] = {static_cast<uint32_t>(next.frame.time_us / 1'000'000),
                                static_cast<uint32_t>(next.frame.time_us % 1'000'000), size, size};
    std::fwrite(record, 1, sizeof record, out);
    std::fwrite(next.frame.bytes.data(), 1, size, out);
    ++frames;
    bytes += size;
    if (next.connection->Next(&next.frame)) heap.push(std::move(next));
    else delete next.connection;
  }
  const bool failed = std::ferror(out) != 0;
  if (std::fclose(out) != 0 || failed) {
    std::perror(argv[1]);
    return 2;
  }
  std::printf("%llu requests, %llu frames, %llu bytes of frames\n",
              static_cast<unsigned long long>(connections * requests), static_cast<unsigned long long>(frames),
              static_cast<unsigned long long>(bytes));
  return 0;
}

}  // namespace
}  // namespace stillwatch::benchmarks

int main(int argc, char** argv) { return stillwatch::benchmarks::Main(argc, argv); }
