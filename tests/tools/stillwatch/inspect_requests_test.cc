// inspect --layer http over captures whose requests others listed (Zeek's http.log baselines, tshark): every row,
// field by field. Rows that we read otherwise stand in tests/data/http1/pcap-exceptions.txt with the reason,
// and must stay exceptions.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/dataplane/csv.h"
#include "tests/tools/stillwatch/inspect_lines.h"
#include "tools/stillwatch/inspect_layers.h"

namespace stillwatch {
namespace {

using nlohmann::json;
using std::string;
namespace fs = std::filesystem;

const fs::path kData = STILLWATCH_SOURCE_DIR "/tests/data/";

using Row = std::map<string, string>;

// Zeek and tshark write bytes that cannot be printed as \xNN; so do we, for comparing.
string Printable(const string& text) {
  string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    char escaped[8];
    std::snprintf(escaped, sizeof escaped, "\\x%02X", byte);
    out += byte < 0x20 || byte >= 0x7f ? escaped : string(1, c);
  }
  return out;
}

std::vector<Row> Inspect(const fs::path& capture, bool ignore_checksums) {
  dataplane::WorkerOptions options;
  options.flows_max = 4'096;
  options.ignore_checksums = ignore_checksums;
  std::vector<Row> rows;
  for (const json& object : testing::InspectLines(InspectHttp, capture, options)) {
    Row& row = rows.emplace_back();
    for (const auto& [name, value] : object.items()) {
      row[name] = value.is_string() ? Printable(value.get<string>())
                  : value.is_null() ? ""
                                    : value.dump();
    }
  }
  return rows;
}

const std::vector<string> kFields = {"method", "host", "uri", "status", "request_body_len",
                                     "response_body_len", "proto"};

string Connection(const Row& row) {
  return row.at("src") + ":" + row.at("sport") + ">" + row.at("dst") + ":" + row.at("dport");
}

// Names of the fields in which `ours` differs; lengths that the expectation does not know are passed over.
std::vector<string> Differences(const Row& expected, const Row& ours) {
  std::vector<string> fields;
  for (const string& field : kFields) {
    if (!expected.contains(field)) continue;  // Zeek's rows say no proto
    const string& want = expected.at(field);
    if (want.empty() && field.ends_with("_len")) continue;
    // Zeek writes 0 where tshark writes nothing.
    if (field == "status" && (want.empty() || want == "0") &&
        (ours.at(field).empty() || ours.at(field) == "0")) {
      continue;
    }
    if (want != ours.at(field)) fields.push_back(field);
  }
  return fields;
}

TEST(InspectHttp, ReadsRequestsAsOthersDo) {
  auto exceptions = testing::ReadExceptions(kData / "http1" / "pcap-exceptions.txt");
  size_t rows_all = 0, rows_met = 0, stated = 0, stated_met = 0, http2 = 0, tunnelled = 0;
  for (const auto& entry : fs::directory_iterator(kData / "pcap")) {
    const fs::path folder = entry.path();
    if (!fs::exists(folder / "requests.csv")) continue;
    const string name = folder.filename();
    std::ifstream case_file(folder / "case.json");
    std::stringstream case_text;
    case_text << case_file.rdbuf();
    const json about = json::parse(case_text.str());
    // "zeek -C" ignores checksums, and tshark does not check them unless told to.
    const string source = about["files"]["requests.csv"];
    const bool checks = source.find("zeek baseline") != string::npos &&
                        source.find(" -C ") == string::npos && source.find(" -Cr ") == string::npos;
    std::multimap<string, Row> ours;
    for (Row& row : Inspect(testing::CaptureIn(folder), !checks)) ours.emplace(Connection(row), row);
    size_t number = 0;
    for (const Row& want : testing::ReadCsv(folder / "requests.csv")) {
      ++number;
      http2 += want.contains("proto") && want.at("proto") == "http/2";
      // The best of our rows of that connection that no other row has taken.
      auto [begin, end] = ours.equal_range(Connection(want));
      auto best = end;
      std::vector<string> differences = {"row"};
      for (auto row = begin; row != end; ++row) {
        const auto found = Differences(want, row->second);
        if (best == end || found.size() < differences.size()) {
          best = row;
          differences = found;
        }
      }
      const bool missing = best == end;
      string said = missing ? "(no row)" : "";
      if (!missing) {
        for (const string& field : differences) {
          said += field + ": '" + best->second.at(field) + "' for '" + want.at(field) + "'; ";
        }
        ours.erase(best);
      }
      ++rows_all;
      rows_met += differences.empty();
      for (const string& field : kFields) {
        if (!want.contains(field) || want.at(field).empty()) continue;
        ++stated;
        stated_met += !missing && std::find(differences.begin(), differences.end(), field) ==
                                      differences.end();
      }
      for (const string& field : differences) {
        const auto excepted = exceptions.find({name, std::to_string(number), field});
        if (excepted != exceptions.end()) {
          if (excepted->second.find("no tunnel is recognised") != string::npos) {
            tunnelled += static_cast<size_t>(
                std::count_if(kFields.begin(), kFields.end(),
                              [&](const string& f) { return want.contains(f) && !want.at(f).empty(); }));
          }
          exceptions.erase(excepted);
          continue;
        }
        ADD_FAILURE() << name << " row " << number << " " << want.at("method") << " "
                      << want.at("uri") << " " << said;
        break;
      }
    }
  }
  testing::ExpectNoneLeft(exceptions);
  EXPECT_GT(rows_all, 300u);
  EXPECT_GE(http2, 11u);
  EXPECT_GT(stated_met * 100, (stated - tunnelled) * 99);
  std::printf("requests: of the values that the %zu rows state %zu of %zu read alike (%.2f %%); %zu of them stand "
              "in tunnels that are not opened; %zu rows alike in what they leave empty as well; %zu of HTTP/2\n",
              rows_all, stated_met, stated,
              100.0 * static_cast<double>(stated_met) / static_cast<double>(stated), tunnelled, rows_met, http2);
}

// What suricata-verify says of captures: exactly so many transactions have these fields, as libhtp reads them. Checks of other
// fields (headers, settings of HTTP/2, the order of transactions) are passed over.
TEST(InspectHttp, CountsTransactionsAsLibhtpDoes) {
  const std::map<string, string> fields = {
      {"http.url", "uri"}, {"http.status", "status"}, {"http.http_method", "method"}, {"http.hostname", "host"},
      {"http.length", "response_body_len"}, {"src_ip", "src"}, {"src_port", "sport"}, {"dest_ip", "dst"}, {"dest_port", "dport"}};
  // capture and url -> why ours differs
  std::map<std::pair<string, string>, string> exceptions = {
      {{"suricata-bug-3844", "/"}, "\"GET /\" and no line end: a head that never came whole is no request here"},
      {{"suricata-http-gap-simple-frames-ips", "/2"}, "run as an IPS, which drops what comes behind the gap"},
      {{"suricata-http-gap-simple-frames-ips", "/3"}, "as /2"}};
  size_t alike = 0;
  for (const auto& entry : fs::directory_iterator(kData / "pcap")) {
    std::ifstream file(entry.path() / "suricata_checks.json");
    if (!file) continue;
    const json tests = json::parse(file);
    std::vector<Row> rows;
    for (const json& test : tests) {
      for (const json& check : test["checks"]) {
        std::map<string, string> want;
        bool comparable = check["match"].value("event_type", "") == "http";
        for (const auto& [name, value] : check["match"].items()) {
          if (name == "event_type" || name == "proto" || name == "http.protocol" || name == "pcap_cnt" || name == "tx_id") continue;
          const auto field = fields.find(name);
          comparable = comparable && field != fields.end();
          if (comparable) want[field->second] = value.is_string() ? Printable(value.get<string>()) : value.dump();
        }
        if (!comparable || (!want.contains("uri") && !want.contains("status") && !want.contains("method"))) continue;
        if (rows.empty()) rows = Inspect(testing::CaptureIn(entry.path()), true);
        const auto count = static_cast<size_t>(std::count_if(rows.begin(), rows.end(), [&](const Row& row) {
          return std::all_of(want.begin(), want.end(), [&](const auto& pair) { return row.at(pair.first) == pair.second; });
        }));
        if (exceptions.erase({entry.path().filename(), want["uri"]}) != 0) {
          EXPECT_NE(count, check["count"].get<size_t>()) << entry.path() << ": an exception no more";
          continue;
        }
        EXPECT_EQ(count, check["count"].get<size_t>()) << entry.path() << " " << check["match"];
        ++alike;
      }
    }
  }
  EXPECT_TRUE(exceptions.empty());
  EXPECT_GE(alike, 15u);
}

}  // namespace
}  // namespace stillwatch
