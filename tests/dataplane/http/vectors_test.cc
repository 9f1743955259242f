// The vectors of llhttp and gunicorn. What they refuse we must not report as clean: either nothing is reported,
// or the transaction is marked. What they accept in strict mode we must read the same and not mark. Exceptions,
// each with its reason, stand in tests/data/http1/exceptions.txt, and must stay exceptions.
#include <fstream>
#include <map>
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/dataplane/http/recorder.h"

namespace stillwatch::dataplane {
namespace {

using nlohmann::json;
using std::string;

const string kFolder = STILLWATCH_SOURCE_DIR "/tests/data/http1/";

string Base64(std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) continue;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    count += 6;
    if (count >= 8) out.push_back(static_cast<char>(bits >> (count -= 8)));
  }
  return out;
}

std::map<string, string> Exceptions() {
  std::map<string, string> out;
  std::ifstream file(kFolder + "exceptions.txt");
  for (string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    const size_t tab = line.find('\t');
    EXPECT_NE(tab, string::npos) << line;
    out[line.substr(0, tab)] = line.substr(tab + 1);
  }
  return out;
}

string Trim(string text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.pop_back();
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.erase(0, 1);
  return text;
}
string Upper(string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

// What one side of a connection said, reduced to what the vectors know.
struct Reading {
  std::vector<const SeenTransaction*> clean, marked;
  bool lost_track = false;
};
Reading Read(Driver& d) {
  Reading r;
  for (const auto& t : d.recorder.seen) (t->flagged() ? r.marked : r.clean).push_back(t.get());
  r.lost_track = d.Count("http.not_http_line") + d.Count("http.head_too_large") +
                     d.Count("http.resync_bytes") > 0;
  return r;
}

// The empty string when the messages of an llhttp case were read the same.
string Differs(const json& c, bool request, const Driver& d) {
  size_t at = 0;
  for (const auto& m : c["messages"]) {
    if (m["framing"] == "") continue;  // its head was not whole
    if (at == d.size()) return "message " + std::to_string(at) + " is missing";
    const SeenTransaction& t = d[at++];
    if (request && (t.method != m["method"] || t.target != m["url"])) return "request line";
    const string status = "status=" + std::to_string(t.status) + " ";
    if (!request && m["framing"].get<string>().rfind(status, 0) != 0) return "status";
    const auto& fields = request ? t.request_fields : t.response_fields;
    const size_t expected = m["headers"].size();
    if (fields.size() > expected) return "field count";
    for (size_t i = 0; i < fields.size(); ++i) {
      if (fields[i].first != m["headers"][i][0]) return "name " + fields[i].first;
      if (fields[i].second != Trim(m["headers"][i][1])) return "value of " + fields[i].first;
    }
    if ((request ? t.request_body : t.response_body) != m["body"]) return "body";
    const bool complete = request ? t.info.request_complete : t.info.response_complete;
    if (complete != m["complete"]) return complete ? "complete" : "incomplete";
  }
  for (; at < d.size(); ++at) {
    if (!d[at].flagged()) return "a message more, not marked";
  }
  return "";
}

// Whole, and byte by byte: the same verdict.
template <typename Judge>
void JudgeBothWays(const string& id, const string& bytes, bool request,
                   const std::map<string, string>& exceptions, size_t* excepted, Judge&& judge) {
  string first;
  for (const bool bytewise : {false, true}) {
    Driver d;
    if (bytewise) d.FeedBytewise(request, bytes);
    else d.Feed(request, bytes);
    d.Close();
    const string verdict = judge(d);
    if (exceptions.contains(id)) {
      EXPECT_NE(verdict, "") << id << " is no exception any more";
      *excepted += !bytewise;
    } else {
      EXPECT_EQ(verdict, "") << id << (bytewise ? " byte by byte" : "") << "\n" << d.recorder.log;
    }
  }
}

TEST(HttpVectors, Llhttp) {
  std::ifstream file(kFolder + "llhttp.json");
  const json cases = json::parse(file);
  ASSERT_EQ(cases.size(), 113u);
  const auto exceptions = Exceptions();
  size_t excepted = 0;
  for (const auto& c : cases) {
    const string id = "llhttp " + c["id"].get<string>();
    const string mode = c["mode"];
    const bool request = mode.starts_with("request");
    JudgeBothWays(id, Base64(c["input_b64"].get<string>()), request, exceptions, &excepted, [&](Driver& d) -> string {
      const Reading r = Read(d);
      const bool clean = r.marked.empty() && !r.lost_track;
      if (c["outcome"] == "error") {
        return clean && !r.clean.empty() ? "refused there, clean here" : "";
      }
      const bool strict = mode == "request" || mode == "response";
      if (!strict && !clean) return "";
      if (strict && !r.marked.empty() && r.marked[0] == d.recorder.seen[0].get()) {
        return "accepted there, marked here";
      }
      return Differs(c, request, d);
    });
  }
  std::printf("llhttp: %zu of %zu read alike, %zu exceptions\n", cases.size() - excepted,
              cases.size(), excepted);
}

TEST(HttpVectors, Gunicorn) {
  std::ifstream file(kFolder + "gunicorn.json");
  const json cases = json::parse(file);
  ASSERT_EQ(cases.size(), 77u);
  const auto exceptions = Exceptions();
  size_t excepted = 0;
  for (const auto& c : cases) {
    const string id = "gunicorn " + c["id"].get<string>();
    JudgeBothWays(id, Base64(c["input_b64"].get<string>()), true, exceptions, &excepted, [&](Driver& d) -> string {
      const Reading r = Read(d);
      if (!c["valid"]) {
        return r.marked.empty() && !r.lost_track && !r.clean.empty() ? "refused there, clean here"
                                                                     : "";
      }
      size_t at = 0;
      for (const auto& m : c["requests"]) {
        if (at == d.size()) return "request missing";
        const SeenTransaction& t = d[at++];
        if (t.flagged() && c["gunicorn_settings"].empty()) return "accepted there, marked here";
        if (t.method != m["method"]) return "method";
        if (m["body"].is_object() && t.target != m["uri"]) return "target";
        if (t.request_fields.size() != m["headers"].size()) return "field count";
        for (size_t i = 0; i < t.request_fields.size(); ++i) {
          if (Upper(t.request_fields[i].first) != m["headers"][i][0]) return "name";
          if (t.request_fields[i].second != m["headers"][i][1]) return "value";
        }
        if (m["body"].is_object() && t.request_body != Base64(m["body"]["b64"].get<string>())) return "body";
      }
      for (; at < d.size(); ++at) {
        if (!d[at].flagged()) return "a request more, not marked";
      }
      return "";
    });
  }
  std::printf("gunicorn: %zu of %zu read alike, %zu exceptions\n", cases.size() - excepted,
              cases.size(), excepted);
}

}  // namespace
}  // namespace stillwatch::dataplane
