// inspect --layer tls over captures whose ClientHellos others listed (tshark: name, JA3, ALPN; FoxIO's files and
// reference: JA4): every row, field by field, in the order of each connection's hellos. What we read otherwise stands
// in tests/data/tls/exceptions.tsv with the reason, and must stay an exception (row +: a hello that others do not list).
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "dataplane/tls/key_feed.h"
#include "tests/dataplane/csv.h"
#include "tests/tools/stillwatch/inspect_lines.h"
#include "tools/stillwatch/inspect_layers.h"

namespace stillwatch {
namespace {

using nlohmann::json;
using std::string;
namespace fs = std::filesystem;

const fs::path kData = STILLWATCH_SOURCE_DIR "/tests/data/";
const string kFields[] = {"sni", "ja3", "ja4", "alpn"};

using Row = std::map<string, string>;

string Connection(const Row& row) {
  return row.at("src") + " " + row.at("sport") + " " + row.at("dst") + " " + row.at("dport");
}

std::map<string, std::vector<Row>> Inspect(const fs::path& folder) {
  dataplane::WorkerOptions options;
  options.flows_max = 4'096;
  options.ignore_checksums = true;  // as tshark does
  std::unique_ptr<dataplane::KeyFeed> keys;
  if (fs::exists(folder / "keylog.txt")) {
    keys = std::move(dataplane::KeyFeed::ReadFile(folder / "keylog.txt", 1)).value();
    options.tls.secrets = keys->ring(0);
  }
  std::map<string, std::vector<Row>> rows;
  for (const json& object : testing::InspectLines(InspectTls, testing::CaptureIn(folder), options)) {
    Row row;
    for (const auto& [field, value] : object.items()) {
      row[field] = value.is_string() ? value.get<string>() : value.dump();
    }
    rows[Connection(row)].push_back(row);
  }
  return rows;
}

TEST(InspectTls, ReadsHellosAsOthersDo) {
  auto exceptions = testing::ReadExceptions(kData / "tls" / "exceptions.tsv");
  size_t rows_all = 0, stated = 0, alike = 0, excepted = 0;
  for (const char* set : {"ja4", "pcap", "tls-keylog"}) {
    for (const auto& entry : fs::directory_iterator(kData / set)) {
      const fs::path folder = entry.path();
      if (!fs::exists(folder / "tls.csv")) continue;
      const string name = string(set) + "/" + folder.filename().string();
      auto ours = Inspect(folder);
      size_t number = 0;
      for (const Row& want : testing::ReadCsv(folder / "tls.csv")) {
        ++number;
        ++rows_all;
        auto& connection = ours[Connection(want)];
        Row got;
        if (!connection.empty()) {
          got = connection.front();
          connection.erase(connection.begin());
        }
        for (const string& field : kFields) {
          // The reference printed nothing for some rows: nothing is stated there.
          if (field == "ja4" && want.at(field).empty() && !want.at("ja3").empty()) continue;
          ++stated;
          if (!got.empty() && got.at(field) == want.at(field)) {
            ++alike;
            continue;
          }
          bool found = false;
          for (const string& where : {field, string("*")}) {
            const auto reason = exceptions.find({name, std::to_string(number), where});
            if (reason == exceptions.end()) continue;
            found = true;
            if (where == field || field == "alpn") exceptions.erase(reason);
            break;
          }
          excepted += found;
          EXPECT_TRUE(found) << name << " row " << number << " " << Connection(want) << " " << field << ": '"
                             << (got.empty() ? "(no hello)" : got.at(field)) << "' for '" << want.at(field) << "'";
        }
      }
      for (const auto& [connection, rest] : ours) {
        if (!rest.empty() && exceptions.erase({name, "+", "*"}) != 0) continue;
        EXPECT_TRUE(rest.empty()) << name << ": a hello that others do not list: " << connection << " "
                                  << (rest.empty() ? "" : rest.front().at("ja3"));
      }
    }
  }
  testing::ExpectNoneLeft(exceptions);
  EXPECT_GT(rows_all, 100u);
  EXPECT_EQ(alike + excepted, stated);
  std::printf("MEASURED tls hellos: %zu of %zu values of %zu rows alike, %zu excepted\n", alike, stated, rows_all, excepted);
}

// Requests inside TLS, read through the same parser as those in clear.
TEST(InspectTls, RequestsInsideAreRead) {
  size_t requests = 0;
  for (const auto& entry : fs::directory_iterator(kData / "tls-keylog")) {
    const fs::path folder = entry.path();
    if (!fs::exists(folder / "requests.csv")) continue;
    const auto keys = dataplane::KeyFeed::ReadFile(folder / "keylog.txt", 1);
    dataplane::WorkerOptions options;
    options.flows_max = 64;
    options.ignore_checksums = true;
    options.tls.secrets = keys.value()->ring(0);
    const std::vector<json> lines = testing::InspectLines(InspectHttp, testing::CaptureIn(folder), options);
    size_t next = 0;
    for (const Row& want : testing::ReadCsv(folder / "requests.csv")) {
      if (want.contains("proto") && want.at("proto") == "http/2") continue;  // not this test's
      ++requests;
      ASSERT_LT(next, lines.size()) << folder;
      const json& got = lines[next++];
      EXPECT_EQ(got["src"], want.at("src"));
      EXPECT_EQ(got["method"], want.at("method")) << folder;
      EXPECT_EQ(got["host"], want.at("host")) << folder;
      EXPECT_EQ(got["uri"], want.at("uri")) << folder;
      EXPECT_EQ(got["status"].dump(), want.at("status")) << folder;
      if (!want.at("response_body_len").empty()) {
        EXPECT_EQ(got["response_body_len"].dump(), want.at("response_body_len")) << folder;
      }
    }
  }
  EXPECT_EQ(requests, 4u);
}

}  // namespace
}  // namespace stillwatch
