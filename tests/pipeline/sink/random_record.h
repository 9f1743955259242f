// Fills any record with random values by reflection, for tests of what must hold for every record.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/message.h>

#include <random>
#include <string>

namespace stillwatch::pipeline {

class RandomRecord {
 public:
  explicit RandomRecord(uint32_t seed) : random_(seed) {}

  // Every field is set with probability 3/4, repeated ones hold 0 to 3 values. Text is well-formed
  // UTF-8 with everything that JSON has to escape.
  void Fill(google::protobuf::Message* message) {
    using google::protobuf::FieldDescriptor;
    const auto* type = message->GetDescriptor();
    const auto* reflection = message->GetReflection();
    const bool map_entry = type->options().map_entry();  // each with a key of its own
    for (int i = 0; i < type->field_count(); ++i) {
      const FieldDescriptor* field = type->field(i);
      const int count =
          field->is_repeated() ? static_cast<int>(random_() % 4) : map_entry || random_() % 4 != 0;
      for (int n = 0; n < count; ++n) {
        const bool many = field->is_repeated();
        switch (field->cpp_type()) {
          case FieldDescriptor::CPPTYPE_INT32:
            many ? reflection->AddInt32(message, field, static_cast<int32_t>(random_()))
                 : reflection->SetInt32(message, field, static_cast<int32_t>(random_()));
            break;
          case FieldDescriptor::CPPTYPE_INT64: {
            const int64_t value = static_cast<int64_t>(Wide());
            many ? reflection->AddInt64(message, field, value)
                 : reflection->SetInt64(message, field, value);
            break;
          }
          case FieldDescriptor::CPPTYPE_UINT32:
            many ? reflection->AddUInt32(message, field, random_())
                 : reflection->SetUInt32(message, field, random_());
            break;
          case FieldDescriptor::CPPTYPE_UINT64:
            many ? reflection->AddUInt64(message, field, Wide())
                 : reflection->SetUInt64(message, field, Wide());
            break;
          case FieldDescriptor::CPPTYPE_BOOL:
            many ? reflection->AddBool(message, field, true)
                 : reflection->SetBool(message, field, true);
            break;
          case FieldDescriptor::CPPTYPE_STRING: {
            const std::string text =
                field->type() == FieldDescriptor::TYPE_BYTES ? Octets() : Text(map_entry);
            many ? reflection->AddString(message, field, text)
                 : reflection->SetString(message, field, text);
            break;
          }
          case FieldDescriptor::CPPTYPE_ENUM: {
            const auto* value = field->enum_type()->value(
                static_cast<int>(random_() % field->enum_type()->value_count()));
            many ? reflection->AddEnum(message, field, value)
                 : reflection->SetEnum(message, field, value);
            break;
          }
          case FieldDescriptor::CPPTYPE_MESSAGE:
            Fill(many ? reflection->AddMessage(message, field)
                      : reflection->MutableMessage(message, field));
            break;
          default:
            break;
        }
      }
    }
  }

 private:
  uint64_t Wide() {
    return (static_cast<uint64_t>(random_()) << 32 | random_()) >> (random_() % 64);
  }
  std::string Octets() {
    std::string text(random_() % 20, '\0');
    for (char& c : text) c = static_cast<char>(random_());
    return text;
  }
  std::string Text(bool unique) {
    static constexpr const char* kPieces[] = {
        "a",  "Z",    " ",    "\"",   "\\", "/",  "\n",   "\r",           "\t",
        "\b", "\x01", "\x1f", "\x7f", "é",  "語", "🙂", "\xe2\x80\xa8", "</script>"};
    std::string text = unique ? std::to_string(random_()) : "";
    for (uint32_t i = random_() % 12; i > 0; --i) text += kPieces[random_() % std::size(kPieces)];
    return text;
  }

  std::mt19937 random_;
};

}  // namespace stillwatch::pipeline
