// Is it HTTP/1? By the first bytes of a direction.
#include <algorithm>

#include "dataplane/http/head.h"
#include "dataplane/http/http_connection.h"
#include "dataplane/http/text.h"

namespace stillwatch::dataplane {
namespace {

using std::string_view;

constexpr size_t kMethodMax = 24;
constexpr size_t kRequestLineMax = 16u << 10;

constexpr string_view kMethods[] = {"GET",     "POST",  "PUT",     "HEAD", "DELETE",
                                    "OPTIONS", "PATCH", "CONNECT", "TRACE"};

bool TargetBegins(char c) { return c == '/' || c == '*' || c == 'h' || c == 'H'; }

HttpSniff SniffRequest(string_view text) {
  size_t method = 0;
  while (method < text.size() && method <= kMethodMax && IsTokenChar(text[method])) ++method;
  if (method == 0 || method > kMethodMax) return HttpSniff::kNotHttp;
  if (method == text.size()) return HttpSniff::kNeedMore;
  if (text[method] != ' ') return HttpSniff::kNotHttp;
  const string_view name = text.substr(0, method);
  const string_view rest = text.substr(method + 1);
  if (rest.empty()) return HttpSniff::kNeedMore;
  const bool known = std::find(std::begin(kMethods), std::end(kMethods), name) != std::end(kMethods);
  if (known && (rest[0] == '/' || name == "CONNECT")) return HttpSniff::kHttp;
  if (!known && !TargetBegins(rest[0])) return HttpSniff::kNotHttp;
  // Another method or target: the whole line must say HTTP/1 (RTSP, SIP and the HTTP/2 preface do not).
  const size_t lf = rest.find('\n');
  if (lf == string_view::npos) {
    return rest.size() > kRequestLineMax ? HttpSniff::kNotHttp : HttpSniff::kNeedMore;
  }
  return rest.substr(0, lf).find(" HTTP/1.") != string_view::npos ? HttpSniff::kHttp
                                                                  : HttpSniff::kNotHttp;
}

HttpSniff SniffResponse(string_view text) {
  constexpr string_view kVersion = "HTTP/";
  const size_t common = std::min(text.size(), kVersion.size());
  if (text.substr(0, common) != kVersion.substr(0, common)) return HttpSniff::kNotHttp;
  if (text.size() <= kVersion.size()) return HttpSniff::kNeedMore;
  return IsDigit(text[kVersion.size()]) ? HttpSniff::kHttp : HttpSniff::kNotHttp;
}

}  // namespace

HttpSniff SniffHttp1(Bytes head, bool from_client) {
  string_view text = AsText(head);
  while (!text.empty() && (text.front() == '\r' || text.front() == '\n')) text.remove_prefix(1);
  if (text.empty()) return HttpSniff::kNeedMore;
  return from_client ? SniffRequest(text) : SniffResponse(text);
}

}  // namespace stillwatch::dataplane
