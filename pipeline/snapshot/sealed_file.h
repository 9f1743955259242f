// Bytes on disk that only a holder of the box's secrets can read: AES-256-GCM under a key made of privacy.account_key and
// privacy.salt. What detection remembers are salted hashes of prompts, which whoever holds the salt could look up: they
// are personal data and never lie readable anywhere. OpenSSL's one door in pipeline/.
//
// Layout: one line of text that says what this is; a head {layout, salt check, key check, plain bytes, 16 random bytes,
// hash of the head}, little-endian; then the text in frames of 1 MiB, each with its tag. Each file has a key of its own
// (HMAC-SHA256 of the random bytes), a frame's nonce is its number, the head is authenticated with each frame. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "base/result.h"

namespace stillwatch::pipeline {

struct SealKey {
  uint8_t bytes[32] = {};
  uint64_t salt_check = 0, key_check = 0;  // tell which secret is another one, and nothing about it
};
SealKey MakeSealKey(std::string_view account_key, Salt salt);

// For small texts, in memory.
std::string SealText(std::string_view plain, const SealKey& key, uint64_t layout);
// `name` begins the message of an error.
Result<std::string> OpenText(std::string_view sealed, const SealKey& key, uint64_t layout, const std::string& name);

// Written to PATH.part with mode 0600, made durable, renamed over PATH: a crash leaves the old file or the new one.
// Gives the file's size.
Result<uint64_t> WriteSealedFile(const std::string& path, std::string_view plain, const SealKey& key, uint64_t layout);
Result<std::string> ReadSealedFile(const std::string& path, const SealKey& key, uint64_t layout);

// Overwrites text that was readable, and frees it.
void Wipe(std::string* text);

}  // namespace stillwatch::pipeline
