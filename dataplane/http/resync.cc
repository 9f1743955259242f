#include "dataplane/http/resync.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "dataplane/http/text.h"

namespace stillwatch::dataplane {
namespace {

using std::string_view;

enum class Match : uint8_t { kNo, kPartial, kYes };

// A known method, a space, and how its target begins.
Match MatchRequest(string_view text) {
  for (const string_view method :
       {"GET ", "POST ", "PUT ", "HEAD ", "DELETE ", "OPTIONS ", "PATCH ", "CONNECT ", "TRACE "}) {
    const size_t common = std::min(method.size(), text.size());
    if (text.substr(0, common) != method.substr(0, common)) continue;
    if (text.size() <= method.size()) return Match::kPartial;
    const char next = text[method.size()];
    if (next == '/' || next == '*' || method[0] == 'C') return Match::kYes;
    // Absolute form.
    const string_view rest = text.substr(method.size());
    const size_t shown = std::min<size_t>(rest.size(), 4);
    if (rest.substr(0, shown) != string_view("http").substr(0, shown)) return Match::kNo;
    return shown == 4 ? Match::kYes : Match::kPartial;
  }
  return Match::kNo;
}

// "HTTP/1.", a digit, a space, a digit.
Match MatchResponse(string_view text) {
  constexpr string_view kVersion = "HTTP/1.";
  const size_t common = std::min(kVersion.size(), text.size());
  if (text.substr(0, common) != kVersion.substr(0, common)) return Match::kNo;
  if (text.size() > 7 && !IsDigit(text[7])) return Match::kNo;
  if (text.size() > 8 && text[8] != ' ') return Match::kNo;
  if (text.size() > 9) return IsDigit(text[9]) ? Match::kYes : Match::kNo;
  return Match::kPartial;
}

}  // namespace

bool ResyncScanner::Find(Bytes* data) {
  const auto match = [&](string_view text) {
    return requests_ ? MatchRequest(text) : MatchResponse(text);
  };
  // Places that begin in the tail, read together with the first new bytes.
  if (tail_bytes_ > 0) {
    uint8_t joined[2 * kPatternMax];
    std::memcpy(joined, tail_, tail_bytes_);
    const size_t fresh = std::min(data->size(), kPatternMax);
    if (fresh > 0) std::memcpy(joined + tail_bytes_, data->data(), fresh);
    const string_view text = AsText({joined, tail_bytes_ + fresh});
    for (size_t at = 0; at < tail_bytes_; ++at) {
      const Match found = match(text.substr(at));
      if (found == Match::kNo) continue;
      const size_t kept = tail_bytes_ - at;
      std::memmove(tail_, joined + at, kept);
      tail_bytes_ = static_cast<uint8_t>(kept);
      if (found == Match::kYes) return true;
      // Still open: all new bytes are in the joined text, else it would be decided.
      std::memcpy(tail_ + kept, data->data(), data->size());
      tail_bytes_ = static_cast<uint8_t>(kept + data->size());
      *data = {};
      return false;
    }
    tail_bytes_ = 0;
  }
  const string_view text = AsText(*data);
  for (size_t at = 0; at < text.size(); ++at) {
    if (!requests_) {
      at = text.find('H', at);
      if (at == string_view::npos) break;
    } else if (text[at] < 'C' || text[at] > 'T') {
      continue;
    }
    const Match found = match(text.substr(at));
    if (found == Match::kNo) continue;
    if (found == Match::kYes) {
      *data = data->subspan(at);
      return true;
    }
    tail_bytes_ = static_cast<uint8_t>(text.size() - at);
    std::memcpy(tail_, text.data() + at, tail_bytes_);
    break;
  }
  *data = {};
  return false;
}

}  // namespace stillwatch::dataplane
