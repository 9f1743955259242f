#include "dataplane/http/head.h"

#include <algorithm>
#include <bit>
#include <cstring>

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "base/mutant.h"
#include "dataplane/http/text.h"

namespace stillwatch::dataplane {
namespace {

// The first control character (TAB is none) in [at, end), or end.
const char* FindControl(const char* at, const char* end) {
#ifdef __AVX2__
  // Signed compare: bytes from 0x80 on are negative, so "0x1f >= c" is taken as c <= 0x1f unsigned through min.
  const __m256i last = _mm256_set1_epi8(0x1f), tab = _mm256_set1_epi8('\t'),
                del = _mm256_set1_epi8(0x7f);
  for (; end - at >= 32; at += 32) {
    const __m256i block = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
    const __m256i low = _mm256_cmpeq_epi8(_mm256_min_epu8(block, last), block);
    const __m256i hit = _mm256_or_si256(_mm256_andnot_si256(_mm256_cmpeq_epi8(block, tab), low),
                                        _mm256_cmpeq_epi8(block, del));
    const uint32_t mask = static_cast<uint32_t>(_mm256_movemask_epi8(hit));
    if (mask != 0) return at + std::countr_zero(mask);
  }
#endif
  while (at < end && !IsControl(*at)) ++at;
  return at;
}

// The next LF LF or LF CR LF at or after `at`: where its first LF stands, or null.
const uint8_t* FindBlankLine(const uint8_t* at, const uint8_t* end) {
#ifdef __AVX2__
  const __m256i lf = _mm256_set1_epi8('\n'), cr = _mm256_set1_epi8('\r');
  const auto load = [](const uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  };
  for (; end - at >= 34; at += 32) {
    const __m256i first = _mm256_cmpeq_epi8(load(at), lf);
    if (_mm256_testz_si256(first, first)) continue;
    const __m256i next = load(at + 1);
    const __m256i crlf =
        _mm256_and_si256(_mm256_cmpeq_epi8(next, cr), _mm256_cmpeq_epi8(load(at + 2), lf));
    const __m256i hit =
        _mm256_and_si256(first, _mm256_or_si256(_mm256_cmpeq_epi8(next, lf), crlf));
    const uint32_t mask = static_cast<uint32_t>(_mm256_movemask_epi8(hit));
    if (mask != 0) return at + std::countr_zero(mask);
  }
#endif
  for (; at < end; ++at) {
    if (*at != '\n') continue;
    if (end - at >= 2 && at[1] == '\n') return at;
    if (end - at >= 3 && at[1] == '\r' && at[2] == '\n') return at;
  }
  return nullptr;
}

Coding CodingOf(std::string_view name) {
  const size_t semicolon = name.find(';');
  name = TrimBlanks(name.substr(0, semicolon));
  if (EqualsNoCase(name, "gzip") || EqualsNoCase(name, "x-gzip")) return Coding::kGzip;
  if (EqualsNoCase(name, "deflate")) return Coding::kDeflate;
  if (EqualsNoCase(name, "identity")) return Coding::kIdentity;
  if (EqualsNoCase(name, "chunked")) return Coding::kChunked;
  if (EqualsNoCase(name, "br")) return Coding::kBrotli;
  if (EqualsNoCase(name, "zstd")) return Coding::kZstd;
  for (const std::string_view known : {"compress", "x-compress"}) {
    if (EqualsNoCase(name, known)) return Coding::kUnsupported;
  }
  return Coding::kUnknown;
}

void ReadLength(std::string_view value, Head* head) {
  // "5, 5" is the same value twice (RFC 9112, 6.3); each element must be digits only.
  for (;;) {
    const size_t comma = value.find(',');
    const std::string_view digits = TrimBlanks(value.substr(0, comma));
    uint64_t length = 0;
    bool valid = !digits.empty();
    for (const char c : digits) {
      valid = valid && IsDigit(c) && length <= (INT64_MAX - 9) / 10;
      if (valid) length = length * 10 + static_cast<uint64_t>(c - '0');
    }
    if (!valid) {
      head->Mark(HttpCounter::kLengthInvalid);
      head->length_unknown = true;
    } else if (head->has_length) {
      head->Mark(HttpCounter::kLengthRepeated);
      if (length != head->length && !MutantIs("http.first_length_wins")) {
        head->Mark(HttpCounter::kLengthConflict);
        head->length_unknown = true;
      }
    } else {
      head->length = length;
      head->has_length = true;
    }
    if (comma == std::string_view::npos) return;
    value.remove_prefix(comma + 1);
  }
}

// But for case and the ports that http and https have anyway.
bool SameHost(std::string_view a, std::string_view b) {
  const auto bare = [](std::string_view host) {
    for (const std::string_view port : {":80", ":443"}) {
      if (host.ends_with(port)) return host.substr(0, host.size() - port.size());
    }
    return host;
  };
  return std::ranges::equal(bare(a), bare(b), {}, LowerAscii, LowerAscii);
}

// What one field says about framing.
void ReadField(std::string_view name, std::string_view value, Head* head) {
  switch (name.size()) {
    case 4:
      if (EqualsNoCase(name, "host")) {
        if (head->hosts++ == 0) {
          // An absolute target's authority goes first (RFC 9112, 3.2.2); who routes by the field goes elsewhere.
          if (head->host.empty()) head->host = value;
          else if (!SameHost(head->host, value)) head->Mark(HttpCounter::kHostRepeated);
        } else if (head->is_request) {
          head->Mark(HttpCounter::kHostRepeated);
          head->hosts = 2;
        }
      }
      break;
    case 7:
      if (EqualsNoCase(name, "upgrade")) {
        head->has_upgrade = true;
        ForEachInList(value, [&](std::string_view protocol) {
          if (EqualsNoCase(protocol, "h2c")) head->upgrade_h2c = true;
        });
      }
      break;
    case 10:
      if (EqualsNoCase(name, "connection")) {
        ForEachInList(value, [&](std::string_view token) {
          if (EqualsNoCase(token, "close")) head->connection_close = true;
          if (EqualsNoCase(token, "keep-alive")) head->connection_keep_alive = true;
          if (EqualsNoCase(token, "upgrade")) head->connection_upgrade = true;
        });
      }
      break;
    case 14:
      if (EqualsNoCase(name, "content-length")) ReadLength(value, head);
      if (EqualsNoCase(name, "http2-settings")) head->http2_settings = value;
      break;
    case 16:
      if (EqualsNoCase(name, "content-encoding")) {
        ForEachInList(value, [&](std::string_view c) { head->content.Add(CodingOf(c)); });
      }
      break;
    case 17:
      if (EqualsNoCase(name, "transfer-encoding")) {
        head->has_transfer = true;
        ForEachInList(value, [&](std::string_view c) {
          head->transfer.Add(CodingOf(c));
          if (c.find(';') != std::string_view::npos) head->Mark(HttpCounter::kTransferUnknown);  // RFC 9112, 7.1: none has parameters
        });
      }
      break;
    default:
      break;
  }
}

// Takes the lines of a section apart, calling framing on each field.
class FieldReader {
 public:
  FieldReader(HeadScratch* scratch, Head* head) : scratch_(scratch), head_(head) {}

  void Read(const char* at, const char* end) {
    scratch_->folded.clear();
    while (at < end) at = Line(at, end);
    Finish();
    head_->fields = {scratch_->fields, count_};
  }

 private:
  // Reads one line; returns where the next begins.
  const char* Line(const char* at, const char* end) {
    const char* stop = FindControl(at, end);
    while (stop < end && *stop != '\n' && !(*stop == '\r' && stop + 1 < end && stop[1] == '\n')) {
      head_->Mark(*stop == '\r' ? HttpCounter::kBareCr : HttpCounter::kControlInHead);
      stop = FindControl(stop + 1, end);
    }
    const char* next = stop;
    if (next < end && *next == '\r') ++next;
    else if (next < end) head_->Mark(HttpCounter::kBareLf);
    if (next < end) ++next;
    if (stop > at) Field({at, static_cast<size_t>(stop - at)});
    return next;
  }

  void Field(std::string_view line) {
    if (IsBlank(line.front())) return Fold(line);
    Finish();
    size_t colon = 0;
    while (colon < line.size() && IsTokenChar(line[colon])) ++colon;
    if (colon == line.size() || line[colon] != ':' || colon == 0) {
      const size_t odd = line.find(':');
      if (odd == std::string_view::npos || odd == 0) {
        head_->Mark(HttpCounter::kFieldName);
        return;
      }
      colon = odd;
      name_ = TrimBlanks(line.substr(0, colon));
      const bool token = std::all_of(name_.begin(), name_.end(), IsTokenChar) && !name_.empty();
      head_->Mark(token ? HttpCounter::kSpaceBeforeColon : HttpCounter::kFieldName);
    } else {
      name_ = line.substr(0, colon);
    }
    value_ = TrimBlanks(line.substr(colon + 1));
    open_ = true;
  }

  // obs-fold: joined by one space, as RFC 9112, 5.2 asks.
  void Fold(std::string_view line) {
    if (!open_) {
      head_->Mark(HttpCounter::kSpaceBeforeFields);
      return;
    }
    head_->Mark(HttpCounter::kObsFold);
    const std::string_view more = TrimBlanks(line);
    std::string& folded = scratch_->folded;
    // The joined text cannot be longer than the section, for which `folded` has room from the start.
    if (!folding_) {
      if (folded.size() + value_.size() > folded.capacity()) return;
      const size_t begin = folded.size();
      folded.append(value_);
      value_ = std::string_view(folded).substr(begin);
      folding_ = true;
    }
    if (folded.size() + 1 + more.size() > folded.capacity()) return;
    const size_t begin = static_cast<size_t>(value_.data() - folded.data());
    if (!value_.empty() && !more.empty()) folded.push_back(' ');
    folded.append(more);
    value_ = std::string_view(folded).substr(begin);
  }

  void Finish() {
    if (!open_) return;
    open_ = folding_ = false;
    ReadField(name_, value_, head_);
    if (count_ < kHeadFieldsMax) {
      scratch_->fields[count_++] = {name_, value_};
    } else {
      head_->fields_too_many = true;
    }
  }

  HeadScratch* const scratch_;
  Head* const head_;
  std::string_view name_, value_;
  bool open_ = false, folding_ = false;
  size_t count_ = 0;
};

// "HTTP/d.d" at the front; false when it does not begin with "HTTP/digit". Other digits than 1.x are read
// with goodwill and marked.
bool ReadVersion(std::string_view text, size_t* length, Head* head) {
  if (text.size() < 6 || !text.starts_with("HTTP/") || !IsDigit(text[5])) return false;
  size_t at = 5;
  const auto number = [&] {
    unsigned value = 0, digits = 0;
    while (at < text.size() && IsDigit(text[at])) {
      value = std::min(99u, value * 10 + static_cast<unsigned>(text[at++] - '0'));
      ++digits;
    }
    if (digits != 1) head->Mark(HttpCounter::kStartLine);
    return static_cast<uint8_t>(value);
  };
  head->version_major = number();
  head->version_minor = 0;
  if (at < text.size() && text[at] == '.') {
    ++at;
    head->version_minor = number();
  } else {
    head->Mark(HttpCounter::kStartLine);
  }
  if (head->version_major != 1 || head->version_minor > 1) head->Mark(HttpCounter::kStartLine);
  *length = at;
  return true;
}

void CheckTarget(Head* head) {
  const std::string_view target = head->target;
  const bool connect = head->method == "CONNECT";
  bool fits;
  if (target.front() == '/') {
    fits = !connect;
  } else if (target == "*") {
    fits = head->method == "OPTIONS" || head->method == "M-SEARCH";
  } else if (connect) {
    fits = target.find(':') != std::string_view::npos && target.find('/') == std::string_view::npos;
  } else {
    const size_t scheme = target.find("://");
    fits = scheme != std::string_view::npos && scheme > 0 &&
           std::all_of(target.begin(), target.begin() + static_cast<ptrdiff_t>(scheme),
                       [](char c) { return LowerAscii(c) >= 'a' && LowerAscii(c) <= 'z'; });
    // An authority with an unbalanced bracket has no host to go to.
    const std::string_view rest = fits ? target.substr(scheme + 3) : target;
    const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
    if ((authority.find(']') == std::string_view::npos) !=
        (authority.find('[') == std::string_view::npos)) {
      fits = false;
    }
    if (fits) head->host = authority.substr(authority.rfind('@') + 1);  // without user information
  }
  if (!fits) head->Mark(HttpCounter::kTargetForm);
}

LineKind RequestLine(std::string_view line, Head* head) {
  size_t at = 0;
  while (at < line.size() && IsTokenChar(line[at])) ++at;
  if (at == 0 || at > 32 || at == line.size() || line[at] != ' ') return LineKind::kNotHttp;
  head->method = line.substr(0, at);
  const bool upper = std::none_of(head->method.begin(), head->method.end(),
                                  [](char c) { return c >= 'a' && c <= 'z'; });
  std::string_view rest = line.substr(at + 1);
  // The version is the last word; what lies between is the target, blanks and all.
  const size_t space = rest.find_last_of(' ', rest.find_last_not_of(' '));
  std::string_view last =
      space == std::string_view::npos ? std::string_view() : rest.substr(space + 1);
  size_t length = 0;
  if (last.empty() || !ReadVersion(last, &length, head)) {
    // HTTP/0.9 has GET only, and one word.
    if (head->method != "GET" || TrimBlanks(rest).find(' ') != std::string_view::npos ||
        TrimBlanks(rest).empty() || TrimBlanks(rest).front() != '/') {
      return LineKind::kNotHttp;
    }
    head->target = TrimBlanks(rest);
    head->simple = true;
    head->version_major = 0;
    head->version_minor = 9;
    head->anomalies = 0;
    head->Mark(HttpCounter::kHttp09);
    return LineKind::kSimple;
  }
  if (length != last.size()) head->Mark(HttpCounter::kStartLine);
  if (!upper) head->Mark(HttpCounter::kStartLine);
  head->target = TrimBlanks(rest.substr(0, space));
  if (head->target.empty()) return LineKind::kNotHttp;
  if (head->target.size() != space || head->target.find_first_of(" \t") != std::string_view::npos) {
    head->Mark(HttpCounter::kStartLine);
  }
  if (head->target.front() != '/' || head->method == "CONNECT") CheckTarget(head);
  return LineKind::kStart;
}

LineKind StatusLine(std::string_view line, Head* head) {
  size_t length = 0;
  if (!ReadVersion(line, &length, head)) return LineKind::kNotHttp;
  std::string_view rest = line.substr(length);
  std::string_view code = TrimBlanks(rest);
  // NUL and the like are marked with the line; a CR makes it invalid (RFC 9112, 2.2).
  while (!code.empty() && code.front() != '\r' &&
         (IsControl(code.front()) || IsBlank(code.front()))) {
    code.remove_prefix(1);
  }
  size_t digits = 0;
  unsigned status = 0;
  while (digits < code.size() && digits < 3 && IsDigit(code[digits])) {
    status = status * 10 + static_cast<unsigned>(code[digits++] - '0');
  }
  const bool ends = digits == code.size() || IsBlank(code[digits]);
  if (digits != 3 || !ends || rest.empty() || rest.front() != ' ' ||
      (rest.size() > 1 && IsBlank(rest[1]))) {
    head->Mark(HttpCounter::kStartLine);
  }
  if (digits == 0) return LineKind::kNotHttp;
  head->status = static_cast<uint16_t>(status);
  return LineKind::kStart;
}

}  // namespace

size_t FindSectionEnd(Bytes data, bool empty_first, size_t* scanned) {
  if (empty_first && *scanned == 0 && !data.empty()) {
    if (data[0] == '\n') return 1;
    if (data[0] == '\r') {
      if (data.size() < 2) return 0;
      if (data[1] == '\n') return 2;
    }
  }
  const uint8_t* const begin = data.data();
  const uint8_t* const end = begin + data.size();
  const uint8_t* const lf = FindBlankLine(begin + *scanned, end);
  if (lf == nullptr) {
    // An LF among the last two bytes may yet begin the blank line.
    *scanned = std::max(*scanned, data.size() < 2 ? 0 : data.size() - 2);
    return 0;
  }
  return static_cast<size_t>(lf - begin) + (lf[1] == '\n' ? 2 : 3);
}

LineKind ParseStartLine(std::string_view line, bool is_request, Head* head) {
  head->is_request = is_request;
  if (!line.empty() && line.back() == '\r') {
    line.remove_suffix(1);
  } else {
    head->Mark(HttpCounter::kBareLf);
  }
  const char* const end = line.data() + line.size();
  for (const char* at = FindControl(line.data(), end); at < end; at = FindControl(at + 1, end)) {
    head->Mark(*at == '\r' ? HttpCounter::kBareCr : HttpCounter::kControlInHead);
  }
  return is_request ? RequestLine(line, head) : StatusLine(line, head);
}

void ReadFraming(std::string_view name, std::string_view value, Head* head) { ReadField(name, value, head); }

void ParseFields(Bytes fields, HeadScratch* scratch, Head* head) {
  const std::string_view text = AsText(fields);
  FieldReader(scratch, head).Read(text.data(), text.data() + text.size());
}

HttpAnomalies CheckTrailers(Bytes section, HeadScratch* scratch) {
  Head head;
  ParseFields(section, scratch, &head);
  const bool forbidden = head.has_length || head.has_transfer || head.length_unknown ||
                         head.hosts > 0;
  constexpr HttpAnomalies kSyntax =
      AnomalyBit(HttpCounter::kBareLf) | AnomalyBit(HttpCounter::kBareCr) |
      AnomalyBit(HttpCounter::kControlInHead) | AnomalyBit(HttpCounter::kObsFold) |
      AnomalyBit(HttpCounter::kSpaceBeforeColon) | AnomalyBit(HttpCounter::kSpaceBeforeFields) |
      AnomalyBit(HttpCounter::kFieldName);
  return (head.anomalies & kSyntax) |
         (forbidden ? AnomalyBit(HttpCounter::kTrailerForbidden) : 0);
}

}  // namespace stillwatch::dataplane
