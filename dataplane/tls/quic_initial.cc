#include "dataplane/tls/quic_initial.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstring>
#include <string_view>

#include "base/check.h"
#include "base/endian.h"
#include "base/mutant.h"

namespace stillwatch::dataplane {
namespace {

constexpr uint32_t kVersion1 = 1, kVersion2 = 0x6b3343cf;
constexpr size_t kDatagramMax = 65'535, kTagBytes = 16, kSampleBytes = 16, kIdMax = 20, kSecretBytes = 32;

struct Version {
  uint8_t salt[20];
  std::string_view label;     // of key, iv and header protection
  uint8_t initial_type;       // in the first byte
};
constexpr Version kV1{{0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
                       0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a}, "quic ", 0};
constexpr Version kV2{{0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
                       0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9}, "quicv2 ", 1};
constexpr Version kDraft29{{0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97,
                            0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99}, "quic ", 0};
constexpr Version kDraft23{{0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7,
                            0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9, 0xf5, 0x02}, "quic ", 0};

const Version* FindVersion(uint32_t version) {
  if (version == kVersion1) return &kV1;
  if (version == kVersion2) return &kV2;
  if (version >= 0xff00001d && version <= 0xff000020) return &kDraft29;
  if (version >= 0xff000017 && version <= 0xff00001c) return &kDraft23;
  return nullptr;
}

// Takes pieces off the front; once something does not fit, `ok` is false and all is empty.
struct Reader {
  Bytes left;
  bool ok = true;

  Bytes Take(uint64_t size) {
    if (size > left.size()) {
      ok = false;
      left = {};
      return {};
    }
    const Bytes taken = left.first(static_cast<size_t>(size));
    left = left.subspan(static_cast<size_t>(size));
    return taken;
  }
  uint8_t Byte() {
    const Bytes b = Take(1);
    return b.empty() ? uint8_t{0} : b[0];
  }
  // RFC 9000, 16.
  uint64_t Varint() {
    const uint8_t first = Byte();
    uint64_t value = first & 0x3f;
    for (size_t more = (size_t{1} << (first >> 6)) - 1; more != 0 && ok; --more) value = value << 8 | Byte();
    return value;
  }
};

void HmacSha256(Bytes key, Bytes data, uint8_t* out) {
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), data.data(), data.size(), out, &size);
}

// HKDF-Expand-Label of RFC 8446, 7.1, of at most one block.
void ExpandLabel(const uint8_t* secret, std::string_view prefix, std::string_view name, uint8_t* out, size_t bytes) {
  uint8_t info[40];
  size_t at = 0;
  const auto put = [&](std::string_view text) {
    std::memcpy(info + at, text.data(), text.size());
    at += text.size();
  };
  info[at++] = 0;
  info[at++] = static_cast<uint8_t>(bytes);
  info[at++] = static_cast<uint8_t>(6 + prefix.size() + name.size());
  put("tls13 ");
  put(prefix);
  put(name);
  info[at++] = 0;  // no context
  info[at++] = 1;  // the first block
  uint8_t block[kSecretBytes];
  HmacSha256(Bytes(secret, kSecretBytes), Bytes(info, at), block);
  std::memcpy(out, block, bytes);
}

}  // namespace

QuicNext NextQuicPacket(Bytes* datagram, QuicInitial* initial) {
  const Bytes all = *datagram;
  if (all.size() < 7 || (all[0] & 0x80) == 0) return QuicNext::kEnd;
  *datagram = {};
  const uint32_t number = LoadBe32(all.data() + 1);
  const Version* const version = FindVersion(number);
  if (version == nullptr || (all[0] & 0x40) == 0) return QuicNext::kVersionUnknown;
  Reader reader{all.subspan(5)};
  const Bytes to = reader.Take(reader.Byte());
  const Bytes from = reader.Take(reader.Byte());
  const uint8_t type = ((all[0] >> 4) - version->initial_type) & 3;
  if (!reader.ok || to.size() > kIdMax || from.size() > kIdMax) return QuicNext::kMalformed;
  if (type == 3) return QuicNext::kRetry;  // has no length, and nothing stands behind it
  if (type == 0) reader.Take(reader.Varint());  // the token
  const uint64_t length = reader.Varint();
  if (!reader.ok || length > reader.left.size()) return QuicNext::kMalformed;
  const size_t head = all.size() - reader.left.size();
  *datagram = reader.left.subspan(static_cast<size_t>(length));
  if (type != 0) return QuicNext::kOther;
  *initial = {number, to, all.first(head + static_cast<size_t>(length)), head};
  return QuicNext::kInitial;
}

QuicOpener::QuicOpener() : sealed_(EVP_CIPHER_CTX_new()), mask_(EVP_CIPHER_CTX_new()), plain_(kDatagramMax) {
  CHECK(sealed_ != nullptr && mask_ != nullptr);
  CHECK(EVP_DecryptInit_ex(sealed_, EVP_aes_128_gcm(), nullptr, nullptr, nullptr) == 1);
  CHECK(EVP_EncryptInit_ex(mask_, EVP_aes_128_ecb(), nullptr, nullptr, nullptr) == 1);
}

QuicOpener::~QuicOpener() {
  EVP_CIPHER_CTX_free(sealed_);
  EVP_CIPHER_CTX_free(mask_);
}

void QuicOpener::DeriveClientKeys(uint32_t version_number, Bytes connection_id, QuicKeys* keys) {
  const Version* version = FindVersion(version_number);
  if (version == nullptr || MutantIs("tls.quic_v2_as_v1")) version = &kV1;
  uint8_t initial[kSecretBytes], secret[kSecretBytes];
  HmacSha256(Bytes(version->salt, sizeof version->salt), connection_id, initial);
  ExpandLabel(initial, "", "client in", secret, sizeof secret);
  ExpandLabel(secret, version->label, "key", keys->key, sizeof keys->key);
  ExpandLabel(secret, version->label, "iv", keys->iv, sizeof keys->iv);
  ExpandLabel(secret, version->label, "hp", keys->header, sizeof keys->header);
}

std::optional<Bytes> QuicOpener::Open(const QuicInitial& initial, const QuicKeys& keys) {
  const Bytes packet = initial.packet;
  const size_t at = initial.number_at;
  // The sample stands where a packet number of four bytes would end (RFC 9001, 5.4.2).
  if (packet.size() < at + 4 + kSampleBytes) return {};
  uint8_t mask[kSampleBytes];
  int done = 0, last = 0;
  if (EVP_EncryptInit_ex(mask_, nullptr, nullptr, keys.header, nullptr) != 1 ||
      EVP_EncryptUpdate(mask_, mask, &done, packet.data() + at + 4, kSampleBytes) != 1) {
    return {};
  }
  const uint8_t first = packet[0] ^ (mask[0] & 0x0f);
  const size_t number_bytes = (first & 3) + size_t{1};
  uint8_t number[4];
  uint32_t value = 0;
  for (size_t i = 0; i < number_bytes; ++i) {
    number[i] = packet[at + i] ^ mask[1 + i];
    value = value << 8 | number[i];
  }
  // The first packets of a connection: the number is not cut yet.
  uint8_t nonce[sizeof keys.iv];
  std::memcpy(nonce, keys.iv, sizeof nonce);
  StoreBe32(nonce + 8, LoadBe32(nonce + 8) ^ value);
  const Bytes sealed = packet.subspan(at + number_bytes);
  const Bytes text = sealed.first(sealed.size() - kTagBytes);
  uint8_t tag[kTagBytes];
  std::memcpy(tag, sealed.data() + text.size(), kTagBytes);
  const bool fed =
      EVP_DecryptInit_ex(sealed_, nullptr, nullptr, keys.key, nonce) == 1 &&
      EVP_DecryptUpdate(sealed_, nullptr, &done, &first, 1) == 1 &&
      EVP_DecryptUpdate(sealed_, nullptr, &done, packet.data() + 1, static_cast<int>(at - 1)) == 1 &&
      EVP_DecryptUpdate(sealed_, nullptr, &done, number, static_cast<int>(number_bytes)) == 1 &&
      EVP_DecryptUpdate(sealed_, plain_.data(), &done, text.data(), static_cast<int>(text.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(sealed_, EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag) == 1;
  if (!fed || EVP_DecryptFinal_ex(sealed_, plain_.data() + done, &last) != 1) return {};
  return Bytes(plain_.data(), text.size());
}

QuicFrames::Next QuicFrames::Take(uint64_t* offset, Bytes* data) {
  constexpr uint8_t kPadding = 0, kPing = 1, kAck = 2, kAckEcn = 3, kCrypto = 6, kClose = 0x1c;
  Reader reader{left_};
  while (!reader.left.empty()) {
    const uint8_t type = reader.Byte();
    if (type == kPadding || type == kPing) continue;
    if (type == kCrypto) {
      *offset = reader.Varint();
      *data = reader.Take(reader.Varint());
      left_ = reader.left;
      return reader.ok ? Next::kCrypto : Next::kMalformed;
    }
    if (type == kAck || type == kAckEcn) {
      reader.Varint();  // largest
      reader.Varint();  // delay
      const uint64_t ranges = reader.Varint();
      reader.Varint();  // the first range
      for (uint64_t i = 0; i < 2 * ranges && reader.ok; ++i) reader.Varint();
      if (type == kAckEcn) {
        for (int i = 0; i < 3; ++i) reader.Varint();
      }
    } else if (type == kClose) {
      reader.Varint();  // error
      reader.Varint();  // type of the frame
      reader.Take(reader.Varint());
    } else {
      return Next::kMalformed;
    }
    if (!reader.ok) return Next::kMalformed;
  }
  left_ = {};
  return Next::kEnd;
}

}  // namespace stillwatch::dataplane
