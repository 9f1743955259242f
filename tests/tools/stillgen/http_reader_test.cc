#include "tools/stillgen/http_reader.h"

#include <gtest/gtest.h>

#include <vector>

namespace stillwatch::stillgen {
namespace {

using State = HttpReader::State;

// Feeds the stream in pieces of `step` bytes; returns the bodies of the messages read.
std::vector<std::string> Bodies(std::string_view stream, size_t step) {
  HttpReader reader;
  std::vector<std::string> bodies;
  for (size_t at = 0; at < stream.size(); at += step) {
    State state = reader.Feed(stream.substr(at, step));
    while (state == State::kDone) {
      bodies.push_back(reader.body());
      state = reader.Next();
    }
    EXPECT_NE(state, State::kBad);
  }
  return bodies;
}

TEST(HttpReaderTest, AnyCutGivesTheSameMessages) {
  const std::string stream =
      "POST /a HTTP/1.1\r\ncontent-length: 5\r\n\r\nhello"
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1c\r\n0123456789012345678901234567\r\n0\r\n\r\n"
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
      "POST /b HTTP/1.1\r\nContent-Length: 2\r\n\r\nok";
  const std::vector<std::string> expected{"hello", "abc0123456789012345678901234567", "", "ok"};
  for (size_t step = 1; step <= stream.size(); ++step) EXPECT_EQ(Bodies(stream, step), expected) << step;
}

TEST(HttpReaderTest, HeadersAreFoundWhateverTheirCase) {
  HttpReader reader;
  ASSERT_EQ(reader.Feed("HTTP/1.1 429 Too Many Requests\r\nRetry-After:  7\r\nCONNECTION: Close\r\nContent-Length: 0\r\n\r\n"), State::kDone);
  EXPECT_EQ(reader.first_line(), "HTTP/1.1 429 Too Many Requests");
  EXPECT_EQ(reader.Header("retry-after"), "7");
  EXPECT_TRUE(reader.close_asked());
  EXPECT_EQ(reader.Header("retry"), "");
}

TEST(HttpReaderTest, NonsenseIsBad) {
  EXPECT_EQ(HttpReader().Feed("POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n"), State::kBad);
  EXPECT_EQ(HttpReader().Feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), State::kBad);
  EXPECT_EQ(HttpReader().Feed(std::string(70 << 10, 'a')), State::kBad);
}

}  // namespace
}  // namespace stillwatch::stillgen
