// Public cores, the list: prompts that somebody published, as plain text that can be shared; hashed under the fleet's salt
// when it is read, as the instructions are that they are looked for in. A core that is mostly made of listed prompts links
// nobody. Read whole from a file at start and at every reload, never changed after that; the shipped one is built in. The
// thread that loads hands it over, the batch thread looks up. At most kTextBytesMax of text, 8 bytes a word.
//
//   # a comment
//   [name-of-the-entry]          letters, digits and '-', each name once
//   source = ...                 where it is published; it must say
//   licence = ...
//   text = ... {} ...            one line; {} stands for what each user puts in, no pair of words crosses it
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "pipeline/evidence/core_finder.h"

namespace stillwatch::pipeline {

class PublicList {
 public:
  static constexpr size_t kTextBytesMax = 4 << 20;

  // `name` begins the message of an error, with the line.
  static Result<std::shared_ptr<const PublicList>> Parse(std::string_view text, const std::string& name, Salt fleet);
  static Result<std::shared_ptr<const PublicList>> Load(const std::string& path, Salt fleet);
  static std::shared_ptr<const PublicList> BuiltIn(Salt fleet);

  // Marks the cores of which at least half of the fragments are listed.
  void Mark(const CoreSet& cores, std::vector<bool>* is_public) const;
  size_t entries() const { return entries_; }
  const std::vector<uint32_t>& fragments() const { return fragments_; }  // ascending

 private:
  size_t entries_ = 0;
  std::vector<uint32_t> fragments_;
};

}  // namespace stillwatch::pipeline
