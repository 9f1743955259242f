// What the dialect layer takes from HTTP heads. Pure; views point into the head.
#pragma once

#include <array>
#include <string_view>

#include "dataplane/http/http_observer.h"

namespace stillwatch::dataplane {

struct RequestHeaders {
  std::string_view authorization, x_api_key, api_key, goog_api_key, custom_credential;
  std::string_view organisation, user_agent, content_type, upgrade;
  std::string_view subprotocol_key;  // browsers can set no other field of a WebSocket's request
  // The last ones of each, newest last; more are left out (they are the farthest from our proxies).
  static constexpr size_t kForwardedMax = 8;
  std::array<std::string_view, kForwardedMax> x_forwarded_for, forwarded;
  size_t x_forwarded_for_count = 0, forwarded_count = 0;
};
RequestHeaders ReadRequestHeaders(const HttpRequestHead& head, std::string_view credential_header);

struct ResponseHeaders {
  std::string_view content_type, request_id;
};
ResponseHeaders ReadResponseHeaders(const HttpResponseHead& head);

// The value of `name` in the target's query, "" when absent. Not unescaped: keys need none.
std::string_view QueryValue(std::string_view target, std::string_view name);

}  // namespace stillwatch::dataplane
