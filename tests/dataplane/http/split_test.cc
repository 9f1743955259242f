// Any cut of the bytes, any budget, and memory that ends right behind the bytes: the same calls to the observer.
#include <sys/mman.h>
#include <unistd.h>

#include <fstream>
#include <random>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/dataplane/http/gzip_data.h"
#include "tests/dataplane/http/talk.h"

namespace stillwatch::dataplane {
namespace {

using std::string;

std::vector<Talk> Talks() {
  const string gzip = Gzip("event: x\ndata: {\"text\":\"" + string(3'000, 'a') + "\"}\n\n");
  std::vector<Talk> talks = {
      {"plain", "GET /a HTTP/1.1\r\nHost: h\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
       "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 204 No Content\r\n\r\n"},
      {"chunked", "\r\nPOST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n0a\r\n0123456789\r\n"
                  "0\r\nT: v\r\nU: w\r\n\r\nGET /d HTTP/1.1\r\n\r\n",
       "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
       "HTTP/1.0 200 OK\r\n\r\nuntil the end"},
      {"folded", "GET / HTTP/1.1\r\nA: b\r\n c\r\n\td\r\nE : f\r\nNoColon\r\nG: h\ni\r\n\r\n",
       "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"},
      {"lost", "junk line\r\nmore GE\r\nGGET /x y z\r\nPOST /found HTTP/1.1\r\nContent-Length: 2\r\n\r\nabtail GET /t",
       "xHTTP/1.HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nzHTTP/1.1 junk\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\n"},
      {"unknown", "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\nbodyGET /next HTTP/1.1\r\n\r\n",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\nzz\r\nHTTP/1.1 200 OK\r\n\r\nrest"},
      {"gzip", "POST / HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: " +
                   std::to_string(gzip.size()) + "\r\n\r\n" + gzip + "GET /2 HTTP/1.1\r\n\r\n",
       "HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\n\r\n" + Gzip(gzip)},
      {"mislabelled", "POST / HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1fzipGET /2 HTTP/1.1\r\n\r\n",
       "HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: 3\r\n\r\nbad"},
      {"upgrade", "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\x82\x01x",
       "HTTP/1.1 101 Switching\r\n\r\n\x82\x01y"},
      {"http09", "GET /old\r\n", "<html>an answer</html>"},
  };
  return talks;
}

HttpLimits Limits() {
  HttpLimits limits = Driver::SmallLimits();
  limits.header_bytes_max = 256;
  return limits;
}

void Play(const Talk& talk, const std::vector<size_t>& cuts, uint64_t budget, Driver* driver) {
  driver->budget_bytes = budget;
  FeedCut(talk, cuts, driver);
  driver->connection->End(driver->context, false);
  driver->Close();
  EXPECT_FALSE(driver->recorder.ended_twice);
}

string LogOf(const Talk& talk, const std::vector<size_t>& cuts, uint64_t budget) {
  Driver d(Limits());
  Play(talk, cuts, budget, &d);
  return d.recorder.log;
}

TEST(HttpSplits, EveryCutAndByteByByteGiveTheSameCalls) { ExpectTheSameAtEveryCut(Talks(), LogOf); }

TEST(HttpSplits, EveryBudgetGivesTheSameCalls) {
  ExpectTheSameAtEveryBudget(Talks(), LogOf);
  for (const Talk& talk : Talks()) {
    if (talk.name != "gzip") continue;
    Driver d(Limits());
    Play(talk, {}, 1, &d);
    EXPECT_GT(d.steps, 6'000u);
  }
}

TEST(HttpSplits, RandomCutsAndBudgetsOnHeadsNearTheLimit) {
  std::mt19937 random(11);
  for (int round = 0; round < 2'000; ++round) {
    const size_t filler = 200 + random() % 60;  // around header_bytes_max of LogOf, 256
    Talk talk{"limit", "GET /" + string(filler, 'x') + " HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\nA: " +
                           string(random() % 300, 'y') + "\r\n\r\nGET /3 HTTP/1.1\r\n\r\n",
              ""};
    const string whole = LogOf(talk, {}, kWideBudget);
    std::vector<size_t> cuts;
    for (size_t n = 1 + random() % 5; n > 0; --n) cuts.push_back(1 + random() % (talk.client.size() - 1));
    ASSERT_EQ(LogOf(talk, cuts, 1 + random() % 64), whole) << filler;
  }
}

TEST(HttpSplits, VectorsOfLlhttpAtEveryCut) {
  std::ifstream file(STILLWATCH_SOURCE_DIR "/tests/data/http1/llhttp.json");
  for (const auto& c : nlohmann::json::parse(file)) {
    const bool request = c["mode"].get<string>().starts_with("request");
    Talk talk{c["id"], request ? c["input"] : "", request ? "" : c["input"]};
    const string whole = LogOf(talk, {}, kWideBudget);
    for (size_t cut = 1; cut < c["input"].get<string>().size(); ++cut) {
      ASSERT_EQ(LogOf(talk, {cut}, kWideBudget), whole) << talk.name << " at " << cut;
    }
  }
}

// The bytes end where the readable page ends: reading one further faults.
TEST(HttpSplits, NothingIsReadPastTheEnd) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  auto* const memory = static_cast<uint8_t*>(mmap(nullptr, 5 * page, PROT_READ | PROT_WRITE,
                                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(memory, MAP_FAILED);
  ASSERT_EQ(mprotect(memory + 4 * page, page, PROT_NONE), 0);
  uint8_t* const end = memory + 4 * page;
  for (const Talk& talk : Talks()) {
    for (const bool from_client : {true, false}) {
      const string& side = from_client ? talk.client : talk.server;
      for (size_t size = 1; size <= std::min<size_t>(side.size(), 4 * page); ++size) {
        Driver d;
        std::copy(side.begin(), side.begin() + static_cast<ptrdiff_t>(size), end - size);
        Bytes data(end - size, size);
        while (!data.empty()) {
          DecodeBudget budget;
          data = data.subspan(d.connection->Feed(d.context, from_client, data, &budget));
        }
        SniffHttp1(Bytes(end - size, size), from_client);
        d.Close();
      }
    }
  }
  munmap(memory, 5 * page);
}

}  // namespace
}  // namespace stillwatch::dataplane
