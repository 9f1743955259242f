#include "tools/stillgen/client_stack.h"

#include "tools/stillgen/phrase.h"

namespace stillwatch::stillgen {
namespace {

constexpr unsigned kOpenAi = 1u << static_cast<int>(Api::kChat) | 1u << static_cast<int>(Api::kResponses);
constexpr unsigned kMessages = 1u << static_cast<int>(Api::kMessages);
constexpr unsigned kGemini = 1u << static_cast<int>(Api::kGemini);
constexpr unsigned kAny = kOpenAi | kMessages | kGemini;

constexpr ClientStack kStacks[] = {
    {"openai-python", kOpenAi,
     "Host: {host}\nAccept-Encoding: gzip, deflate\nConnection: keep-alive\nAccept: application/json\n"
     "Content-Type: application/json\nUser-Agent: {agent}\nX-Stainless-Lang: python\n"
     "X-Stainless-OS: {os}\nX-Stainless-Arch: x64\nX-Stainless-Runtime: CPython\n"
     "X-Stainless-Async: false\n{auth}\nx-stainless-retry-count: {retry}\n"
     "x-stainless-read-timeout: 600\nContent-Length: {length}",
     "OpenAI/Python 1.61.0|OpenAI/Python 1.54.3|OpenAI/Python 1.66.2|OpenAI/Python 1.40.0",
     {.spaced = false}, false, true, 5, false},
    {"openai-python-async", kOpenAi,
     "Host: {host}\nAccept-Encoding: gzip, deflate, br\nConnection: keep-alive\n"
     "Accept: application/json\nContent-Type: application/json\nUser-Agent: {agent}\n"
     "X-Stainless-Lang: python\nX-Stainless-OS: {os}\nX-Stainless-Arch: x64\n"
     "X-Stainless-Runtime: CPython\nX-Stainless-Async: async:asyncio\n{auth}\n"
     "x-stainless-retry-count: {retry}\nContent-Length: {length}",
     "AsyncOpenAI/Python 1.61.0|AsyncOpenAI/Python 1.58.1|AsyncOpenAI/Python 1.35.7",
     {.spaced = true, .ascii_only = true}, false, true, 60, true},
    {"openai-node", kOpenAi,
     "content-length: {length}\naccept: application/json\ncontent-type: application/json\n"
     "user-agent: {agent}\nx-stainless-lang: js\nx-stainless-os: {os}\nx-stainless-arch: x64\n"
     "x-stainless-runtime: node\nx-stainless-retry-count: {retry}\n{auth}\n"
     "accept-encoding: gzip,deflate\nHost: {host}\nConnection: keep-alive",
     "OpenAI/JS 4.85.1|OpenAI/JS 4.77.0|OpenAI/JS 4.52.7", {}, true, false, 30, false},
    {"anthropic-python", kMessages,
     "Host: {host}\nAccept-Encoding: gzip, deflate\nConnection: keep-alive\nAccept: application/json\n"
     "Content-Type: application/json\nUser-Agent: {agent}\nX-Stainless-Lang: python\n"
     "X-Stainless-OS: {os}\nX-Stainless-Arch: x64\nX-Stainless-Runtime: CPython\n"
     "{auth}\nanthropic-version: 2023-06-01\nx-stainless-retry-count: {retry}\n"
     "Content-Length: {length}",
     "Anthropic/Python 0.49.0|Anthropic/Python 0.42.0|Anthropic/Python 0.31.2",
     {}, false, true, 5, false},
    {"anthropic-typescript", kMessages,
     "content-length: {length}\naccept: application/json\ncontent-type: application/json\n"
     "user-agent: {agent}\nx-stainless-lang: js\nx-stainless-os: {os}\nx-stainless-runtime: node\n"
     "anthropic-version: 2023-06-01\nx-stainless-retry-count: {retry}\n{auth}\n"
     "accept-encoding: gzip,deflate\nHost: {host}\nConnection: keep-alive",
     "Anthropic/JS 0.36.3|Anthropic/JS 0.32.1", {}, false, false, 30, false},
    {"google-genai", kGemini,
     "Host: {host}\nAccept: */*\nAccept-Encoding: gzip, deflate\nConnection: keep-alive\n"
     "Content-Type: application/json\nuser-agent: {agent}\nx-goog-api-client: {agent}\n{auth}\n"
     "Content-Length: {length}",
     "google-genai-sdk/1.2.0 gl-python/3.11.2|google-genai-sdk/1.5.0 gl-python/3.12.4",
     {}, false, true, 5, false},
    {"python-requests", kAny,
     "Host: {host}\nUser-Agent: {agent}\nAccept-Encoding: gzip, deflate\nAccept: */*\n"
     "Connection: keep-alive\n{auth}\nContent-Length: {length}\nContent-Type: application/json",
     "python-requests/2.32.3|python-requests/2.31.0|python-requests/2.28.2",
     {.spaced = true, .ascii_only = true}, true, true, 120, true},
    {"curl", kAny,
     "Host: {host}\nUser-Agent: {agent}\nAccept: */*\n{auth}\nContent-Type: application/json\n"
     "Content-Length: {length}",
     "curl/8.5.0|curl/7.88.1|curl/8.11.0", {.spaced = true}, true, false, 0, false},
    {"go", kAny,
     "Host: {host}\nUser-Agent: {agent}\nContent-Length: {length}\nAccept: application/json\n{auth}\n"
     "Content-Type: application/json\nAccept-Encoding: gzip",
     "Go-http-client/1.1", {.html_escape = true}, true, false, 90, true},
    {"okhttp", kAny,
     "{auth}\nContent-Type: application/json; charset=utf-8\nContent-Length: {length}\nHost: {host}\n"
     "Connection: Keep-Alive\nAccept-Encoding: gzip\nUser-Agent: {agent}",
     "okhttp/4.12.0|okhttp/4.9.3", {}, true, true, 300, true},
    {"axios", kAny,
     "Accept: application/json, text/plain, */*\nContent-Type: application/json\n{auth}\n"
     "User-Agent: {agent}\nContent-Length: {length}\nAccept-Encoding: gzip, compress, deflate, br\n"
     "Host: {host}\nConnection: close",
     "axios/1.7.9|axios/1.6.8|axios/0.27.2", {}, true, false, 0, false},
};

std::string AuthLines(const ClientIdentity& client) {
  const bool hand_written = client.stack->apis == kAny;
  switch (client.api) {
    case Api::kMessages:
      return (client.stack->model_first ? "x-api-key: " : "X-Api-Key: ") + client.key +
             (hand_written ? "\r\nanthropic-version: 2023-06-01" : "");
    case Api::kGemini:
      return client.key_in_query ? "x-request-source: api" : "x-goog-api-key: " + client.key;
    default:
      return "Authorization: Bearer " + client.key +
             (client.organisation.empty() ? "" : "\r\nOpenAI-Organization: " + client.organisation);
  }
}

std::string PathOf(const ClientIdentity& client, const Prompt& prompt) {
  switch (client.api) {
    case Api::kChat: return "/v1/chat/completions";
    case Api::kResponses: return "/v1/responses";
    case Api::kMessages: return "/v1/messages";
    case Api::kGemini: break;
  }
  std::string path = "/v1beta/models/" + prompt.model;
  path += prompt.parameters.stream ? ":streamGenerateContent?alt=sse" : ":generateContent";
  if (client.key_in_query) path += (prompt.parameters.stream ? "&key=" : "?key=") + client.key;
  return path;
}

}  // namespace

std::span<const ClientStack> ClientStacks() { return kStacks; }

HttpRequest EncodeRequest(const ClientIdentity& client, const Prompt& prompt, int retry) {
  const std::string body = EncodeBody(client, prompt);
  const std::string length = std::to_string(body.size()), count = std::to_string(retry);
  const std::string auth = AuthLines(client);
  HttpRequest request;
  request.bytes = "POST " + PathOf(client, prompt) + " HTTP/1.1\r\n";
  std::string_view lines = client.stack->headers;
  while (!lines.empty()) {
    const size_t end = std::min(lines.find('\n'), lines.size());
    request.bytes += Fill(lines.substr(0, end), {{"host", client.host}, {"length", length},
                                                 {"auth", auth}, {"agent", client.agent},
                                                 {"retry", count}, {"os", client.os}});
    request.bytes += "\r\n";
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  request.bytes += "\r\n";
  request.head_size = request.bytes.size();
  request.bytes += body;
  return request;
}

}  // namespace stillwatch::stillgen
