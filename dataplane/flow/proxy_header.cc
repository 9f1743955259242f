#include "dataplane/flow/proxy_header.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/endian.h"

namespace stillwatch::dataplane {

namespace {

using std::string_view;

constexpr size_t kLineMax = 107;  // section 2.1, with its CR LF
constexpr string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr size_t kFixed = 16;     // of version 2: signature, version and command, family, length

ProxyHeader Says(ProxyStatus status) { return {.status = status}; }

// A mapped IPv4 address becomes IPv4, as in forwarding headers.
ClientAddress Address(const uint8_t* bytes, uint8_t length) {
  constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  ClientAddress address;
  if (length == 16 && std::memcmp(bytes, kMapped, sizeof kMapped) == 0) {
    bytes += sizeof kMapped;
    length = 4;
  }
  std::memcpy(address.bytes, bytes, length);
  address.length = length;
  return address;
}

// Takes the text up to the next blank off the front of `line`.
string_view TakeWord(string_view* line) {
  const size_t blank = line->find(' ');
  const string_view word = line->substr(0, blank);
  *line = blank == string_view::npos ? string_view() : line->substr(blank + 1);
  return word;
}

bool ReadAddress(string_view text, bool six, ClientAddress* out) {
  char zero_ended[INET6_ADDRSTRLEN];
  uint8_t bytes[16];
  if (text.size() >= sizeof zero_ended) return false;
  *std::copy(text.begin(), text.end(), zero_ended) = '\0';
  if (inet_pton(six ? AF_INET6 : AF_INET, zero_ended, bytes) != 1) return false;
  *out = Address(bytes, six ? 16 : 4);
  return true;
}

bool ReadPort(string_view text, uint16_t* out) {
  if (text.empty() || text.size() > 5 || (text[0] == '0' && text.size() > 1)) return false;
  uint32_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<uint32_t>(c - '0');
  }
  *out = static_cast<uint16_t>(value);
  return value <= 0xffff;
}

// Section 2.1: PROXY TCP4 <source> <destination> <source port> <destination port> CR LF; PROXY UNKNOWN [...] CR LF.
ProxyHeader ReadLine(string_view text) {
  for (const string_view begin : {"PROXY TCP4 ", "PROXY TCP6 ", "PROXY UNKNOWN"}) {
    const size_t common = std::min(text.size(), begin.size());
    if (text.substr(0, common) != begin.substr(0, common)) continue;
    if (common < begin.size()) return Says(ProxyStatus::kNeedMore);
    const string_view front = text.substr(0, kLineMax);
    const size_t end = front.find('\n');
    if (end == string_view::npos) return Says(text.size() < kLineMax ? ProxyStatus::kNeedMore : ProxyStatus::kMalformed);
    if (front[end - 1] != '\r') return Says(ProxyStatus::kMalformed);
    ProxyHeader header{.status = ProxyStatus::kFound, .bytes = static_cast<uint16_t>(end + 1)};
    string_view line = front.substr(begin.size(), end - 1 - begin.size());
    header.tlvs_at = header.bytes;
    if (begin == "PROXY UNKNOWN") return line.empty() || line[0] == ' ' ? header : Says(ProxyStatus::kMalformed);
    const bool six = begin == "PROXY TCP6 ";
    const bool well = ReadAddress(TakeWord(&line), six, &header.client) &&
                      ReadAddress(TakeWord(&line), six, &header.server) &&
                      ReadPort(TakeWord(&line), &header.client_port) && ReadPort(line, &header.server_port);
    return well ? header : Says(ProxyStatus::kMalformed);
  }
  return Says(ProxyStatus::kNone);
}

// Section 2.2. `head` begins with the signature.
ProxyHeader ReadBinary(Bytes head) {
  constexpr uint8_t kLocal = 0x20, kProxy = 0x21, kTcp4 = 0x11, kTcp6 = 0x21;
  if (head.size() < kFixed) return Says(ProxyStatus::kNeedMore);
  const uint8_t command = head[12], family = head[13];
  const size_t length = LoadBe16(&head[14]);
  if (command != kLocal && command != kProxy) return Says(ProxyStatus::kMalformed);
  if (kFixed + length > kProxyHeaderMax) return Says(ProxyStatus::kTooLong);
  ProxyHeader header{.status = ProxyStatus::kFound, .bytes = static_cast<uint16_t>(kFixed + length)};
  header.tlvs_at = header.bytes;
  if (command == kLocal || (family != kTcp4 && family != kTcp6)) return header;  // no address that we could use
  const uint8_t size = family == kTcp4 ? 4 : 16;
  const size_t addresses = 2 * (size + sizeof(uint16_t));
  if (length < addresses) return Says(ProxyStatus::kMalformed);
  if (head.size() < kFixed + addresses) return Says(ProxyStatus::kNeedMore);
  header.client = Address(&head[kFixed], size);
  header.client_port = LoadBe16(&head[kFixed + 2 * size]);
  header.server = Address(&head[kFixed + size], size);
  header.server_port = LoadBe16(&head[kFixed + 2 * size + sizeof(uint16_t)]);
  header.tlvs_at = static_cast<uint16_t>(kFixed + addresses);
  return header;
}

}  // namespace

void ProxyTlvs::Feed(Bytes data, Salt salt) {
  constexpr uint8_t kUniqueId = 0x05;
  constexpr uint16_t kUniqueIdMax = 128;
  while (!data.empty()) {
    if (head_bytes_ < sizeof head_) {
      head_[head_bytes_++] = data[0];
      data = data.subspan(1);
      if (head_bytes_ < sizeof head_) continue;
      left_ = LoadBe16(head_ + 1);
      hash_ = salt.value;
    }
    const size_t take = std::min<size_t>(left_, data.size());
    const uint16_t length = LoadBe16(head_ + 1);
    const bool wanted = head_[0] == kUniqueId && length != 0 && length <= kUniqueIdMax;
    for (size_t i = 0; wanted && i < take; ++i) hash_ = Mix64(hash_ + data[i] + 1);
    data = data.subspan(take);
    left_ = static_cast<uint16_t>(left_ - take);
    if (left_ != 0) return;
    if (wanted) unique_id_ = hash_ | 1;
    head_bytes_ = 0;
  }
}

ProxyHeader ReadProxyHeader(Bytes head) {
  const string_view text = AsText(head);
  const size_t common = std::min(text.size(), kSignature.size());
  if (text.empty()) return Says(ProxyStatus::kNeedMore);
  if (text[0] != kSignature[0]) return ReadLine(text);
  if (text.substr(0, common) != kSignature.substr(0, common)) return Says(ProxyStatus::kNone);
  return common < kSignature.size() ? Says(ProxyStatus::kNeedMore) : ReadBinary(head);
}

}  // namespace stillwatch::dataplane
