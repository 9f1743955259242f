// Recorded bodies of live model APIs, compared with what an independent reader expects of them
// (tests/data/llm-bodies/README.md). Differences must be listed, with a reason, in bodies_exceptions.txt.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "harness.h"

namespace stillwatch::dataplane::testing {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

const std::string kData = STILLWATCH_SOURCE_DIR "/tests/data/llm-bodies/";

struct Loaded {
  std::string id, group;
  Case c;
  json expected;
};

std::string TargetOf(const std::string& api) {
  static const std::map<std::string, std::string> kTargets = {
      {"chat", "/v1/chat/completions"},
      {"completions", "/v1/completions"},
      {"responses", "/v1/responses"},
      {"messages", "/v1/messages"},
      {"embeddings", "/v1/embeddings"},
      {"embedContent", "/v1beta/models/gemini-x:embedContent"},
      {"batchEmbedContents", "/v1beta/models/gemini-x:batchEmbedContents"},
      {"converse", "/model/m/converse"},
      {"converse-stream", "/model/m/converse-stream"},
      {"invoke", "/model/m/invoke"},
      {"invoke-with-response-stream", "/model/m/invoke-with-response-stream"},
      {"generateContent", "/v1beta/models/gemini-x:generateContent"},
      {"streamGenerateContent", "/v1beta/models/gemini-x:streamGenerateContent?alt=sse"}};
  const auto found = kTargets.find(api);
  return found == kTargets.end() ? "" : found->second;
}

std::string PlainRequest(const std::string& api) {
  if (api == "converse") return R"({"messages":[{"role":"user","content":[{"text":"hi"}]}]})";
  if (api == "messages" || api == "chat") {
    return R"({"model":"m","messages":[{"role":"user","content":"hi"}]})";
  }
  if (api == "responses" || api == "embeddings") return R"({"model":"m","input":"hi"})";
  return R"({"contents":[{"parts":[{"text":"hi"}]}]})";
}

// Request and response as recorded.
void LoadPairs(std::vector<Loaded>* out) {
  for (const auto& entry : fs::recursive_directory_iterator(kData)) {
    if (entry.path().filename() != "case.json") continue;
    const json c = json::parse(ReadFile(entry.path()));
    if (TargetOf(c["api"]).empty()) continue;
    Loaded loaded{c["id"], c["api"], {}, c["expected"]};
    const fs::path dir = entry.path().parent_path();
    loaded.c.target = c["path"];
    loaded.c.host = c["host"];
    loaded.c.status = c["status"];
    loaded.c.request = ReadFile(dir / c["request_file"].get<std::string>());
    loaded.c.response = ReadFile(dir / c["response_file"].get<std::string>());
    loaded.c.request_headers = {{"Content-Type", "application/json"}};
    if (c["response_content_type"].is_string()) {
      loaded.c.response_headers = {{"Content-Type", c["response_content_type"]}};
    }
    out->push_back(std::move(loaded));
  }
}

// Responses only; the request is a plain one.
void LoadResponses(const std::string& folder, std::vector<Loaded>* out) {
  const std::string suffix = ".expected.json";
  for (const auto& entry : fs::recursive_directory_iterator(kData + folder)) {
    const std::string path = entry.path();
    if (!path.ends_with(suffix)) continue;
    const json e = json::parse(ReadFile(path));
    if (TargetOf(e["api"]).empty()) continue;
    const std::string body = path.substr(0, path.size() - suffix.size());
    Loaded loaded{fs::relative(body, kData), e["api"], {}, e["expected"]};
    loaded.c.target = TargetOf(e["api"]);
    loaded.c.request = PlainRequest(e["api"]);
    loaded.c.response = ReadFile(body);
    std::string type = "application/json";
    if (body.ends_with(".events.jsonl")) {
      type = "text/event-stream";
      std::string events;
      std::istringstream lines(loaded.c.response);
      for (std::string line; std::getline(lines, line);) {
        const json event = json::parse(line, nullptr, false);
        if (event.is_object() && event.contains("type") && e["api"] != "chat") {
          events += "event: " + event["type"].get<std::string>() + "\n";
        }
        events += "data: " + line + "\n\n";
      }
      loaded.c.response = events;
    } else if (body.find("streaming-") != std::string::npos) {
      type = "text/event-stream";
    }
    loaded.c.response_headers = {{"Content-Type", type}};
    out->push_back(std::move(loaded));
  }
}

// Two JSON texts that mean the same, or equal texts.
bool SameJson(const std::string& a, const std::string& b) {
  if (a == b) return true;
  const json x = json::parse(a, nullptr, false), y = json::parse(b, nullptr, false);
  return !x.is_discarded() && x == y;
}

std::string Plain(const json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

// field -> what was wrong; "" when it agrees.
std::map<std::string, std::string> Compare(const json& expected, const Seen& seen) {
  std::map<std::string, std::string> result;
  const auto check = [&](const std::string& field, bool same, const std::string& ours) {
    result[field] = same ? "" : "ours is '" + ours.substr(0, 200) + "'";
  };
  const json none = json::object();
  const json& q = expected.contains("request") ? expected["request"] : none;
  for (const auto& [key, value] : q.items()) {
    const std::string field = "request." + key;
    if (key == "model") check(field, value.is_null() || seen.model == value, seen.model);
    if (key == "deployment") check(field, seen.model == value || q.value("model", "") == seen.model, seen.model);
    if (key == "stream") {
      const bool ours = (seen.request_flags & kStreamed) != 0;
      check(field, ours == value.get<bool>(), ours ? "true" : "false");
    }
    if (key == "temperature" || key == "top_p") {
      const double ours = (key == "top_p" ? seen.top_p_milli : seen.temperature_milli) / 1000.0;
      check(field, ours == value.get<double>(), std::to_string(ours));
    }
    if (key == "max_tokens") check(field, seen.max_tokens == value, std::to_string(seen.max_tokens));
    if (key == "n") check(field, seen.n == value, std::to_string(seen.n));
    if (key == "n_messages") check(field, seen.turns == value, std::to_string(seen.turns));
    if (key == "system_text") check(field, seen.system_text == value, seen.system_text);
    if (key == "roles") {
      json ours = json::array();
      for (const auto& message : seen.messages) ours.push_back(message.role_name);
      check(field, ours == value, ours.dump());
    }
    if (key == "last_user_text" || key == "input_text") {
      const auto last = std::find_if(seen.messages.rbegin(), seen.messages.rend(),
                                     [](const SeenMessage& m) { return m.role_name == "user"; });
      const std::string ours = last == seen.messages.rend() ? "" : last->text;
      check(field, ours == value, ours);
    }
    if (key == "tools") check(field, json(seen.tools) == value, json(seen.tools).dump());
  }
  const json& r = expected["response"].is_object() ? expected["response"] : none;
  for (const auto& [key, value] : r.items()) {
    const std::string field = "response." + key;
    if (key == "text" || key == "delta_text") check(field, seen.text == value, seen.text);
    if (key == "reasoning_text") check(field, seen.reasoning == value, seen.reasoning);
    if (key == "finish_reason") check(field, seen.finish == Plain(value), seen.finish);
    if (key == "model") check(field, seen.response_model == value, seen.response_model);
    if (key == "error") check(field, seen.error == Plain(value), seen.error);
    if (key == "more_choices") check(field, seen.more_choices, "false");
    if (key == "block_reason") check(field, (seen.header.flags & kRefusal) != 0, "no refusal");
    if (key == "usage") {
      const json ours = {{"input", seen.header.tokens_in}, {"output", seen.header.tokens_out}};
      bool same = (seen.header.flags & kHasUsage) != 0;
      for (const auto& [name, count] : value.items()) same = same && ours[name] == count;
      check(field, same, ours.dump());
    }
    if (key == "tool_calls") {
      json ours = json::array();
      bool same = seen.calls.size() == value.size();
      for (size_t i = 0; i < seen.calls.size(); ++i) {
        ours.push_back({seen.calls[i].name, seen.calls[i].arguments});
        same = same && i < value.size() && seen.calls[i].name == value[i]["name"] &&
               SameJson(seen.calls[i].arguments, Plain(value[i]["arguments"]));
      }
      check(field, same, ours.dump());
    }
  }
  if (expected.contains("n_events") && expected["n_events"].is_number()) {
    check("n_events", seen.events == expected["n_events"], std::to_string(seen.events));
  }
  return result;
}

// "id field" -> reason
std::map<std::string, std::string> ReadExceptions() {
  std::map<std::string, std::string> out;
  std::ifstream file(STILLWATCH_SOURCE_DIR "/tests/dataplane/llm/bodies_exceptions.txt");
  EXPECT_TRUE(file.good());
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    const size_t first = line.find('\t'), second = line.find('\t', first + 1);
    if (second == std::string::npos) {
      ADD_FAILURE() << "not 'id<TAB>field<TAB>reason': " << line;
      continue;
    }
    out[line.substr(0, first) + " " + line.substr(first + 1, second - first - 1)] = line.substr(second + 1);
  }
  return out;
}

class Bodies : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    LoadPairs(&loaded_);
    LoadResponses("event-lists", &loaded_);
    LoadResponses("gemini-mock", &loaded_);
    std::sort(loaded_.begin(), loaded_.end(), [](const Loaded& a, const Loaded& b) { return a.id < b.id; });
  }
  static inline std::vector<Loaded> loaded_;
};

TEST_F(Bodies, SayWhatTheIndependentReaderSays) {
  ASSERT_GT(loaded_.size(), 200u);
  auto exceptions = ReadExceptions();
  struct Share {
    int cases = 0, cases_met = 0, fields = 0, fields_met = 0;
  };
  std::map<std::string, Share> shares;
  for (const Loaded& loaded : loaded_) {
    const Seen seen = Play(loaded.c);
    EXPECT_TRUE(seen.emitted) << loaded.id;
    Share& share = shares[loaded.group];
    ++share.cases;
    bool met = true;
    for (const auto& [field, wrong] : Compare(loaded.expected, seen)) {
      ++share.fields;
      const auto exception = exceptions.find(loaded.id + " " + field);
      if (wrong.empty()) {
        ++share.fields_met;
        EXPECT_TRUE(exception == exceptions.end()) << loaded.id << " " << field << " is met: strike it off the list";
      } else {
        met = false;
        EXPECT_TRUE(exception != exceptions.end()) << loaded.id << "\t" << field << "\t" << wrong;
      }
      if (exception != exceptions.end()) exceptions.erase(exception);
    }
    share.cases_met += met;
  }
  for (const auto& [key, reason] : exceptions) ADD_FAILURE() << "no such case or field: " << key;
  for (const auto& [group, share] : shares) {
    std::cout << group << ": " << share.cases_met << " of " << share.cases << " cases, " << share.fields_met
              << " of " << share.fields << " fields as expected\n";
  }
}

TEST_F(Bodies, AnyCutGivesTheSameExchange) {
  for (const Loaded& loaded : loaded_) {
    const Seen whole = Play(loaded.c);
    for (const size_t piece : {size_t{1}, size_t{7}, size_t{1000}}) {
      if (piece == 1 && loaded.c.response.size() > 100'000) continue;
      const Seen cut = Play(loaded.c, piece);
      EXPECT_EQ(cut.text, whole.text) << loaded.id;
      EXPECT_EQ(cut.reasoning, whole.reasoning) << loaded.id;
      EXPECT_EQ(cut.events, whole.events) << loaded.id;
      EXPECT_EQ(cut.header.flags, whole.header.flags) << loaded.id;
      EXPECT_EQ(cut.header.body_hash, whole.header.body_hash) << loaded.id;
      EXPECT_TRUE(std::equal(cut.header.part_hash, cut.header.part_hash + kParts, whole.header.part_hash));
      for (size_t p = 0; p < kParts; ++p) EXPECT_EQ(cut.tokens[p], whole.tokens[p]) << loaded.id;
      EXPECT_EQ(cut.issued, whole.issued) << loaded.id;
      EXPECT_EQ(cut.prefix_chain, whole.prefix_chain) << loaded.id;
    }
  }
}

// A body that ends anywhere: no crash, no leak, and the exchange is still emitted.
TEST_F(Bodies, ABodyMayEndAnywhere) {
  for (const Loaded& loaded : loaded_) {
    if (loaded.c.request.size() > 4'000 || loaded.c.response.size() > 20'000) continue;
    for (const double share : {0.1, 0.33, 0.5, 0.77, 0.95}) {
      Case c = loaded.c;
      c.response.resize(static_cast<size_t>(static_cast<double>(c.response.size()) * share));
      c.complete = false;
      EXPECT_TRUE(Play(c).emitted) << loaded.id;
      c.request.resize(static_cast<size_t>(static_cast<double>(c.request.size()) * share));
      Play(c);
    }
  }
}

}  // namespace
}  // namespace stillwatch::dataplane::testing
