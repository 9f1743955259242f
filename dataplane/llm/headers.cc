#include "dataplane/llm/headers.h"

#include <algorithm>

#include "dataplane/http/text.h"

namespace stillwatch::dataplane {
namespace {

template <typename Array>
void KeepLast(std::string_view value, Array* values, size_t* count) {
  if (*count == values->size()) {
    std::move(values->begin() + 1, values->end(), values->begin());
    --*count;
  }
  (*values)[(*count)++] = value;
}

// "realtime, openai-insecure-api-key.KEY, openai-organization.ORG"
void ReadSubprotocols(std::string_view list, RequestHeaders* out) {
  while (!list.empty()) {
    std::string_view one = list.substr(0, list.find(','));
    list.remove_prefix(std::min(one.size() + 1, list.size()));
    one = TrimBlanks(one);
    const auto take = [&](std::string_view name, std::string_view* value) {
      if (one.starts_with(name)) *value = one.substr(name.size());
    };
    take("openai-insecure-api-key.", &out->subprotocol_key);
    take("openai-organization.", &out->organisation);
    if (out->organisation.empty()) take("openai-project.", &out->organisation);
  }
}

}  // namespace

RequestHeaders ReadRequestHeaders(const HttpRequestHead& head, std::string_view credential_header) {
  RequestHeaders out;
  for (const HttpHeader& header : head.headers) {
    const auto is = [&](std::string_view lower) { return EqualsNoCase(header.name, lower); };
    switch (header.name.size()) {  // most headers are none of ours: one compare of a number
      case 7:
        if (is("upgrade")) out.upgrade = header.value;
        if (is("api-key")) out.api_key = header.value;
        break;
      case 9:
        if (is("x-api-key")) out.x_api_key = header.value;
        if (is("forwarded")) KeepLast(header.value, &out.forwarded, &out.forwarded_count);
        break;
      case 10:
        if (is("user-agent")) out.user_agent = header.value;
        break;
      case 12:
        if (is("content-type")) out.content_type = header.value;
        break;
      case 13:
        if (is("authorization")) out.authorization = header.value;
        break;
      case 14:
        if (is("x-goog-api-key")) out.goog_api_key = header.value;
        if (is("openai-project") && out.organisation.empty()) out.organisation = header.value;
        break;
      case 15:
        if (is("x-forwarded-for")) {
          KeepLast(header.value, &out.x_forwarded_for, &out.x_forwarded_for_count);
        }
        break;
      case 19:
        if (is("openai-organization")) out.organisation = header.value;
        if (is("x-goog-user-project")) out.organisation = header.value;
        break;
      case 22:
        if (is("sec-websocket-protocol")) ReadSubprotocols(header.value, &out);
        break;
      default: break;
    }
    if (!credential_header.empty() && is(credential_header)) out.custom_credential = header.value;
  }
  return out;
}

ResponseHeaders ReadResponseHeaders(const HttpResponseHead& head) {
  ResponseHeaders out;
  for (const HttpHeader& header : head.headers) {
    const auto is = [&](std::string_view lower) { return EqualsNoCase(header.name, lower); };
    switch (header.name.size()) {
      case 10:
        if (is("request-id")) out.request_id = header.value;
        break;
      case 12:
        if (is("content-type")) out.content_type = header.value;
        if (is("x-request-id") && out.request_id.empty()) out.request_id = header.value;
        break;
      case 15:
        if (is("apim-request-id") && out.request_id.empty()) out.request_id = header.value;
        break;
      case 16:
        if (is("x-amzn-requestid") && out.request_id.empty()) out.request_id = header.value;
        break;
      default: break;
    }
  }
  return out;
}

std::string_view QueryValue(std::string_view target, std::string_view name) {
  size_t at = target.find('?');
  while (at != std::string_view::npos) {
    const std::string_view rest = target.substr(at + 1);
    const std::string_view pair = rest.substr(0, rest.find_first_of("&#"));
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=') {
      return pair.substr(name.size() + 1);
    }
    at = target.find('&', at + 1);
  }
  return {};
}

}  // namespace stillwatch::dataplane
