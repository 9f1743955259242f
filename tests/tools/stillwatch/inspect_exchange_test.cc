// The lines of `inspect --layer exchange` for recorded bodies, against what an independent reader expects
// (tests/data/llm-bodies/README.md).
#include "tools/stillwatch/inspect_exchange.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

namespace stillwatch {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;
using namespace dataplane;  // NOLINT: one file

std::string ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Plays one exchange through an inspector; returns its lines.
std::string Inspect(bool show_text, std::string_view target, const std::string& request, uint16_t status,
                    std::string_view type, const std::string& response) {
  char* data = nullptr;
  size_t size = 0;
  std::FILE* out = open_memstream(&data, &size);
  {
    InspectExchangeOptions options;
    options.llm.exchanges_max = 2;
    options.llm.streams_max = 2;
    options.llm.body_pool_bytes = 8 << 20;
    options.show_text = show_text;
    options.out = out;
    const auto inspector = MakeExchangeInspector(options);
    const HttpHeader request_headers[] = {{"authorization", "Bearer sk-secret"}};
    const HttpHeader response_headers[] = {{"content-type", type}};
    StreamContext at;
    at.client = {{192, 0, 2, 1}, 4};
    HttpObserver* http = inspector->http();
    auto* handle = http->OnRequestHead(at, 0, {"POST", target, "h", request_headers});
    if (handle != nullptr) {
      http->OnRequestBody(at, handle, AsBytes(request));
      http->OnRequestEnd(at, handle);
      http->OnResponseHead(at, handle, 0, {status, response_headers});
      http->OnResponseBody(at, handle, AsBytes(response));
      HttpTransactionInfo info;
      info.request_complete = info.response_complete = true;
      http->OnTransactionEnd(at, handle, HttpEnd::kComplete, info);
    }
  }
  std::fclose(out);
  std::string lines(data, size);
  std::free(data);
  return lines;
}

std::string Plain(const json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

// Names of the fields that differ.
std::string Differences(const json& expected, const json& line, int* fields, int* met) {
  std::string wrong;
  const auto check = [&](const std::string& name, const json& want, const json& have) {
    ++*fields;
    if (want == have) {
      ++*met;
    } else {
      wrong += " " + name + " (" + have.dump().substr(0, 100) + ")";
    }
  };
  for (const auto& [key, want] : expected["request"].items()) {
    if (key == "model" && !want.is_null()) check(key, want, line["model"]);
    if (key == "n_messages") check(key, want, line["messages"]);
    if (key == "input_text") check(key, want, line["last_user_text"]);
    for (const char* same : {"stream", "roles", "tools", "temperature", "top_p", "max_tokens", "n", "last_user_text", "system_text"}) {
      if (key == same) check(key, want, line[same]);
    }
  }
  for (const auto& [key, want] : expected["response"].items()) {
    if (key == "text" || key == "reasoning_text") check(key, want, line[key]);
    if (key == "model") check("response_model", want, line["response_model"]);
    if (key == "finish_reason") check(key, Plain(want), Plain(line["finish_reason"]));
    if (key == "error") check(key, Plain(want), line["error"]);
    if (key == "usage") {
      for (const auto& [side, count] : want.items()) check("usage." + side, count, line["usage"][side]);
    }
    if (key == "tool_calls") {
      json names = json::array(), ours = json::array();
      for (const json& call : want) names.push_back({call["name"], json::parse(Plain(call["arguments"]), nullptr, false)});
      for (const json& call : line["tool_calls"]) {
        ours.push_back({call["name"], json::parse(call["arguments"].get<std::string>(), nullptr, false)});
      }
      check(key, names, ours);
    }
  }
  if (expected["n_events"].is_number()) check("events", expected["n_events"], line["events"]);
  return wrong;
}

// The one field of these that differs, for the reason that tests/dataplane/llm/bodies_exceptions.txt gives.
const std::map<std::string, std::string> kListed = {{"bedrock-converse-json-03e753ad", "last_user_text"},
                                                    {"bedrock-converse-json-71ac4f0c", "tools"}};

TEST(InspectExchange, LinesSayWhatTheIndependentReaderSays) {
  int cases = 0, fields = 0, met = 0;
  for (const auto& entry : fs::recursive_directory_iterator(STILLWATCH_SOURCE_DIR "/tests/data/llm-bodies")) {
    if (entry.path().filename() != "case.json") continue;
    const json c = json::parse(ReadFile(entry.path()));
    if (c["api"] == "embeddings") continue;
    const fs::path dir = entry.path().parent_path();
    const std::string lines = Inspect(true, c["path"].get<std::string>(), ReadFile(dir / c["request_file"].get<std::string>()),
                                      c["status"], c["response_content_type"].is_string() ? c["response_content_type"].get<std::string>() : "",
                                      ReadFile(dir / c["response_file"].get<std::string>()));
    const json line = json::parse(lines, nullptr, false);
    ASSERT_TRUE(line.is_object()) << c["id"] << ": " << lines;
    EXPECT_EQ(line["status"], c["status"]);
    const std::string differences = Differences(c["expected"], line, &fields, &met);
    const auto listed = kListed.find(c["id"].get<std::string>());
    if (listed == kListed.end()) {
      EXPECT_EQ(differences, "") << c["id"];
    } else {
      EXPECT_TRUE(differences.starts_with(" " + listed->second + " (")) << c["id"] << ": " << differences;
    }
    ++cases;
  }
  EXPECT_GT(cases, 90);
  std::cout << cases << " exchanges, " << met << " of " << fields << " fields as expected\n";
}

TEST(InspectExchange, WithoutShowTextNoTextIsPrinted) {
  const std::string request =
      R"({"model":"m","messages":[{"role":"system","content":"sekret1"},{"role":"user","content":"sekret2"}],"user":"sekret3"})";
  const std::string response =
      R"({"choices":[{"message":{"content":"sekret4","reasoning_content":"sekret5","tool_calls":[{"id":"sekret6",)"
      R"("function":{"name":"lookup","arguments":"{\"a\":\"sekret7\"}"}}]},"finish_reason":"stop"}]})";
  const std::string lines = Inspect(false, "/v1/chat/completions", request, 200, "application/json", response);
  EXPECT_EQ(lines.find("sekret"), std::string::npos) << lines;
  EXPECT_EQ(lines.find("sk-secret"), std::string::npos) << lines;
  const json line = json::parse(lines);
  EXPECT_EQ(line["tool_calls"][0]["name"], "lookup");
  EXPECT_EQ(line["account"].get<std::string>().size(), 32u);
  EXPECT_EQ(line["client"], "192.0.2.1");
}

TEST(InspectExchange, BytesThatAreNoUtf8StillGiveALineOfJson) {
  const std::string lines = Inspect(true, "/v1/chat/completions", "{\"messages\":[{\"role\":\"us\xff\",\"content\":\"\xc3\"}]}", 200, "",
                                    "data: {\"choices\":[{\"delta\":{\"content\":\"\\q\xe2\"}}]}\n\n");
  const json line = json::parse(lines, nullptr, false);
  ASSERT_TRUE(line.is_object()) << lines;
  EXPECT_EQ(line["marks"], json({"malformed_request", "malformed_response"}));
}

}  // namespace
}  // namespace stillwatch
