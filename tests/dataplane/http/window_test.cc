// br and zstd bodies: against the encoders of libbrotli and libzstd and against bytes of other implementations
// (tests/data/http1/codings.json), at any cut, with the bounds on windows, memory and growth.
#include <random>

#include <gtest/gtest.h>

#include "dataplane/http/window_memory.h"
#include "dataplane/http/window_stage.h"
#include "tests/dataplane/http/gzip_data.h"
#include "tests/dataplane/http/recorder.h"
#include "tests/dataplane/http/window_data.h"

namespace stillwatch::dataplane {
namespace {

using std::string;

HttpLimits WithWindows(uint64_t mib = 32) {
  HttpLimits limits = Driver::SmallLimits();
  limits.window_bytes_max = mib << 20;
  return limits;
}

string Response(const string& coding, const string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Encoding: " + coding + "\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

string RandomText(std::mt19937* random, size_t size) {
  static const string kWords[] = {"the ", "distil", "{\"role\":\"user\"}", "\n", "data: ", "0123", "\xc3\xa9"};
  string out;
  while (out.size() < size) {
    if ((*random)() % 4 == 0) out.push_back(static_cast<char>((*random)()));
    else out += kWords[(*random)() % std::size(kWords)];
  }
  return out;
}

string Coded(const string& coding, const string& text, std::mt19937* random) {
  if (coding == "gzip") return Gzip(text);
  if (coding == "br") return Brotli(text, static_cast<int>((*random)() % 10), 10 + static_cast<int>((*random)() % 14));
  const int level = 1 + static_cast<int>((*random)() % 15), bits = 10 + static_cast<int>((*random)() % 14);
  const string frame = Zstd(text.substr(0, text.size() / 2), level, bits, (*random)() % 2 == 0);
  return frame + Zstd(text.substr(text.size() / 2), level, bits, (*random)() % 2 == 0);  // two frames
}

TEST(HttpWindow, RandomBodiesAtRandomCuts) {
  std::mt19937 random(5);
  const string codings[] = {"br", "zstd", "gzip"};
  for (int round = 0; round < 200; ++round) {
    const string text = RandomText(&random, random() % (round % 10 == 0 ? 400'000 : 9'000));
    const string outer = codings[random() % 2], inner = codings[random() % 3];
    const bool two = random() % 3 == 0;
    string body = Coded(outer, two ? Coded(inner, text, &random) : text, &random);
    body = Response(two ? inner + ", " + outer : outer, body);
    Driver d(WithWindows());
    d.budget_bytes = 1 + random() % 9'000;
    d.Client("GET / HTTP/1.1\r\n\r\n");
    for (size_t at = 0; at < body.size();) {
      const size_t piece = round % 5 == 0 ? 1 : 1 + random() % 3'000;
      d.Server(body.substr(at, piece));
      at += piece;
    }
    ASSERT_EQ(d.size(), 1u);
    ASSERT_EQ(d[0].response_body, text) << outer << " " << two;
    EXPECT_EQ(d[0].end, HttpEnd::kComplete);
    EXPECT_FALSE(d[0].info.response_body_cut) << outer << " " << two;
    EXPECT_LE(d.recorder.largest_call, d.budget_bytes);
  }
}

TEST(HttpWindow, AnEventStreamComesOutAsItIsFlushed) {
  // A server flushes after each event; the reader must not wait for more.
  const string events[] = {"data: {\"delta\":\"one\"}\n\n", "data: {\"delta\":\"two\"}\n\n"};
  ZSTD_CCtx* const zstd = ZSTD_createCCtx();
  BrotliEncoderState* const brotli = BrotliEncoderCreateInstance(nullptr, nullptr, nullptr);
  Driver z(WithWindows()), b(WithWindows());
  for (Driver* d : {&z, &b}) d->Client("GET / HTTP/1.1\r\n\r\n");
  z.Server("HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\n\r\n");
  b.Server("HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\n");
  string all;
  for (const string& event : events) {
    all += event;
    string out(1'024, '\0');
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    ZSTD_inBuffer from{event.data(), event.size(), 0};
    ASSERT_EQ(ZSTD_compressStream2(zstd, &to, &from, ZSTD_e_flush), 0u);
    z.Server(out.substr(0, to.pos));
    EXPECT_EQ(z[0].response_body, all);

    size_t in_left = event.size(), out_left = out.size();
    auto* next_in = reinterpret_cast<const uint8_t*>(event.data());
    auto* next_out = reinterpret_cast<uint8_t*>(out.data());
    ASSERT_NE(BrotliEncoderCompressStream(brotli, BROTLI_OPERATION_FLUSH, &in_left, &next_in, &out_left, &next_out,
                                          nullptr), BROTLI_FALSE);
    b.Server(out.substr(0, out.size() - out_left));
    EXPECT_EQ(b[0].response_body, all);
  }
  ZSTD_freeCCtx(zstd);
  BrotliEncoderDestroyInstance(brotli);
}

TEST(HttpWindow, WindowsOverEightMiBAreNotRead) {
  std::mt19937 random(1);
  const string text = RandomText(&random, 40'000);
  Driver d(WithWindows());
  d.Client("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n");
  d.Server(Response("zstd", Zstd(text, 3, 24)));
  EXPECT_EQ(d.Count("http.window_too_large"), 1u);
  EXPECT_EQ(d[0].response_body, "");
  EXPECT_TRUE(d[0].info.response_body_cut);
  EXPECT_EQ(d[0].end, HttpEnd::kComplete);
  d.Server(Response("zstd", Zstd(text, 3, 23)));
  EXPECT_EQ(d[1].response_body, text);
  // A br body that announces 16 MiB and does not need them is read.
  d.Server(Response("br", Brotli(text, 1, 24)));
  EXPECT_EQ(d[2].response_body, text);
  EXPECT_EQ(d.Count("http.window_too_large"), 1u);

  // One that needs them is not. (Random, so that it is no bomb.)
  string large(17u << 20, '\0');
  for (size_t i = 0; i < large.size(); i += 4) {
    const uint32_t word = random();
    std::memcpy(large.data() + i, &word, 4);
  }
  Driver b(WithWindows());
  b.Client("GET / HTTP/1.1\r\n\r\n");
  b.Server(Response("br", Brotli(large, 1, 24)));
  EXPECT_EQ(b.Count("http.window_too_large"), 1u);
  EXPECT_TRUE(b[0].info.response_body_cut);
  EXPECT_EQ(b[0].end, HttpEnd::kComplete);
}

TEST(HttpWindow, MemoryIsBoundedInAllAndGoesBack) {
  const HttpLimits limits = WithWindows(12);
  Driver d(limits);
  const string body = Zstd(string(3'000, 'a') + "end", 3, 23);
  const string head = Response("zstd", body).substr(0, Response("zstd", body).size() - 4);
  d.Client("GET / HTTP/1.1\r\n\r\n");
  d.Server(head);
  auto second = MakeHttpConnection(d.shared.get());
  DecodeBudget budget;
  second->Feed(d.context, false, AsBytes(Response("zstd", body)), &budget);
  EXPECT_EQ(d.Count("http.windows_empty"), 1u);
  EXPECT_TRUE(d[1].info.response_body_cut);
  d.connection.reset();
  second->Feed(d.context, false, AsBytes(Response("zstd", body)), &budget);
  EXPECT_EQ(d.Count("http.windows_empty"), 1u);
  EXPECT_EQ(d[2].response_body.size(), 3'003u);
}

TEST(HttpWindow, BombsAreCut) {
  const string zeros(40u << 20, '\0');
  for (const string coding : {"br", "zstd"}) {
    const string bomb = coding == "br" ? Brotli(zeros, 5, 22) : Zstd(zeros, 3, 22);
    Driver ratio(WithWindows());
    ratio.Client("GET / HTTP/1.1\r\n\r\n");
    ratio.Server(Response(coding, bomb));
    EXPECT_EQ(ratio.Count("http.decoded_ratio"), 1u) << coding;
    EXPECT_LT(ratio[0].response_body.size(), 5u << 20);
    EXPECT_EQ(ratio[0].end, HttpEnd::kComplete);

    HttpLimits limits = WithWindows();
    limits.decoded_body_bytes_max = 1u << 20;
    Driver size(limits);
    size.Client("GET / HTTP/1.1\r\n\r\n");
    size.Server(Response(coding, bomb));
    EXPECT_EQ(size.Count("http.decoded_too_large"), 1u) << coding;
    EXPECT_LE(size[0].response_body.size(), (1u << 20) + (64u << 10));
  }
}

// What came out before a corrupt place does not depend on the cuts (zstd; br keeps some to itself).
TEST(HttpWindow, CorruptAndTruncatedBodiesAreCut) {
  std::mt19937 random(9);
  const string text = RandomText(&random, 500'000);  // four blocks
  for (const string coding : {"br", "zstd"}) {
    const string body = coding == "br" ? Brotli(text) : Zstd(text);
    Driver truncated(WithWindows());
    truncated.Client("GET / HTTP/1.1\r\n\r\n");
    truncated.Server(Response(coding, body.substr(0, body.size() / 2)));
    EXPECT_EQ(truncated.Count("http.decode_truncated"), 1u) << coding;
    EXPECT_TRUE(truncated[0].info.response_body_cut);
    EXPECT_TRUE(text.starts_with(truncated[0].response_body));
    EXPECT_GT(truncated[0].response_body.size(), 100'000u);
  }
  int failures = 0;
  for (int round = 0; round < 60; ++round) {
    string body = Zstd(text, 1, 17, round % 2 == 0);
    for (int i = 0; i < 3; ++i) body[random() % body.size()] = static_cast<char>(random());
    Driver whole(WithWindows(2)), cut(WithWindows(2));
    for (Driver* d : {&whole, &cut}) d->Client("GET / HTTP/1.1\r\n\r\n");
    const string response = Response("zstd", body);
    whole.Server(response);
    for (size_t at = 0; at < response.size();) {
      const size_t piece = 1 + random() % (round % 3 == 0 ? 9 : 40'000);
      cut.Server(response.substr(at, piece));
      at += piece;
    }
    ASSERT_EQ(whole.recorder.log, cut.recorder.log) << round;
    failures += static_cast<int>(whole.Count("http.decode_failed"));
  }
  EXPECT_GT(failures, 30);
}

// A frame that says 200 bytes and holds fewer, in a block that is stored as it is. Found by fuzz_window.
TEST(HttpWindow, AStoredBlockThatIsTooShortGivesTheSameAtEveryCut) {
  for (const size_t bytes : {1u, 2u, 12u, 32u, 199u}) {
    const auto header = static_cast<uint32_t>(1 | bytes << 3);
    string body("\x28\xb5\x2f\xfd\x20\xc8", 6);
    for (int shift : {0, 8, 16}) body += static_cast<char>(header >> shift);
    body += string(bytes, 's');
    const string response = Response("zstd", body);
    const auto read = [&](size_t cut, size_t piece) {
      Driver d(WithWindows());
      d.Client("GET / HTTP/1.1\r\n\r\n");
      d.Server(response.substr(0, cut));
      for (size_t at = cut; at < response.size(); at += piece) d.Server(response.substr(at, piece));
      EXPECT_EQ(d.Count("http.decode_failed"), 1u);
      return d.recorder.log;
    };
    const auto whole = read(response.size(), 1);
    for (size_t cut = response.size() - body.size(); cut < response.size(); ++cut) {
      ASSERT_EQ(read(cut, response.size()), whole) << bytes << " bytes, cut at " << cut;
    }
    ASSERT_EQ(read(0, 1), whole) << bytes;
  }
}

// A frame that says 88 bytes and holds more, in blocks that are stored as they are. Found by fuzz_window.
TEST(HttpWindow, AStoredBlockThatIsTooLongGivesTheSameAtEveryCut) {
  string body("\x28\xb5\x2f\xfd\x20\x58", 6);
  for (const uint32_t bytes : {40u, 12u, 80u}) {
    const uint32_t header = bytes << 3 | (bytes == 80 ? 1 : 0);
    for (int shift : {0, 8, 16}) body += static_cast<char>(header >> shift);
    body += string(bytes, 's');
  }
  const string response = Response("zstd", body);
  for (const size_t piece : {size_t{1}, size_t{2}, size_t{5}, size_t{37}, response.size()}) {
    Driver d(WithWindows());
    d.Client("GET / HTTP/1.1\r\n\r\n");
    for (size_t at = 0; at < response.size(); at += piece) d.Server(response.substr(at, piece));
    EXPECT_EQ(d.Count("http.decode_failed"), 1u) << piece;
    EXPECT_EQ(d[0].response_body, string(88, 's')) << piece;
  }
}

// libzstd would read frames of its formats before 1.0 with memory that is not ours.
TEST(HttpWindow, LegacyZstdFramesAreCorrupt) {
  for (const uint8_t version : {0x22, 0x23, 0x24, 0x25, 0x26, 0x27}) {
    for (size_t lead = 0; lead < 18; ++lead) {
      string body = Zstd(string(200, 'x'), 1, 10).substr(0, lead);
      body += static_cast<char>(version);
      body += "\xb5\x2f\xfd" + string(40, '\x70');
      Driver d(WithWindows());
      d.Client("GET / HTTP/1.1\r\n\r\n");
      const string response = Response("zstd", body);
      const size_t head = response.size() - body.size() + lead;
      d.Server(response.substr(0, head));
      d.Server(response.substr(head));
      EXPECT_TRUE(d[0].info.response_body_cut) << int{version} << " " << lead;
      EXPECT_EQ(d[0].end, HttpEnd::kComplete);
    }
  }
}

TEST(WindowMemory, RandomTakesAgainstASlowMap) {
  constexpr size_t kPages = 300;
  WindowMemory memory(kPages * WindowMemory::kPageBytes);
  std::mt19937 random(2);
  std::vector<int> owner(kPages, 0);
  std::map<int, std::pair<size_t, size_t>> held;
  std::map<int, void*> at;
  char* base = nullptr;
  for (int step = 1; step < 20'000; ++step) {
    if (random() % 2 == 0 && !held.empty()) {
      auto it = held.begin();
      std::advance(it, random() % held.size());
      memory.Give(at[it->first]);
      for (size_t p = 0; p < it->second.second; ++p) owner[it->second.first + p] = 0;
      at.erase(it->first);
      held.erase(it);
      continue;
    }
    const size_t pages = 1 + random() % (random() % 8 == 0 ? 200 : 20);
    void* const got = memory.Take(pages * WindowMemory::kPageBytes - random() % 100);
    if (base == nullptr) base = static_cast<char*>(got);
    size_t first = 0, run = 0;
    while (first + run < kPages && run < pages) {
      if (owner[first + run] != 0) first += run + 1, run = 0;
      else ++run;
    }
    ASSERT_EQ(got != nullptr, run == pages) << step;
    if (got == nullptr) continue;
    ASSERT_EQ(static_cast<size_t>(static_cast<char*>(got) - base) / WindowMemory::kPageBytes, first) << step;
    for (size_t p = 0; p < pages; ++p) owner[first + p] = step;
    held[step] = {first, pages};
    at[step] = got;
  }
}

}  // namespace
}  // namespace stillwatch::dataplane
