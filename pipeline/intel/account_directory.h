// The provider's account directory: key -> account, organisation, creation date. Read whole from a file, one JSON
// object a line (v1::DirectoryEntry), at start and at every reload; never changed after that. The thread that loads
// hands it over; the batch thread looks up. 48 bytes a key and its account's name, at most kKeysMax.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "pipeline/profile/profile.h"
#include "pipeline/proto/stillwatch.pb.h"

namespace stillwatch::pipeline {

// The keyed hash of an organisation's name: of the directory, of the allow-list and of request headers alike.
uint64_t OrganisationId(std::string_view name, Salt fleet);

// The account that a name stands for, as the directory's lines and the operator's lists have it; 32 hex digits are its id.
AccountId AccountNamed(const std::string& name, Salt fleet);

class AccountDirectory {
 public:
  static constexpr size_t kKeysMax = 16'000'000;

  struct Entry {
    AccountId key;
    AccountId account;
    uint64_t organisation;  // 0: unknown
    int64_t created_s;      // 0: unknown
    uint32_t name_at;       // of the account's name, ends with a zero
  };

  // An error names file and line, and says what is wrong there: a directory with one bad line is not taken.
  static Result<std::shared_ptr<const AccountDirectory>> Load(const std::string& path, Salt fleet);

  // `base` (may be null) with records in the place of its entries for the same keys, or beside them. An error names the key.
  static Result<std::shared_ptr<const AccountDirectory>> With(const AccountDirectory* base, std::span<const v1::DirectoryEntry> records, Salt fleet);

  // nullptr: not in the directory.
  const Entry* Find(const AccountId& key) const;
  std::span<const Entry> entries() const { return entries_; }
  // The account's name; "" for one that is not in the directory or bears its key's id.
  std::string_view NameOf(const AccountId& account) const;

 private:
  Status Add(const std::string& line, Salt fleet);
  Status AddRecord(const v1::DirectoryEntry& record, Salt fleet);
  // Sorts, and refuses a key that stands twice.
  Status Seal();

  std::vector<Entry> entries_;       // by key
  std::vector<uint32_t> by_account_;  // indexes of entries_, by account
  std::string names_{'\0'};
};

// How topics name an account: as the directory does, else 32 hex digits. `directory` may be null.
std::string AccountText(const AccountDirectory* directory, const AccountId& account);

}  // namespace stillwatch::pipeline
