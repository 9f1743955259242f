#include "pipeline/evidence/public_list.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <set>
#include <sstream>

#include "base/check.h"
#include "base/mutant.h"
#include "base/text/tokenizer.h"
#include "pipeline/evidence/instruction.h"

namespace stillwatch::pipeline {

namespace {

constexpr std::string_view kShipped =
#include "pipeline/evidence/public_cores.inc"
    ;
constexpr std::string_view kSlot = "{}";
constexpr size_t kFragmentsMin = 2;  // of an entry: two words alone are no prompt

// Of a clause between slots: all pairs of neighbours, however long.
void AddFragments(std::string_view clause, const text::TokenHasher& hasher, std::vector<uint32_t>* out) {
  const std::vector<uint32_t> tokens = text::HashesOf(clause, hasher);
  for (size_t i = 0; i + 1 < tokens.size(); ++i) out->push_back(ShingleHash(tokens[i], tokens[i + 1]));
}

std::string_view Trimmed(std::string_view text) {
  const size_t from = text.find_first_not_of(" \t\r");
  return from == text.npos ? std::string_view() : text.substr(from, text.find_last_not_of(" \t\r") - from + 1);
}

struct Entry {
  std::string name;
  bool source = false, licence = false;
  size_t fragments = 0;
};

// What an entry lacks; "" when it is whole.
std::string LackOf(const Entry& entry) {
  if (!entry.source) return "has no source";
  if (!entry.licence) return "has no licence";
  if (entry.fragments < kFragmentsMin) return "has no text of three words or more";
  return "";
}

}  // namespace

Result<std::shared_ptr<const PublicList>> PublicList::Parse(std::string_view text, const std::string& name, Salt fleet) {
  if (text.size() > kTextBytesMax) return Error{name + ": has more than " + std::to_string(kTextBytesMax >> 20) + " MiB"};
  auto list = std::make_shared<PublicList>();
  const text::TokenHasher hasher(fleet);
  std::set<std::string, std::less<>> names;
  Entry entry;
  size_t number = 0;
  const auto wrong = [&](const std::string& what) { return Error{name + ":" + std::to_string(number) + ": " + what}; };
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = Trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.empty() || line[0] == '#') continue;
    if (line[0] == '[') {
      if (const std::string lack = entry.name.empty() ? "" : LackOf(entry); !lack.empty()) return wrong("entry " + entry.name + " before this line " + lack);
      entry = {std::string(line.substr(1, line.size() - std::min<size_t>(2, line.size()))), false, false, 0};
      const bool good = line.back() == ']' && !entry.name.empty() &&
                        std::all_of(entry.name.begin(), entry.name.end(), [](unsigned char c) { return std::isalnum(c) || c == '-'; });
      if (!good) return wrong("write an entry's name as [letters-digits-and-dashes]");
      if (!names.insert(entry.name).second) return wrong("entry " + entry.name + " stands twice");
      continue;
    }
    const size_t equals = line.find('=');
    if (equals == line.npos || entry.name.empty()) return wrong("write [name], then source = ..., licence = ... and text = ...");
    const std::string_view key = Trimmed(line.substr(0, equals));
    std::string_view value = Trimmed(line.substr(equals + 1));
    if (value.empty()) return wrong(std::string(key) + " is empty");
    if (key == "source") entry.source = true;
    else if (key == "licence") entry.licence = true;
    else if (key != "text") return wrong("unknown word '" + std::string(key) + "'; there are source, licence and text");
    if (key != "text") continue;
    const size_t before = list->fragments_.size();
    for (size_t slot = value.find(kSlot); slot != value.npos; slot = value.find(kSlot)) {
      AddFragments(value.substr(0, slot), hasher, &list->fragments_);
      value.remove_prefix(slot + kSlot.size());
    }
    AddFragments(value, hasher, &list->fragments_);
    entry.fragments += list->fragments_.size() - before;
  }
  if (const std::string lack = entry.name.empty() ? "" : LackOf(entry); !lack.empty()) return wrong("entry " + entry.name + " " + lack);
  list->entries_ = names.size();
  std::sort(list->fragments_.begin(), list->fragments_.end());
  list->fragments_.erase(std::unique(list->fragments_.begin(), list->fragments_.end()), list->fragments_.end());
  return std::shared_ptr<const PublicList>(std::move(list));
}

Result<std::shared_ptr<const PublicList>> PublicList::Load(const std::string& path, Salt fleet) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{path + ": cannot be read; detect.public_cores names it"};
  std::string text(kTextBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  return Parse(text, path, fleet);
}

std::shared_ptr<const PublicList> PublicList::BuiltIn(Salt fleet) {
  Result<std::shared_ptr<const PublicList>> list = Parse(kShipped, "config/public_cores.txt", fleet);
  CHECK(list.ok());
  return std::move(list).value();
}

void PublicList::Mark(const CoreSet& cores, std::vector<bool>* is_public) const {
  if (MutantIs("detect.no_public_list")) return;
  std::vector<uint32_t> listed(cores.cores.size(), 0);
  for (uint32_t fragment : fragments_) {
    const uint32_t core = cores.CoreOfFragment(fragment);
    if (core != UINT32_MAX) ++listed[core];
  }
  for (size_t core = 0; core < listed.size(); ++core) {
    if (listed[core] != 0 && listed[core] * 2 >= cores.cores[core].fragments) (*is_public)[core] = true;
  }
}

}  // namespace stillwatch::pipeline
