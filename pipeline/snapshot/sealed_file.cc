#include "pipeline/snapshot/sealed_file.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>

#include "base/check.h"
#include "base/endian.h"
#include "base/mutant.h"

namespace stillwatch::pipeline {

namespace {

constexpr std::string_view kHead =
    "stillwatch snapshot 1: what detection remembers of accounts, sealed under privacy.account_key and privacy.salt\n";
constexpr std::string_view kHeadOfAny = "stillwatch snapshot ";
constexpr size_t kFrame = 1u << 20, kTag = 16, kSeed = 16;
constexpr size_t kFields = 4 * 8 + kSeed + 8;
constexpr uint64_t kPlainMax = 1ull << 40;

using Cipher = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;
using Out = std::function<bool(const char*, size_t)>;
using In = std::function<bool(char*, size_t)>;  // false: fewer bytes are left

void Hmac(std::string_view key, std::string_view text, uint8_t out[32]) {
  unsigned length = 32;
  CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const uint8_t*>(text.data()),
             text.size(), out, &length) != nullptr);
}

struct FileKey {
  uint8_t bytes[32];
  FileKey(const SealKey& key, std::string_view seed) {
    Hmac({reinterpret_cast<const char*>(key.bytes), sizeof key.bytes}, "file " + std::string(seed), bytes);
  }
  ~FileKey() { OPENSSL_cleanse(bytes, sizeof bytes); }
};

// One frame in place, `text` followed by its tag. False: the tag is wrong.
bool Crypt(bool seal, const FileKey& key, uint32_t number, std::string_view head, char* text, size_t size) {
  const Cipher cipher(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  uint8_t nonce[12] = {};
  StoreLe(nonce, number);
  int length = 0;
  auto* bytes = reinterpret_cast<uint8_t*>(text);
  CHECK(cipher != nullptr && EVP_CipherInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key.bytes, nonce, seal) == 1);
  CHECK(EVP_CipherUpdate(cipher.get(), nullptr, &length, reinterpret_cast<const uint8_t*>(head.data()),
                         static_cast<int>(head.size())) == 1);
  CHECK(EVP_CipherUpdate(cipher.get(), bytes, &length, bytes, static_cast<int>(size)) == 1);
  if (!seal) CHECK(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTag, bytes + size) == 1);
  if (EVP_CipherFinal_ex(cipher.get(), bytes + size, &length) != 1) return false;
  if (seal) CHECK(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTag, bytes + size) == 1);
  return true;
}

bool Write(std::string_view plain, const SealKey& key, uint64_t layout, const Out& out) {
  char fields[kFields];
  StoreLe(fields, layout);
  StoreLe(fields + 8, key.salt_check);
  StoreLe(fields + 16, key.key_check);
  StoreLe(fields + 24, uint64_t{plain.size()});
  CHECK(RAND_bytes(reinterpret_cast<uint8_t*>(fields + 32), kSeed) == 1);
  StoreLe(fields + 32 + kSeed, KeyedHash64(std::string_view(fields, 32 + kSeed), Salt{}));
  if (!out(kHead.data(), kHead.size()) || !out(fields, sizeof fields)) return false;
  const FileKey file_key(key, {fields + 32, kSeed});
  std::string frame(std::min(kFrame, plain.size()) + kTag, '\0');
  for (size_t at = 0, number = 0; at < plain.size(); at += kFrame, ++number) {
    const size_t size = std::min(kFrame, plain.size() - at);
    std::memcpy(frame.data(), plain.data() + at, size);
    if (!MutantIs("snapshot.readable")) {
      CHECK(Crypt(true, file_key, static_cast<uint32_t>(number), {fields, sizeof fields}, frame.data(), size));
    }
    if (!out(frame.data(), size + kTag)) return false;
  }
  return true;
}

Result<std::string> Read(const In& in, const SealKey& key, uint64_t layout, const std::string& name) {
  std::string head(kHead.size(), '\0');
  char fields[kFields];
  if (!in(head.data(), head.size())) return Error{name + ": is no snapshot of stillwatch"};
  if (head != kHead) {
    if (!head.starts_with(kHeadOfAny)) return Error{name + ": is no snapshot of stillwatch"};
    return Error{name + ": is a snapshot of another version, this program reads version 1"};
  }
  if (!in(fields, sizeof fields)) return Error{name + ": is cut short"};
  if (LoadLe<uint64_t>(fields + 32 + kSeed) != KeyedHash64(std::string_view(fields, 32 + kSeed), Salt{})) {
    return Error{name + ": is damaged (head)"};
  }
  if (LoadLe<uint64_t>(fields + 8) != key.salt_check) return Error{name + ": was made under another privacy.salt"};
  if (LoadLe<uint64_t>(fields + 16) != key.key_check) return Error{name + ": was made under another privacy.account_key"};
  if (LoadLe<uint64_t>(fields) != layout) {
    return Error{name + ": was made by another version of stillwatch, which remembers other things"};
  }
  const auto size = LoadLe<uint64_t>(fields + 24);
  if (size > kPlainMax) return Error{name + ": is damaged (head)"};
  const FileKey file_key(key, {fields + 32, kSeed});
  // Frame by frame: a wrong size takes no memory that the file does not fill.
  std::string plain;
  for (size_t at = 0, number = 0; at < size; at += kFrame, ++number) {
    const size_t wanted = std::min<uint64_t>(kFrame, size - at);
    plain.resize(at + wanted + kTag);
    if (!in(plain.data() + at, wanted + kTag)) return Error{name + ": is cut short"};
    if (!Crypt(false, file_key, static_cast<uint32_t>(number), {fields, sizeof fields}, plain.data() + at, wanted)) {
      return Error{name + ": is damaged (frame " + std::to_string(number + 1) + ")"};
    }
    plain.resize(at + wanted);
  }
  char more;
  if (in(&more, 1)) return Error{name + ": goes on after its end"};
  return plain;
}

Error Failed(const std::string& path, const char* what) { return Error{path + ": " + what + ": " + std::strerror(errno)}; }

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

bool WriteAll(int fd, const char* bytes, size_t size) {
  while (size != 0) {
    const ssize_t written = write(fd, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes += written, size -= static_cast<size_t>(written);
  }
  return true;
}

bool ReadAll(int fd, char* bytes, size_t size) {
  while (size != 0) {
    const ssize_t got = read(fd, bytes, size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    bytes += got, size -= static_cast<size_t>(got);
  }
  return true;
}

}  // namespace

SealKey MakeSealKey(std::string_view account_key, Salt salt) {
  SealKey key;
  uint8_t digest[32];
  Hmac(account_key, "stillwatch snapshot " + HexOf(salt.value), key.bytes);
  Hmac(account_key, "stillwatch snapshot key check", digest);
  key.key_check = LoadLe<uint64_t>(digest);
  key.salt_check = KeyedHash64("snapshot", DeriveSalt(salt, "snapshot"));
  return key;
}

std::string SealText(std::string_view plain, const SealKey& key, uint64_t layout) {
  std::string sealed;
  Write(plain, key, layout, [&](const char* bytes, size_t size) {
    sealed.append(bytes, size);
    return true;
  });
  return sealed;
}

Result<std::string> OpenText(std::string_view sealed, const SealKey& key, uint64_t layout, const std::string& name) {
  return Read(
      [&](char* bytes, size_t size) {
        if (size > sealed.size()) return false;
        std::memcpy(bytes, sealed.data(), size);
        sealed.remove_prefix(size);
        return true;
      },
      key, layout, name);
}

Result<uint64_t> WriteSealedFile(const std::string& path, std::string_view plain, const SealKey& key, uint64_t layout) {
  const std::string aside = path + ".part";
  unlink(aside.c_str());  // of a run that was killed
  const Descriptor file{open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (file.fd < 0) return Failed(aside, "cannot be written");
  uint64_t bytes = 0;
  const bool written = Write(plain, key, layout, [&](const char* at, size_t size) {
    bytes += size;
    return WriteAll(file.fd, at, size);
  });
  if (!written || fsync(file.fd) != 0) {
    const Error error = Failed(aside, "could not be written whole");
    unlink(aside.c_str());
    return error;
  }
  if (rename(aside.c_str(), path.c_str()) != 0) return Failed(path, "cannot be replaced");
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const Descriptor folder_file{open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (folder_file.fd < 0 || fsync(folder_file.fd) != 0) return Failed(folder, "cannot be made durable");
  return bytes;
}

Result<std::string> ReadSealedFile(const std::string& path, const SealKey& key, uint64_t layout) {
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return Failed(path, "cannot be read");
  return Read([&](char* bytes, size_t size) { return ReadAll(file.fd, bytes, size); }, key, layout, path);
}

void Wipe(std::string* text) {
  OPENSSL_cleanse(text->data(), text->size());
  std::string().swap(*text);
}

}  // namespace stillwatch::pipeline
