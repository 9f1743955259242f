// Transfer and content codings: against zlib's own compressor and against chunked and gzip bytes made by Python
// (tests/data/http1/codings.json), and the bounds that stop bombs.
#include <fstream>
#include <random>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/dataplane/http/gzip_data.h"
#include "tests/dataplane/http/recorder.h"

namespace stillwatch::dataplane {
namespace {

using std::string;

string Response(const string& fields, const string& body) {
  return "HTTP/1.1 200 OK\r\n" + fields + "Content-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

string Chunked(const string& body, std::mt19937* random) {
  string out;
  char line[40];
  for (size_t at = 0; at < body.size();) {
    const size_t size = std::min<size_t>(body.size() - at, 1 + (*random)() % 700);
    std::snprintf(line, sizeof line, (*random)() % 2 ? "%zx\r\n" : "%04zX;a=b\r\n", size);
    out += line + body.substr(at, size) + "\r\n";
    at += size;
  }
  return out + "0\r\n\r\n";
}

// Text with repetitions, as JSON and prose have.
string RandomText(std::mt19937* random, size_t size) {
  static const string kWords[] = {"the ", "distil", "{\"role\":\"user\"}", "\n", "data: ", "0123", "\xc3\xa9"};
  string out;
  while (out.size() < size) {
    if ((*random)() % 4 == 0) out.push_back(static_cast<char>((*random)()));
    else out += kWords[(*random)() % std::size(kWords)];
  }
  return out;
}

TEST(HttpDecode, RandomBodiesThroughEveryCoding) {
  std::mt19937 random(3);
  const int levels[] = {1, 6, 9}, strategies[] = {Z_DEFAULT_STRATEGY, Z_HUFFMAN_ONLY, Z_FIXED, Z_RLE};
  for (int round = 0; round < 400; ++round) {
    const string text = RandomText(&random, random() % 20'000);
    const int level = levels[random() % 3], strategy = strategies[random() % 4];
    const int formats[] = {31, 15, -15};
    const int format = formats[random() % 3];
    string body = Deflate(text, format, level, strategy);
    string fields = string("Content-Encoding: ") + (format == 31 ? "gzip" : "deflate");
    if (random() % 4 == 0) {
      body = Gzip(body);
      fields += ", x-gzip";
    }
    fields += "\r\n";
    if (random() % 4 == 0) {
      body = Zlib(body);
      fields += "Transfer-Encoding: deflate, chunked\r\n";
      body = "HTTP/1.1 200 OK\r\n" + fields + "\r\n" + Chunked(body, &random);
    } else if (random() % 2 == 0) {
      body = "HTTP/1.1 200 OK\r\n" + fields + "Transfer-Encoding: chunked\r\n\r\n" +
             Chunked(body, &random);
    } else {
      body = Response(fields, body);
    }
    Driver d;
    d.budget_bytes = 1 + random() % 9'000;
    d.Client("GET / HTTP/1.1\r\n\r\n");
    for (size_t at = 0; at < body.size();) {
      const size_t piece = 1 + random() % 3'000;
      d.Server(body.substr(at, piece));
      at += piece;
    }
    ASSERT_EQ(d.size(), 1u);
    ASSERT_EQ(d[0].response_body, text) << fields << " level " << level << " format " << format;
    ASSERT_TRUE(d[0].ended);
    EXPECT_EQ(d[0].end, HttpEnd::kComplete);
    EXPECT_EQ(d[0].info.response_body_bytes, text.size());
    EXPECT_FALSE(d[0].info.response_body_cut);
    EXPECT_LE(d.recorder.largest_call, 64u << 10);
    EXPECT_EQ(d.Count("http.decode_failed") + d.Count("http.decode_truncated"), 0u);
  }
}

string Unhex(const string& hex) {
  string out;
  EXPECT_TRUE(ParseHex(hex, &out));
  return out;
}

TEST(HttpDecode, BytesMadeByPython) {
  std::ifstream file(STILLWATCH_SOURCE_DIR "/tests/data/http1/codings.json");
  const auto cases = nlohmann::json::parse(file);
  ASSERT_GE(cases.size(), 10u);
  for (const auto& c : cases) {
    SCOPED_TRACE(c["id"].get<string>());
    Driver d;
    d.Client("GET / HTTP/1.1\r\n\r\n");
    d.Server(Unhex(c["response_hex"]));
    d.connection->End(d.context, false);
    ASSERT_EQ(d.size(), 1u);
    EXPECT_EQ(d[0].response_body, Unhex(c["body_hex"]));
    EXPECT_EQ(d[0].info.response_complete, c["complete"].get<bool>());
  }
}

TEST(HttpDecode, SeveralGzipMembersAndPaddingBehind) {
  Driver d;
  d.Client("GET / HTTP/1.1\r\n\r\n");
  d.Server(Response("Content-Encoding: gzip\r\n", Gzip("one ") + Gzip("two") + string(10, '\0')));
  EXPECT_EQ(d[0].response_body, "one two");
  EXPECT_FALSE(d[0].info.response_body_cut);
}

TEST(HttpDecode, UnsupportedCodingsAreCountedAndPassedOver) {
  Driver d;
  d.Client("GET / HTTP/1.1\r\n\r\n");
  d.Server(Response("Content-Encoding: compress\r\n", "12345"));
  EXPECT_EQ(d[0].response_body, "");
  EXPECT_TRUE(d[0].info.response_body_cut);
  EXPECT_EQ(d[0].info.response_body_bytes, 5u);
  EXPECT_TRUE(d[0].info.response_complete);
  EXPECT_EQ(d.Count("http.encoding_unsupported"), 1u);
  EXPECT_FALSE(d[0].info.ambiguous);

  Driver deep;
  deep.Client("GET / HTTP/1.1\r\n\r\n");
  deep.Server(Response("Content-Encoding: gzip, gzip\r\nContent-Encoding: gzip, gzip\r\n", "x"));
  EXPECT_EQ(deep.Count("http.encoding_too_deep"), 1u);
}

TEST(HttpDecode, MislabelledGzipIsPassedOnAndMarked) {
  Driver d;
  d.Client("GET / HTTP/1.1\r\n\r\n");
  d.Server(Response("Content-Encoding: gzip\r\n", "{\"plain\":1}"));
  EXPECT_EQ(d[0].response_body, "{\"plain\":1}");
  EXPECT_TRUE(d[0].info.ambiguous);
  EXPECT_EQ(d.Count("http.encoding_mislabelled"), 1u);
}

TEST(HttpDecode, CorruptAndTruncatedDataAreCut) {
  string body = Gzip(string(1'000, 'a') + "0123456789" + string(1'000, 'b'));
  Driver truncated;
  truncated.Client("GET / HTTP/1.1\r\n\r\n");
  truncated.Server(Response("Content-Encoding: gzip\r\n", body.substr(0, body.size() - 12)));
  EXPECT_TRUE(truncated[0].info.response_body_cut);
  EXPECT_EQ(truncated.Count("http.decode_truncated"), 1u);

  body[body.size() - 5] = static_cast<char>(body[body.size() - 5] ^ 1);  // the checksum
  Driver corrupt;
  corrupt.Client("GET / HTTP/1.1\r\n\r\n");
  corrupt.Server(Response("Content-Encoding: gzip\r\n", body) + "HTTP/1.1 200 OK\r\n");
  EXPECT_EQ(corrupt.Count("http.decode_failed"), 1u);
  EXPECT_TRUE(corrupt[0].info.response_body_cut);
  EXPECT_EQ(corrupt[0].response_body.size(), 2'010u);
  EXPECT_TRUE(corrupt[0].ended);
}

TEST(HttpDecode, BombsAreCutAtSizeAndRatio) {
  const string bomb = Gzip(string(8u << 20, '\0'));
  HttpLimits limits = Driver::SmallLimits();
  limits.decoded_body_bytes_max = 1u << 20;
  Driver size(limits);
  size.Client("GET / HTTP/1.1\r\n\r\n");
  size.Server(Response("Content-Encoding: gzip\r\n", bomb) + Response("", "next"));
  EXPECT_EQ(size.Count("http.decoded_too_large"), 1u);
  EXPECT_LE(size[0].response_body.size(), (1u << 20) + (64u << 10));
  EXPECT_TRUE(size[0].info.response_body_cut);
  EXPECT_EQ(size[0].end, HttpEnd::kComplete);
  EXPECT_EQ(size[1].response_body, "next");

  limits = Driver::SmallLimits();
  Driver ratio(limits);
  ratio.Client("GET / HTTP/1.1\r\n\r\n");
  ratio.Server(Response("Content-Encoding: gzip\r\n", bomb));
  EXPECT_EQ(ratio.Count("http.decoded_ratio"), 1u);
  EXPECT_LT(ratio[0].response_body.size(), 5u << 20);

  limits.decoded_body_bytes_max = 1'000;
  Driver plain(limits);
  plain.Client("POST / HTTP/1.1\r\nContent-Length: 5000\r\n\r\n" + string(5'000, 'x'));
  plain.Close();
  EXPECT_EQ(plain[0].request_body.size(), 1'000u);
  EXPECT_EQ(plain[0].info.request_body_bytes, 5'000u);
  EXPECT_TRUE(plain[0].info.request_body_cut);
}

TEST(HttpDecode, NestedBombsKeepTheBudget) {
  const string nested = Gzip(Gzip(string(3u << 20, 'x')));
  HttpLimits limits = Driver::SmallLimits();
  limits.decoded_ratio_max = 1u << 30;
  Driver d(limits);
  d.Client("GET / HTTP/1.1\r\n\r\n");
  d.budget_bytes = 10'000;
  const string response = Response("Content-Encoding: gzip, gzip\r\n", nested);
  d.Server(response);
  EXPECT_EQ(d[0].response_body.size(), 3u << 20);
  EXPECT_LE(d.recorder.largest_call, 10'000u);
  EXPECT_GE(d.steps, (3u << 20) / 10'000u);
  EXPECT_EQ(d[0].end, HttpEnd::kComplete);
}

TEST(HttpDecode, DecodersComeFromABoundedPoolAndGoBack) {
  HttpLimits limits = Driver::SmallLimits();
  limits.decoders_max = 1;
  Driver d(limits);
  d.Client("GET / HTTP/1.1\r\n\r\n");
  const string body = Gzip("hello");
  d.Server("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body.substr(0, 5));
  auto second = MakeHttpConnection(d.shared.get());
  DecodeBudget budget;
  const auto feed = [&](const string& text) {
    second->Feed(d.context, false, AsBytes(text), &budget);
  };
  feed(Response("Content-Encoding: gzip\r\n", body));
  EXPECT_EQ(d.Count("http.decoders_empty"), 1u);
  EXPECT_EQ(d[1].response_body, "");
  EXPECT_TRUE(d[1].info.response_body_cut);
  d.connection.reset();  // gives its decoder back
  feed(Response("Content-Encoding: gzip\r\n", body));
  EXPECT_EQ(d.Count("http.decoders_empty"), 1u);
  EXPECT_EQ(d[2].response_body, "hello");
}

}  // namespace
}  // namespace stillwatch::dataplane
