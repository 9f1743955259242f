#include "pipeline/intel/account_directory.h"

#include <algorithm>
#include <cstring>
#include <fstream>

#include <google/protobuf/util/json_util.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/time_format.h"
#include "pipeline/proto/stillwatch.pb.h"

namespace stillwatch::pipeline {

namespace {

constexpr size_t kLineMax = 4'096, kNameMax = 64;

bool ReadId(const std::string& text, AccountId* id) {
  std::string bytes;
  if (!ParseHex(text, &bytes) || bytes.size() != sizeof id->bytes) return false;
  std::memcpy(id->bytes, bytes.data(), sizeof id->bytes);
  return true;
}

// 128 bits under the fleet's salt.
AccountId IdOfName(const std::string& name, Salt fleet) {
  AccountId id;
  const uint64_t halves[2] = {KeyedHash64(name, DeriveSalt(fleet, "account-1")), KeyedHash64(name, DeriveSalt(fleet, "account-2"))};
  std::memcpy(id.bytes, halves, sizeof id.bytes);
  return id;
}

}  // namespace

uint64_t OrganisationId(std::string_view name, Salt fleet) { return KeyedHash64(name, DeriveSalt(fleet, "name")); }

AccountId AccountNamed(const std::string& name, Salt fleet) {
  AccountId id;
  return ReadId(name, &id) ? id : IdOfName(name, fleet);
}

Status AccountDirectory::Add(const std::string& line, Salt fleet) {
  v1::DirectoryEntry record;
  const auto parsed = google::protobuf::util::JsonStringToMessage(line, &record);
  if (!parsed.ok()) return Error{std::string(parsed.message())};
  return AddRecord(record, fleet);
}

Status AccountDirectory::AddRecord(const v1::DirectoryEntry& record, Salt fleet) {
  Entry entry{};
  if (!ReadId(record.key_id(), &entry.key)) return Error{"key_id must be 32 hex digits"};
  entry.account = entry.key;
  const std::string& name = record.account();
  if (name.size() > kNameMax || name.find('\0') != std::string::npos) {
    return Error{"account must have at most " + std::to_string(kNameMax) + " bytes, none of them zero"};
  }
  if (!name.empty() && !ReadId(name, &entry.account)) {
    entry.account = IdOfName(name, fleet);
    entry.name_at = static_cast<uint32_t>(names_.size());
    names_.append(name).push_back('\0');
  }
  if (!record.organisation().empty()) entry.organisation = OrganisationId(record.organisation(), fleet);
  if (!record.created().empty()) {
    const Result<int64_t> created = ParseTime(record.created());
    if (!created.ok()) return Error{"created: " + created.message()};
    entry.created_s = created.value() / kNsPerSecond;
  }
  if (record.trust() > 100) return Error{"trust is 0 to 100"};
  if (entries_.size() == kKeysMax) return Error{"more than " + std::to_string(kKeysMax) + " keys"};
  entries_.push_back(entry);
  return {};
}

Status AccountDirectory::Seal() {
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.key < b.key; });
  const auto twin = std::adjacent_find(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.key == b.key; });
  if (twin != entries_.end()) return Error{"key_id " + HexOf(Bytes(twin->key.bytes, sizeof twin->key.bytes)) + " stands twice"};
  by_account_.resize(entries_.size());
  for (uint32_t i = 0; i < by_account_.size(); ++i) by_account_[i] = i;
  std::sort(by_account_.begin(), by_account_.end(), [&](uint32_t a, uint32_t b) { return entries_[a].account < entries_[b].account; });
  return {};
}

Result<std::shared_ptr<const AccountDirectory>> AccountDirectory::Load(const std::string& path, Salt fleet) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{path + ": cannot be read; detect.directory_file names it"};
  auto directory = std::make_shared<AccountDirectory>();
  std::string line;
  for (size_t number = 1; std::getline(file, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const Status added = line.size() > kLineMax ? Status(Error{"longer than " + std::to_string(kLineMax) + " bytes"}) : directory->Add(line, fleet);
    if (!added.ok()) return Error{path + ":" + std::to_string(number) + ": " + added.message()};
  }
  if (file.bad()) return Error{path + ": reading stopped in the middle"};
  if (Status sealed = directory->Seal(); !sealed.ok()) return Error{path + ": " + sealed.message()};
  return std::shared_ptr<const AccountDirectory>(std::move(directory));
}

Result<std::shared_ptr<const AccountDirectory>> AccountDirectory::With(const AccountDirectory* base, std::span<const v1::DirectoryEntry> records, Salt fleet) {
  auto directory = std::make_shared<AccountDirectory>();
  for (const v1::DirectoryEntry& record : records) {
    if (Status added = directory->AddRecord(record, fleet); !added.ok()) return Error{"key_id " + record.key_id() + ": " + added.message()};
  }
  if (Status sealed = directory->Seal(); !sealed.ok()) return Error{sealed.message()};
  if (base == nullptr) return std::shared_ptr<const AccountDirectory>(std::move(directory));
  const std::vector<Entry> newer = directory->entries_;
  for (Entry entry : base->entries_) {
    const auto at = std::lower_bound(newer.begin(), newer.end(), entry.key, [](const Entry& a, const AccountId& k) { return a.key < k; });
    if (at != newer.end() && at->key == entry.key) continue;
    if (directory->entries_.size() == kKeysMax) return Error{"more than " + std::to_string(kKeysMax) + " keys"};
    if (entry.name_at != 0) {
      const std::string_view name = base->names_.c_str() + entry.name_at;
      entry.name_at = static_cast<uint32_t>(directory->names_.size());
      directory->names_.append(name).push_back('\0');
    }
    directory->entries_.push_back(entry);
  }
  if (Status sealed = directory->Seal(); !sealed.ok()) return Error{sealed.message()};
  return std::shared_ptr<const AccountDirectory>(std::move(directory));
}

const AccountDirectory::Entry* AccountDirectory::Find(const AccountId& key) const {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), key, [](const Entry& a, const AccountId& k) { return a.key < k; });
  return at == entries_.end() || at->key != key ? nullptr : &*at;
}

std::string_view AccountDirectory::NameOf(const AccountId& account) const {
  const auto at = std::lower_bound(by_account_.begin(), by_account_.end(), account,
                                   [&](uint32_t i, const AccountId& a) { return entries_[i].account < a; });
  if (at == by_account_.end() || entries_[*at].account != account) return "";
  return names_.c_str() + entries_[*at].name_at;
}

std::string AccountText(const AccountDirectory* directory, const AccountId& account) {
  const std::string_view name = directory == nullptr ? std::string_view() : directory->NameOf(account);
  return name.empty() ? HexOf(Bytes(account.bytes, sizeof account.bytes)) : std::string(name);
}

}  // namespace stillwatch::pipeline
