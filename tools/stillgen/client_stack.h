// The client libraries that callers use: real header names, order and case, JSON style, connection
// habits. A table; an account keeps one stack for life.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tools/stillgen/json_text.h"
#include "tools/stillgen/model_request.h"

namespace stillwatch::stillgen {

struct ClientStack {
  std::string_view name;
  unsigned apis;             // bit set of 1 << Api
  std::string_view headers;  // one a line; {host} {length} {auth} {agent} {retry} {os} are filled
  std::string_view agents;   // '|'-separated User-Agent values; an account picks one
  JsonStyle json;
  bool model_first;          // key order: hand-written bodies start with the model, SDKs do not
  bool head_apart;           // head and body leave in two writes
  double keep_alive_s;       // idle seconds after which it closes; 0: one request a connection
  bool server_side;          // typical of back ends and scripts rather than of people's tools
};

std::span<const ClientStack> ClientStacks();

// What differs between accounts on one stack.
struct ClientIdentity {
  const ClientStack* stack = nullptr;
  Api api = Api::kChat;
  std::string key;    // the credential as sent, without "Bearer "
  std::string agent;
  std::string os;
  std::string host;
  std::string organisation;   // sent in a header where the API has one; empty: not sent
  bool key_in_query = false;  // Gemini's ?key=
};

// One whole HTTP/1.1 request. `retry` counts earlier attempts with the same body.
struct HttpRequest {
  std::string bytes;
  size_t head_size = 0;
};
HttpRequest EncodeRequest(const ClientIdentity& client, const Prompt& prompt, int retry);

// The JSON body alone.
std::string EncodeBody(const ClientIdentity& client, const Prompt& prompt);

}  // namespace stillwatch::stillgen
