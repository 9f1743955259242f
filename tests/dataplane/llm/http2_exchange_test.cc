// From frames to exchanges: a model API over HTTP/2 with prior knowledge, two streams interleaved, gives the same
// exchanges as over two HTTP/1 connections, but for what tells the connections apart.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <sstream>

#include "dataplane/llm/llm_observer.h"
#include "dataplane/worker.h"
#include "tests/dataplane/frame_builder.h"
#include "tests/dataplane/http/gzip_data.h"
#include "tests/dataplane/http/http2_builder.h"
#include "tests/dataplane/llm/harness.h"

namespace stillwatch::dataplane::testing {
namespace {

using std::string;

class Blocks final : public WorkerOutput {
 public:
  void OnExchange(const ExchangeView& view) override {
    const ExchangeHeader& h = view.header();
    if (h.http2_hash != 0) ++with_http2_hash;
    // Field by field: the header has padding.
    std::ostringstream out;
    for (const auto value : {uint64_t{h.flags}, uint64_t(h.dialect), uint64_t(h.api), uint64_t(h.finish), h.organisation_id,
                             h.end_user_id, h.agent_family_hash, uint64_t{h.status}, uint64_t{h.turns}, uint64_t{h.tools},
                             uint64_t{h.n}, uint64_t{h.max_tokens}, uint64_t{h.tokens_in}, uint64_t{h.tokens_out},
                             h.request_bytes, h.response_bytes, h.body_hash, h.request_id_hash,
                             uint64_t(h.request_start_ns), uint64_t(h.first_token_ns), uint64_t(h.response_end_ns)}) {
      out << value << ' ';
    }
    out << HexOf(Bytes(h.key_id)) << ' ' << HexOf(Bytes(h.client.bytes)) << ' ' << +h.client.length;
    for (const uint64_t hash : h.part_hash) out << ' ' << hash;
    for (const uint32_t count : h.part_tokens) out << ' ' << count;
    out << ' ' << HexOf(view.block().subspan(sizeof h));
    blocks.push_back(out.str());
    tokens += h.part_tokens[static_cast<size_t>(Part::kOutput)];
  }
  void OnFlowRecord(const FlowRecord&) override {}
  std::vector<string> blocks;
  size_t with_http2_hash = 0, tokens = 0;
};

// One box, at a standing clock.
class Box {
 public:
  explicit Box(uint32_t segment_bytes) : segment_bytes_(segment_bytes) {
    observer_ = MakeLlmObserver(SmallOptions(), &output);
    WorkerOptions options;
    options.flows_max = 64;
    options.parsers_max = 16;
    options.decoders_max = 8;
    options.window_bytes_max = 1u << 20;
    options.reassembly_bytes_max = 4u << 20;
    worker_ = MakeWorker(options, observer_.get(), &output);
  }
  ~Box() { worker_->Finish(number_ + 1, kNow); }

  void Open(uint16_t port) {
    Segment(port, true, 2, {});
    Segment(port, false, 2 | 16, {});
    sent_[port] = {1, 1};
    Segment(port, true, 16, {});
  }
  void Send(uint16_t port, bool from_client, const string& bytes) {
    for (size_t at = 0; at < bytes.size(); at += segment_bytes_) {
      const string piece = bytes.substr(at, segment_bytes_);
      Segment(port, from_client, 16, piece);
      sent_[port][from_client ? 0 : 1] += static_cast<uint32_t>(piece.size());
    }
  }
  Blocks output;

 private:
  static constexpr int64_t kNow = 1'700'000'000'000'000'000;
  void Segment(uint16_t port, bool from_client, uint8_t flags, const string& payload) {
    const auto& sent = sent_[port];
    const uint32_t seq = sent[from_client ? 0 : 1], ack = (flags & 16) != 0 ? sent[from_client ? 1 : 0] : 0;
    const auto bytes = from_client
        ? stillwatch::testing::BuildFrame({.src_port = port, .seq = seq, .ack = ack, .flags = flags, .payload = payload})
        : stillwatch::testing::BuildFrame({.src = 0x0a000002, .dst = 0x0a000001, .src_port = 80, .dst_port = port, .seq = seq, .ack = ack,
                      .flags = flags, .payload = payload});
    const dataplane::Frame frame{bytes, static_cast<uint32_t>(bytes.size()), 0, ++number_, kNow};
    LookResult more = worker_->Look(frame);
    while (more == LookResult::kMore) more = worker_->Continue();
  }

  const uint32_t segment_bytes_;
  std::map<uint16_t, std::array<uint32_t, 2>> sent_;
  std::unique_ptr<LlmObserver> observer_;
  std::unique_ptr<Worker> worker_;
  uint64_t number_ = 0;
};

string Ask(const string& what) {
  return R"({"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":")" + what + R"("}]})";
}
std::vector<string> Events(const string& id, const std::vector<string>& words) {
  std::vector<string> out;
  for (const string& word : words) {
    out.push_back("data: {\"id\":\"" + id + "\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":"
                  "{\"content\":\"" + word + "\"},\"finish_reason\":null}]}\n\n");
  }
  out.push_back("data: {\"id\":\"" + id + "\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
                "data: [DONE]\n\n");
  return out;
}
string Joined(const std::vector<string>& pieces) {
  string out;
  for (const string& piece : pieces) out += piece;
  return out;
}

const string kAsk[2] = {Ask("Explain the tides step by step"), Ask("Write a rubric for essays about rivers")};
const std::vector<string> kWords[2] = {{"The moon ", "pulls ", "the sea."}, {"One point ", "for ", "each ", "river."}};

std::vector<string> OverHttp1() {
  Box box(1'400);
  for (int i : {0, 1}) {
    const auto port = static_cast<uint16_t>(40'000 + i);
    box.Open(port);
    box.Send(port, true, "POST /v1/chat/completions HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer sk-" + std::to_string(i) +
                             "\r\nUser-Agent: lib/1\r\nContent-Type: application/json\r\nContent-Length: " +
                             std::to_string(kAsk[i].size()) + "\r\n\r\n" + kAsk[i]);
    const string body = Joined(Events("chatcmpl-" + std::to_string(i), kWords[i]));
    box.Send(port, false, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: " +
                              std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  EXPECT_EQ(box.output.blocks.size(), 2u);
  EXPECT_EQ(box.output.with_http2_hash, 0u);
  return box.output.blocks;
}

std::vector<string> OverHttp2(uint32_t segment_bytes, bool gzip) {
  Box box(segment_bytes);
  Deflater client, server;
  box.Open(50'000);
  const auto head = [&](int i) {
    return client.Headers(static_cast<uint32_t>(2 * i + 1),
                          {{":method", "POST"}, {":scheme", "http"}, {":authority", "api"},
                           {":path", "/v1/chat/completions"}, {"authorization", "Bearer sk-" + std::to_string(i)},
                           {"user-agent", "lib/1"}, {"content-type", "application/json"},
                           {"content-length", std::to_string(kAsk[i].size())}});
  };
  box.Send(50'000, true, (Preface() << head(0)) + Data(1, kAsk[0].substr(0, 20)));
  box.Send(50'000, false, Settings() + SettingsAck());
  box.Send(50'000, true, head(1) + Data(3, kAsk[1], true) + Data(1, kAsk[0].substr(20), true) + SettingsAck());
  FieldPairs answer = Status("200", {{"content-type", "text/event-stream"}});
  if (gzip) answer.emplace_back("content-encoding", "gzip");
  string bytes = server.Headers(1, answer) << server.Headers(3, answer);
  std::vector<string> pieces[2];
  for (int i : {0, 1}) {
    pieces[i] = Events("chatcmpl-" + std::to_string(i), kWords[i]);
    if (gzip) pieces[i] = {Gzip(Joined(pieces[i]))};
  }
  // Event by event, in turns; the first stream ends first.
  for (size_t n = 0; n < 8; ++n) {
    for (uint32_t i : {0u, 1u}) {
      if (n < pieces[i].size()) bytes += Data(2 * i + 1, pieces[i][n], n + 1 == pieces[i].size());
    }
  }
  box.Send(50'000, false, bytes);
  EXPECT_EQ(box.output.with_http2_hash, box.output.blocks.size());
  EXPECT_GT(box.output.tokens, 8u);
  return box.output.blocks;
}

TEST(Http2Exchange, EqualsTheHttp1Form) {
  const auto http1 = OverHttp1();
  ASSERT_EQ(http1.size(), 2u);
  EXPECT_NE(http1[0], http1[1]);
  for (const uint32_t segment_bytes : {1'400u, 7u, 1u}) {
    EXPECT_EQ(OverHttp2(segment_bytes, false), http1) << segment_bytes;
    EXPECT_EQ(OverHttp2(segment_bytes, true), http1) << segment_bytes << " gzip";
  }
}

}  // namespace
}  // namespace stillwatch::dataplane::testing
