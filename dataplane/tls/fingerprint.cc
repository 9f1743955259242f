#include "dataplane/tls/fingerprint.h"

#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "base/check.h"
#include "base/mutant.h"

namespace stillwatch::dataplane {

namespace {

constexpr size_t kListMax = 32'768;  // more 16-bit numbers than any message holds
constexpr uint16_t kServerName = 0, kAlpn = 16;

std::string_view VersionText(uint16_t version) {
  switch (version) {
    case 0x0304: return "13";
    case 0x0303: return "12";
    case 0x0302: return "11";
    case 0x0301: return "10";
    case 0x0300: return "s3";
    case 0x0002: return "s2";
    default: return "00";
  }
}

constexpr char kDigits[] = "0123456789abcdef";

// First and last character of the first protocol; where one of them is no letter or digit, the first and last
// digit of its hexadecimal form.
void AlpnLetters(Bytes alpn, char* first, char* last) {
  *first = *last = '0';
  if (alpn.empty() || alpn[0] == 0 || alpn[0] >= alpn.size()) return;
  const uint8_t a = alpn[1], z = alpn[alpn[0]];
  const auto plain = [](uint8_t c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); };
  *first = plain(a) && plain(z) ? static_cast<char>(a) : kDigits[a >> 4];
  *last = plain(a) && plain(z) ? static_cast<char>(z) : kDigits[z & 15];
}

}  // namespace

Fingerprinter::Fingerprinter() : context_(EVP_MD_CTX_new()) {
  CHECK(context_ != nullptr);
  sorted_.reserve(kListMax);
}

Fingerprinter::~Fingerprinter() { EVP_MD_CTX_free(context_); }

void Fingerprinter::Begin(const evp_md_st* digest) { EVP_DigestInit_ex(context_, digest, nullptr); }

void Fingerprinter::Put(std::string_view text) { EVP_DigestUpdate(context_, text.data(), text.size()); }

void Fingerprinter::FinishHex(size_t digits, char* to) {
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_DigestFinal_ex(context_, digest, &size);
  for (size_t i = 0; i < digits; ++i) to[i] = kDigits[i % 2 == 0 ? digest[i / 2] >> 4 : digest[i / 2] & 15];
}

void Fingerprinter::PutDecimals(const U16List& list) {
  bool any = false;
  char text[8];
  for (size_t i = 0; i < list.size(); ++i) {
    if (IsGrease(list[i]) && !MutantIs("tls.grease_counts")) continue;
    if (any) Put("-");
    any = true;
    Put({text, static_cast<size_t>(std::to_chars(text, text + sizeof text, list[i]).ptr - text)});
  }
}

void Fingerprinter::PutExtensionTypes(Bytes extensions, bool with_grease) {
  ExtensionWalk walk(extensions);
  bool any = false;
  char text[8];
  uint16_t type;
  for (Bytes body; walk.Next(&type, &body);) {
    if (IsGrease(type) && !with_grease) continue;
    if (any) Put("-");
    any = true;
    Put({text, static_cast<size_t>(std::to_chars(text, text + sizeof text, type).ptr - text)});
  }
}

Fingerprint Fingerprinter::Ja3(const ClientHello& hello) {
  Fingerprint out;
  if (hello.ssl2) return out;
  char text[8];
  Begin(EVP_md5());
  Put({text, static_cast<size_t>(std::to_chars(text, text + sizeof text, hello.version).ptr - text)});
  Put(",");
  PutDecimals(hello.ciphers);
  Put(",");
  PutExtensionTypes(hello.extensions, false);
  Put(",");
  PutDecimals(hello.groups);
  Put(",");
  for (size_t i = 0; i < hello.point_formats.size(); ++i) {
    if (i != 0) Put("-");
    Put({text, static_cast<size_t>(std::to_chars(text, text + sizeof text, hello.point_formats[i]).ptr - text)});
  }
  FinishHex(32, out.text);
  return out;
}

Fingerprint Fingerprinter::Ja3s(const ServerHello& hello) {
  Fingerprint out;
  char text[16];
  Begin(EVP_md5());
  Put({text, static_cast<size_t>(std::snprintf(text, sizeof text, "%u,%u,", hello.version, hello.cipher))});
  PutExtensionTypes(hello.extensions, true);
  FinishHex(32, out.text);
  return out;
}

void Fingerprinter::PutHex(const std::vector<uint16_t>& list) {
  char text[] = ",0000";
  for (size_t i = 0; i < list.size(); ++i) {
    for (int digit = 0; digit < 4; ++digit) text[1 + digit] = kDigits[list[i] >> (12 - 4 * digit) & 15];
    Put(i == 0 ? std::string_view(text + 1, 4) : std::string_view(text, 5));
  }
}

Fingerprint Fingerprinter::Ja4(const ClientHello& hello, char transport) {
  Fingerprint out;
  if (hello.ssl2 && hello.version < 0x0300) return out;
  const auto keep = [this](uint16_t value) {
    if (!IsGrease(value) && sorted_.size() < kListMax) sorted_.push_back(value);
  };
  char first, last;
  AlpnLetters(hello.alpn, &first, &last);
  std::memset(out.text, '0', 36);
  out.text[10] = out.text[23] = '_';
  sorted_.clear();
  for (size_t i = 0; i < hello.ciphers.size(); ++i) keep(hello.ciphers[i]);
  const unsigned ciphers = static_cast<unsigned>(std::min<size_t>(sorted_.size(), 99));
  std::sort(sorted_.begin(), sorted_.end());
  if (!sorted_.empty()) {
    Begin(EVP_sha256());
    PutHex(sorted_);
    FinishHex(12, out.text + 11);
  }
  // Extensions but for server name and ALPN, sorted; then the signature algorithms in their order.
  sorted_.clear();
  unsigned extensions = 0;
  ExtensionWalk walk(hello.extensions);
  uint16_t type;
  for (Bytes body; walk.Next(&type, &body);) {
    if (!IsGrease(type)) ++extensions;
    if (type != kServerName && type != kAlpn) keep(type);
  }
  if (!sorted_.empty()) {
    std::sort(sorted_.begin(), sorted_.end());
    Begin(EVP_sha256());
    PutHex(sorted_);
    sorted_.clear();
    for (size_t i = 0; i < hello.signature_algorithms.size(); ++i) keep(hello.signature_algorithms[i]);
    if (!sorted_.empty()) Put("_");
    PutHex(sorted_);
    FinishHex(12, out.text + 24);
  }
  char head[16];
  std::snprintf(head, sizeof head, "%c%s%c%02u%02u", transport, VersionText(hello.version_best).data(), hello.has_sni ? 'd' : 'i',
                ciphers, std::min(extensions, 99u));
  std::memcpy(out.text, head, 8);
  out.text[8] = first;
  out.text[9] = last;
  return out;
}

}  // namespace stillwatch::dataplane
