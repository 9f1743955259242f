#include "dataplane/tls/hello.h"

#include <algorithm>
#include <cstring>

namespace stillwatch::dataplane {

namespace {

constexpr uint16_t kServerName = 0, kSupportedGroups = 10, kPointFormats = 11, kSignatureAlgorithms = 13, kAlpn = 16, kEncryptThenMac = 22,
                   kPreSharedKey = 41, kEarlyData = 42, kSupportedVersions = 43, kEncryptedClientHello = 0xfe0d,
                   kEncryptedServerName = 0xffce, kSessionTicket = 35,
                   kSignatureAlgorithmsCert = 50;

// SHA-256 of "HelloRetryRequest" (RFC 8446, 4.1.3).
constexpr uint8_t kRetryRandom[32] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c,
                                      0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb,
                                      0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};

// Takes pieces off the front; once something does not fit everything is empty and `ok` false.
struct Reader {
  Bytes left;
  bool ok = true;

  Bytes Take(size_t size) {
    if (size > left.size()) {
      ok = false;
      left = {};
      return {};
    }
    const Bytes taken = left.first(size);
    left = left.subspan(size);
    return taken;
  }
  uint8_t U8() {
    const Bytes b = Take(1);
    return b.empty() ? 0 : b[0];
  }
  uint16_t U16() {
    const Bytes b = Take(2);
    return b.empty() ? uint16_t{0} : LoadBe16(b.data());
  }
  Bytes Vector8() { return Take(U8()); }
  Bytes Vector16() { return Take(U16()); }
};

void ReadClientExtension(uint16_t type, Bytes body, ClientHello* hello) {
  Reader reader{body};
  switch (type) {
    case kServerName: {
      hello->has_sni = true;
      Reader names{reader.Vector16()};
      while (names.ok && !names.left.empty()) {
        const uint8_t kind = names.U8();
        const Bytes name = names.Vector16();
        if (kind == 0 && hello->sni.empty()) hello->sni = AsText(name);
      }
      break;
    }
    case kSupportedGroups: hello->groups = U16List(reader.Vector16()); break;
    case kPointFormats: hello->point_formats = reader.Vector8(); break;
    case kSignatureAlgorithms:
    case kSignatureAlgorithmsCert: hello->signature_algorithms = U16List(reader.Vector16()); break;
    case kAlpn: hello->alpn = reader.Vector16(); break;
    case kPreSharedKey: hello->resumes = true; break;
    case kSessionTicket: hello->resumes |= !body.empty(); break;
    case kEarlyData: hello->early_data = true; break;
    case kEncryptedClientHello:
    case kEncryptedServerName: hello->ech = true; break;
    case kSupportedVersions: {
      const U16List versions(reader.Vector8());
      uint16_t best = 0;
      for (size_t i = 0; i < versions.size(); ++i) {
        if (!IsGrease(versions[i])) best = std::max(best, versions[i]);
      }
      if (best != 0) hello->version_best = best;
      break;
    }
    default: break;
  }
  if (!reader.ok) hello->malformed = true;
}

}  // namespace

bool ExtensionWalk::Next(uint16_t* type, Bytes* body) {
  if (left_.empty()) return false;
  if (left_.size() < 4 || LoadBe16(&left_[2]) > left_.size() - 4) {
    malformed_ = true;
    left_ = {};
    return false;
  }
  *type = LoadBe16(&left_[0]);
  *body = left_.subspan(4, LoadBe16(&left_[2]));
  left_ = left_.subspan(4 + body->size());
  return true;
}

bool ParseClientHello(Bytes body, ClientHello* hello) {
  *hello = {};
  Reader reader{body};
  hello->version = hello->version_best = reader.U16();
  hello->random = reader.Take(32);
  hello->session_id = reader.Vector8();
  hello->ciphers = U16List(reader.Vector16());
  if (!reader.ok) return false;
  reader.Vector8();  // compression methods
  if (reader.left.size() >= 2) {
    const size_t stated = reader.U16();
    hello->malformed = stated > reader.left.size();
    hello->extensions = reader.left.first(std::min(stated, reader.left.size()));
  }
  if (!reader.ok) hello->malformed = true;
  ExtensionWalk walk(hello->extensions);
  uint16_t type;
  for (Bytes extension; walk.Next(&type, &extension);) ReadClientExtension(type, extension, hello);
  if (walk.malformed()) hello->malformed = true;
  return true;
}

bool ParseServerHello(Bytes body, ServerHello* hello) {
  *hello = {};
  Reader reader{body};
  hello->version = hello->version_chosen = reader.U16();
  hello->random = reader.Take(32);
  // Drafts of TLS 1.3 below 22 left session id and compression out.
  const bool draft = (hello->version & 0xff00) == 0x7f00;
  if (!draft) reader.Vector8();
  hello->cipher = reader.U16();
  if (!draft) hello->compression = reader.U8();
  if (!reader.ok) return false;
  if (reader.left.size() >= 2) {
    const size_t stated = reader.U16();
    hello->malformed = stated > reader.left.size();
    hello->extensions = reader.left.first(std::min(stated, reader.left.size()));
  }
  hello->retry = std::memcmp(hello->random.data(), kRetryRandom, sizeof kRetryRandom) == 0;
  ExtensionWalk walk(hello->extensions);
  uint16_t type;
  for (Bytes extension; walk.Next(&type, &extension);) {
    if (type == kEncryptThenMac) hello->encrypt_then_mac = true;
    if (type == kSupportedVersions && extension.size() == 2) hello->version_chosen = LoadBe16(extension.data());
    if (type == kAlpn && extension.size() > 3 && extension[2] == extension.size() - 3) {
      hello->alpn = AsText(extension.subspan(3));
    }
  }
  if (walk.malformed()) hello->malformed = true;
  return true;
}

bool BeginsSsl2Hello(Bytes data) {
  if (data.size() < 11 || (data[0] & 0x80) == 0 || data[2] != 1) return false;
  const size_t length = LoadBe16(&data[0]) & 0x7fff;
  const uint16_t version = LoadBe16(&data[3]);
  if (version != 2 && (version < 0x0300 || version > kTls12)) return false;
  const size_t ciphers = LoadBe16(&data[5]), session = LoadBe16(&data[7]), challenge = LoadBe16(&data[9]);
  return ciphers != 0 && ciphers % 3 == 0 && challenge >= 16 && challenge <= 32 &&
         length == 9 + ciphers + session + challenge;
}

void ParseSsl2Hello(Bytes data, ClientHello* hello) {
  *hello = {};
  hello->ssl2 = true;
  hello->version = hello->version_best = LoadBe16(&data[3]);
}

}  // namespace stillwatch::dataplane
