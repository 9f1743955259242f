// Any cut of HTTP/2's bytes and any budget: the same calls to the observer.
#include <random>

#include <gtest/gtest.h>

#include "tests/dataplane/http/gzip_data.h"
#include "tests/dataplane/http/http2_builder.h"
#include "tests/dataplane/http/talk.h"

namespace stillwatch::dataplane {
namespace {

using std::string;

std::vector<Talk> Talks() {
  std::vector<Talk> talks;
  {
    Deflater c, s;
    const string gzip = Gzip(string(3'000, 'a') + "the end");
    const string block = c.Block(Post("/a", {{"content-encoding", "gzip"}}));
    const string client = Preface() + MakeFrame(1, 0, 1, block.substr(0, 7)) + MakeFrame(9, 0, 1, "") +
                          MakeFrame(9, 4, 1, block.substr(7)) << c.Headers(3, Get("/b"), true) +
                          MakeFrame(0, 8, 1, string("\x02", 1) + gzip.substr(0, 9) + string(2, '\0')) +
                          Data(1, gzip.substr(9)) << c.Headers(1, {{"trailer", "1"}}, true) + SettingsAck();
    const string server = Settings(Setting(1, 100)) + SettingsAck() << s.Headers(3, Status("103")) <<
                          s.Headers(3, Status("200", {{"content-encoding", "gzip"}})) << s.Headers(1, Status("200")) +
                          Data(1, "da") + Data(3, gzip) + Data(1, "ta", true) + Data(3, "", true) +
                          MakeFrame(0x42, 7, 3, "unknown") + MakeFrame(7, 0, 0, Be32(3) + Be32(0));
    talks.push_back({"whole", client, server, HttpVersion::kHttp2});
  }
  {
    Deflater c, s;
    talks.push_back({"malformed",
                     Preface() + MakeFrame(1, 8 | 4, 1, string("\xff", 1) + "abc") + MakeFrame(6, 0, 0, "short") +
                         MakeFrame(9, 4, 7, "stray") << c.Headers(3, Get("/a"), true) + MakeFrame(1, 1, 5, "\x82") +
                         MakeFrame(6, 0, 0, "12345678") << c.Headers(7, Get("/b"), true) + MakeFrame(1, 5, 9, "\xff\xff\xff\xff\xff"),
                     s.Headers(3, Status("200")) + Reset(3) << s.Headers(7, Status("20x"), true),
                     HttpVersion::kHttp2});
  }
  {
    Deflater c, s;
    c.Block(Get("/lost", {{"k", "v"}}));
    s.Block(Status("201", {{"k", "v"}}));
    talks.push_back({"joined", c.Headers(5, Get("/lost", {{"k", "v"}, {"n", "1"}}), true) << c.Headers(7, Get("/known"), true),
                     "\x01\x04junk" << s.Headers(5, Status("201", {{"k", "v"}})) + Data(5, "x", true) <<
                         s.Headers(7, Status("404"), true),
                     HttpVersion::kHttp2Joined});
  }
  {
    Deflater c;
    FieldPairs many = Get("/flood");
    for (int i = 0; i < 60; ++i) many.emplace_back("n" + std::to_string(i), "v");
    const string block = c.Block(many);
    talks.push_back({"too large", Preface() + MakeFrame(1, 1, 1, block.substr(0, 100)) + MakeFrame(9, 4, 1, block.substr(100)) <<
                                      c.Headers(3, Get("/after", {{"n59", "v"}}), true) +
                                      MakeFrame(1, 5, 5, string(300, '\xbe')) << c.Headers(7, Get("/end"), true),
                     "", HttpVersion::kHttp2});
  }
  {
    Deflater s;
    talks.push_back({"upgrade",
                     "GET /u HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
                     "HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n" + Settings() << s.Headers(1, Status("200")) +
                         Data(1, "answer", true),
                     HttpVersion::kHttp1});
  }
  return talks;
}

string LogOf(const Talk& talk, const std::vector<size_t>& cuts, uint64_t budget) {
  HttpLimits limits = Driver::SmallLimits();
  limits.header_bytes_max = 256;
  limits.hpack_bytes_max = 1u << 20;
  limits.streams_max = 64;
  Driver d(limits);
  d.connection = MakeHttpConnection(d.shared.get(), 0, talk.version);
  d.budget_bytes = budget;
  FeedCut(talk, cuts, &d);
  d.Close();
  EXPECT_FALSE(d.recorder.ended_twice);
  for (const auto& t : d.recorder.seen) EXPECT_TRUE(t->ended);
  string log = d.recorder.log;
  for (const auto& [name, count] : d.registry.Snapshot()) {
    if (name != "http.opaque_bytes") log += "\n" + name + " " + std::to_string(count);
  }
  return log;
}

TEST(Http2Splits, TheTalksSayWhatTheyAreAbout) {
  const auto talks = Talks();
  EXPECT_NE(LogOf(talks[0], {}, kWideBudget).find("the end"), string::npos);
  EXPECT_NE(LogOf(talks[2], {}, kWideBudget).find("/known"), string::npos);
  EXPECT_NE(LogOf(talks[3], {}, kWideBudget).find("/after"), string::npos);
  EXPECT_NE(LogOf(talks[3], {}, kWideBudget).find("/end"), string::npos);
  EXPECT_NE(LogOf(talks[4], {}, kWideBudget).find("answer"), string::npos);
}

TEST(Http2Splits, EveryCutAndByteByByteGiveTheSameCalls) { ExpectTheSameAtEveryCut(Talks(), LogOf); }

TEST(Http2Splits, EveryBudgetGivesTheSameCalls) { ExpectTheSameAtEveryBudget(Talks(), LogOf); }

}  // namespace
}  // namespace stillwatch::dataplane
