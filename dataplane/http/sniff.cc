// Is it HTTP, and which? By the first bytes of a direction, or of a segment.
#include <algorithm>

#include "dataplane/http/head.h"
#include "dataplane/http/http2_frame.h"
#include "dataplane/http/http_connection.h"
#include "dataplane/http/text.h"

namespace stillwatch::dataplane {
namespace {

using std::string_view;

constexpr size_t kMethodMax = 15;

constexpr string_view kMethods[] = {"GET",     "POST",  "PUT",     "HEAD", "DELETE",
                                    "OPTIONS", "PATCH", "CONNECT", "TRACE"};

// `text` against how a target may begin; says kNeedMore while it may still become one.
HttpSniff Begins(string_view text, string_view target) {
  const size_t common = std::min(text.size(), target.size());
  for (size_t i = 0; i < common; ++i) {
    if (LowerAscii(text[i]) != LowerAscii(target[i])) return HttpSniff::kNotHttp;
  }
  return text.size() < target.size() ? HttpSniff::kNeedMore : HttpSniff::kHttp;
}

// Decided within 24 bytes: a flow holds no more. A method is taken by its letters, the target by its beginning,
// so that RTSP (rtsp://), SIP (sip:) and the HTTP/2 preface (* HTTP/2.0) fall out.
HttpSniff SniffRequest(string_view text) {
  size_t method = 0;
  while (method < text.size() && method <= kMethodMax &&
         ((text[method] >= 'A' && text[method] <= 'Z') || (method > 0 && IsTokenChar(text[method]) &&
                                                           !IsDigit(text[method])))) {
    ++method;
  }
  if (method == 0 || method > kMethodMax) return HttpSniff::kNotHttp;
  if (method == text.size()) return HttpSniff::kNeedMore;
  if (text[method] != ' ') return HttpSniff::kNotHttp;
  const string_view name = text.substr(0, method);
  const string_view rest = text.substr(method + 1);
  if (rest.empty()) return HttpSniff::kNeedMore;
  const bool known = std::find(std::begin(kMethods), std::end(kMethods), name) != std::end(kMethods);
  if (rest[0] == '/' && (known || name.size() >= 3)) return HttpSniff::kHttp;
  if (name == "CONNECT") return HttpSniff::kHttp;
  HttpSniff best = HttpSniff::kNotHttp;
  for (const string_view target : {"http://", "https://", "* HTTP/1."}) {
    const HttpSniff sniff = Begins(rest, target);
    if (sniff == HttpSniff::kHttp) return sniff;
    if (sniff == HttpSniff::kNeedMore) best = sniff;
  }
  return best;
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

// A client begins with the preface, a server with SETTINGS (RFC 9113, 3.4).
HttpSniff SniffHttp2(Bytes head, bool from_client) {
  if (from_client) {
    const size_t common = std::min(head.size(), kHttp2Preface.size());
    if (AsText(head.first(common)) != kHttp2Preface.substr(0, common)) return HttpSniff::kNotHttp;
    return common == kHttp2Preface.size() ? HttpSniff::kHttp : HttpSniff::kNeedMore;
  }
  constexpr uint8_t kSettingsFrom3[] = {4, 0, 0, 0, 0, 0};
  constexpr uint8_t kSettingsMax = 16;
  for (size_t i = 0; i < head.size() && i < kHttp2HeaderBytes; ++i) {
    const bool fits = i < 2    ? head[i] == 0
                      : i == 2 ? head[i] % 6 == 0 && head[i] <= kSettingsMax * 6
                               : head[i] == kSettingsFrom3[i - 3];
    if (!fits) return HttpSniff::kNotHttp;
  }
  return head.size() < kHttp2HeaderBytes ? HttpSniff::kNeedMore : HttpSniff::kHttp;
}

namespace {

// A whole frame, and another or the segment's end behind it: chance gives one header in some hundred million.
bool BeginsWithFrames(Bytes segment) {
  if (segment.size() < kHttp2HeaderBytes) return false;
  const Http2FrameHeader first = ReadHttp2Header(segment.data());
  if (!LooksLikeHttp2Header(first)) return false;
  const size_t end = kHttp2HeaderBytes + first.length;
  if (end == segment.size()) return true;
  if (end > segment.size() || segment.size() - end < kHttp2HeaderBytes) return false;
  const Http2FrameHeader next = ReadHttp2Header(segment.data() + end);
  return LooksLikeHttp2Header(next) || (next.type == 0 && next.stream_id == first.stream_id);
}

}  // namespace

HttpSniff SniffHttp(Bytes head, bool from_client, bool joined, HttpVersion* version) {
  *version = HttpVersion::kHttp1;
  const HttpSniff http1 = SniffHttp1(head, from_client);
  if (http1 == HttpSniff::kHttp) return http1;
  const HttpSniff http2 = SniffHttp2(head, from_client);
  *version = HttpVersion::kHttp2;
  if (http2 == HttpSniff::kHttp && !(joined && !from_client)) return http2;
  if (joined && BeginsWithFrames(head)) {
    *version = HttpVersion::kHttp2Joined;
    return HttpSniff::kHttp;
  }
  const bool more = http1 == HttpSniff::kNeedMore || (http2 == HttpSniff::kNeedMore && !joined);
  return more ? HttpSniff::kNeedMore : HttpSniff::kNotHttp;
}

}  // namespace stillwatch::dataplane
