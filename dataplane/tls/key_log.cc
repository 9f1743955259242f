#include "dataplane/tls/key_log.h"

#include <algorithm>
#include <utility>

namespace stillwatch::dataplane {

namespace {

constexpr std::pair<std::string_view, SecretLabel> kLabels[] = {
    {"CLIENT_RANDOM", SecretLabel::kMaster},
    {"CLIENT_HANDSHAKE_TRAFFIC_SECRET", SecretLabel::kClientHandshake},
    {"SERVER_HANDSHAKE_TRAFFIC_SECRET", SecretLabel::kServerHandshake},
    {"CLIENT_TRAFFIC_SECRET_0", SecretLabel::kClientTraffic},
    {"SERVER_TRAFFIC_SECRET_0", SecretLabel::kServerTraffic}};

std::string_view NextWord(std::string_view* line) {
  while (!line->empty() && line->front() == ' ') line->remove_prefix(1);
  const std::string_view word = line->substr(0, line->find(' '));
  line->remove_prefix(word.size());
  return word;
}

int Digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Not ParseHex: that one makes strings, and strings leave copies of secrets behind.
bool ReadHex(std::string_view text, uint8_t* out) {
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    const int high = Digit(text[i]), low = Digit(text[i + 1]);
    if (high < 0 || low < 0) return false;
    out[i / 2] = static_cast<uint8_t>(high * 16 + low);
  }
  return true;
}

}  // namespace

KeyLogLine ParseKeyLogLine(std::string_view line, SessionSecret* secret) {
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\n')) line.remove_suffix(1);
  if (line.empty() || line[0] == '#') return KeyLogLine::kOther;
  const std::string_view label = NextWord(&line), random = NextWord(&line), value = NextWord(&line);
  if (random.empty() || value.empty() || !NextWord(&line).empty()) return KeyLogLine::kBad;
  const auto* const known = std::find_if(std::begin(kLabels), std::end(kLabels),
                                         [&](const auto& entry) { return entry.first == label; });
  if (known == std::end(kLabels)) return KeyLogLine::kOther;
  secret->label = known->second;
  secret->size = static_cast<uint8_t>(value.size() / 2);
  const bool size_fits = secret->label == SecretLabel::kMaster ? value.size() == 96 : value.size() == 64 || value.size() == 96;
  if (random.size() != 2 * SessionSecret::kRandomBytes || !size_fits) return KeyLogLine::kBad;
  return ReadHex(random, secret->random) && ReadHex(value, secret->bytes) ? KeyLogLine::kSecret : KeyLogLine::kBad;
}

}  // namespace stillwatch::dataplane
