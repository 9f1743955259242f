#include "pipeline/sink/utf8.h"

#include <cstdint>
#include <vector>

#include <google/protobuf/descriptor.h>

namespace stillwatch::pipeline {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

size_t Utf8SequenceLength(std::string_view text) {
  if (text.empty()) return 0;
  const auto at = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const auto continues = [&](size_t from, size_t to) {
    if (text.size() <= to) return false;
    for (size_t i = from; i <= to; ++i) {
      if ((at(i) & 0xc0) != 0x80) return false;
    }
    return true;
  };
  const uint8_t lead = at(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return continues(1, 1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    if (!continues(1, 2)) return 0;
    if (lead == 0xe0 && at(1) < 0xa0) return 0;  // overlong
    if (lead == 0xed && at(1) > 0x9f) return 0;  // surrogates
    return 3;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    if (!continues(1, 3)) return 0;
    if (lead == 0xf0 && at(1) < 0x90) return 0;  // overlong
    if (lead == 0xf4 && at(1) > 0x8f) return 0;  // above U+10FFFF
    return 4;
  }
  return 0;
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = Utf8SequenceLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string RepairUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t length = Utf8SequenceLength(text);
    if (length == 0) {
      out += "\xef\xbf\xbd";
      text.remove_prefix(1);
    } else {
      out += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return out;
}

namespace {

// Visits every present string of `message` below any nesting; stops at the first ill-formed one
// when `mend` is null, else writes repaired text into it (`mend` is the same message, writable).
bool AllWellFormed(const Message& message, Message* mend) {
  const Reflection* reflection = message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  bool good = true;
  for (const FieldDescriptor* field : fields) {
    const int count = field->is_repeated() ? reflection->FieldSize(message, field) : 1;
    for (int i = 0; i < count && (good || mend != nullptr); ++i) {
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        const Message& child = field->is_repeated()
                                   ? reflection->GetRepeatedMessage(message, field, i)
                                   : reflection->GetMessage(message, field);
        Message* child_mend = nullptr;
        if (mend != nullptr) {
          child_mend = field->is_repeated() ? reflection->MutableRepeatedMessage(mend, field, i)
                                            : reflection->MutableMessage(mend, field);
        }
        good &= AllWellFormed(child_mend != nullptr ? *child_mend : child, child_mend);
      } else if (field->type() == FieldDescriptor::TYPE_STRING) {
        std::string scratch;
        const std::string& text =
            field->is_repeated()
                ? reflection->GetRepeatedStringReference(message, field, i, &scratch)
                : reflection->GetStringReference(message, field, &scratch);
        if (IsUtf8(text)) continue;
        good = false;
        if (mend == nullptr) continue;
        const std::string repaired = RepairUtf8(text);
        if (field->is_repeated()) {
          reflection->SetRepeatedString(mend, field, i, repaired);
        } else {
          reflection->SetString(mend, field, repaired);
        }
      }
    }
  }
  return good;
}

}  // namespace

std::unique_ptr<Message> RepairedCopy(const Message& record) {
  if (AllWellFormed(record, nullptr)) return nullptr;
  std::unique_ptr<Message> copy(record.New());
  copy->CopyFrom(record);
  AllWellFormed(*copy, copy.get());
  return copy;
}

}  // namespace stillwatch::pipeline
