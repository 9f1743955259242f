#include "pipeline/sink/json_writer.h"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "base/time_format.h"
#include "pipeline/sink/topic_records.h"
#include "pipeline/sink/utf8.h"

namespace stillwatch::pipeline {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr int kSingular = -1;

template <typename Integer>
void AppendInteger(Integer value, std::string* out) {
  char text[24];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  out->append(text, end);
}

constexpr char kHexDigits[] = "0123456789abcdef";

void AppendHex(uint64_t value, int digits, std::string* out) {
  out->push_back('"');
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
    out->push_back(kHexDigits[value >> shift & 15]);
  out->push_back('"');
}

// Needs no escape and is a character of its own.
bool IsPlain(char c) { return c >= 0x20 && c != '"' && c != '\\'; }

// One value of `field`: the singular one, or element `at` of a repeated field.
class Value {
 public:
  Value(const Message& message, const FieldDescriptor* field, int at)
      : message_(message), field_(field), reflection_(*message.GetReflection()), at_(at) {}

  void AppendNumber(std::string* out) const {
    switch (field_->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return AppendInteger(Int32(), out);
      case FieldDescriptor::CPPTYPE_INT64:
        return AppendInteger(Int64(), out);
      case FieldDescriptor::CPPTYPE_UINT32:
        return AppendInteger(Uint32(), out);
      case FieldDescriptor::CPPTYPE_UINT64:
        return AppendInteger(Uint64(), out);
      default:
        CHECK(false);
    }
  }
  int32_t Int32() const {
    return at_ == kSingular ? reflection_.GetInt32(message_, field_)
                            : reflection_.GetRepeatedInt32(message_, field_, at_);
  }
  int64_t Int64() const {
    return at_ == kSingular ? reflection_.GetInt64(message_, field_)
                            : reflection_.GetRepeatedInt64(message_, field_, at_);
  }
  uint32_t Uint32() const {
    return at_ == kSingular ? reflection_.GetUInt32(message_, field_)
                            : reflection_.GetRepeatedUInt32(message_, field_, at_);
  }
  uint64_t Uint64() const {
    return at_ == kSingular ? reflection_.GetUInt64(message_, field_)
                            : reflection_.GetRepeatedUInt64(message_, field_, at_);
  }
  bool Bool() const {
    return at_ == kSingular ? reflection_.GetBool(message_, field_)
                            : reflection_.GetRepeatedBool(message_, field_, at_);
  }
  const std::string& Text(std::string* scratch) const {
    return at_ == kSingular
               ? reflection_.GetStringReference(message_, field_, scratch)
               : reflection_.GetRepeatedStringReference(message_, field_, at_, scratch);
  }
  const EnumValueDescriptor& Enum() const {
    return at_ == kSingular ? *reflection_.GetEnum(message_, field_)
                            : *reflection_.GetRepeatedEnum(message_, field_, at_);
  }
  const Message& Child() const {
    return at_ == kSingular ? reflection_.GetMessage(message_, field_)
                            : reflection_.GetRepeatedMessage(message_, field_, at_);
  }

 private:
  const Message& message_;
  const FieldDescriptor* field_;
  const Reflection& reflection_;
  int at_;
};

void AppendObject(const Message& message, std::string* out);

void AppendValue(const Message& message, const FieldDescriptor* field, int at, std::string* out) {
  const Value value(message, field, at);
  std::string scratch;
  switch (FormOf(*field)) {
    case JsonForm::kNumber:
      return value.AppendNumber(out);
    case JsonForm::kBool:
      out->append(value.Bool() ? "true" : "false");
      return;
    case JsonForm::kString:
      return AppendJsonString(value.Text(&scratch), out);
    case JsonForm::kHexBytes:
      out->push_back('"');
      out->append(HexOf(AsBytes(value.Text(&scratch))));
      out->push_back('"');
      return;
    case JsonForm::kHex32:
      return AppendHex(value.Uint32(), 8, out);
    case JsonForm::kHex64:
      return AppendHex(value.Uint64(), 16, out);
    case JsonForm::kTime:
      return AppendJsonString(FormatTime(value.Int64()), out);
    case JsonForm::kEnum:
      return AppendJsonString(EnumText(value.Enum()), out);
    case JsonForm::kObject:
      return AppendObject(value.Child(), out);
    case JsonForm::kMap:
      CHECK(false);
  }
}

// Entries in order of their keys, whatever order the hash map holds them in.
void AppendMap(const Message& message, const FieldDescriptor* field, std::string* out) {
  const Reflection& reflection = *message.GetReflection();
  const FieldDescriptor* key = field->message_type()->map_key();
  CHECK(key->type() == FieldDescriptor::TYPE_STRING);
  std::vector<std::pair<std::string, const Message*>> entries;
  for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
    const Message& entry = reflection.GetRepeatedMessage(message, field, i);
    entries.emplace_back(entry.GetReflection()->GetString(entry, key), &entry);
  }
  std::sort(entries.begin(), entries.end());
  out->push_back('{');
  for (size_t i = 0; i < entries.size(); ++i) {
    if (i != 0) out->push_back(',');
    AppendJsonString(entries[i].first, out);
    out->push_back(':');
    AppendValue(*entries[i].second, field->message_type()->map_value(), kSingular, out);
  }
  out->push_back('}');
}

// "name":value for every field, separated by commas. A record's Meta stands at the record's level.
void AppendFields(const Message& message, bool flatten_meta, std::string* out) {
  const Descriptor* type = message.GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (i != 0) out->push_back(',');
    if (flatten_meta && field->message_type() == v1::Meta::descriptor()) {
      AppendFields(MetaOf(message), false, out);
      continue;
    }
    out->push_back('"');
    out->append(field->name());
    out->append("\":");
    if (FormOf(*field) == JsonForm::kMap) {
      AppendMap(message, field, out);
    } else if (field->is_repeated()) {
      out->push_back('[');
      const int count = message.GetReflection()->FieldSize(message, field);
      for (int at = 0; at < count; ++at) {
        if (at != 0) out->push_back(',');
        AppendValue(message, field, at, out);
      }
      out->push_back(']');
    } else {
      AppendValue(message, field, kSingular, out);
    }
  }
}

void AppendObject(const Message& message, std::string* out) {
  out->push_back('{');
  AppendFields(message, false, out);
  out->push_back('}');
}

bool IsTime(const FieldDescriptor& field) {
  if (field.type() != FieldDescriptor::TYPE_INT64) return false;
  const std::string& name = field.name();
  return name.ends_with("_time") || name == "first_seen" || name == "last_seen" ||
         name == "expires";
}

}  // namespace

JsonForm FormOf(const FieldDescriptor& field) {
  if (field.is_map()) return JsonForm::kMap;
  if (IsTime(field)) return JsonForm::kTime;
  switch (field.type()) {
    case FieldDescriptor::TYPE_BOOL:
      return JsonForm::kBool;
    case FieldDescriptor::TYPE_STRING:
      return JsonForm::kString;
    case FieldDescriptor::TYPE_BYTES:
      return JsonForm::kHexBytes;
    case FieldDescriptor::TYPE_FIXED32:
      return JsonForm::kHex32;
    case FieldDescriptor::TYPE_FIXED64:
      return JsonForm::kHex64;
    case FieldDescriptor::TYPE_ENUM:
      return JsonForm::kEnum;
    case FieldDescriptor::TYPE_MESSAGE:
      return JsonForm::kObject;
    case FieldDescriptor::TYPE_FLOAT:
    case FieldDescriptor::TYPE_DOUBLE:
    case FieldDescriptor::TYPE_GROUP:
      CHECK(false);
      return JsonForm::kNumber;
    default:
      return JsonForm::kNumber;
  }
}

std::string EnumText(const EnumValueDescriptor& value) {
  std::string prefix;  // CampaignState -> campaign_state_
  for (const char c : value.type()->name()) {
    const bool upper = c >= 'A' && c <= 'Z';
    if (upper && !prefix.empty()) prefix.push_back('_');
    prefix.push_back(upper ? static_cast<char>(c + 32) : c);
  }
  prefix.push_back('_');
  std::string text = value.name();
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

void AppendRecord(const Message& record, std::string* out) {
  out->push_back('{');
  AppendFields(record, true, out);
  out->push_back('}');
}

void AppendLine(const Event& event, std::string* out) {
  if (event.message != nullptr) {
    AppendRecord(*event.message, out);
  } else {
    out->append("{\"event_id\":");
    AppendJsonString(event.tombstone_id, out);
    out->append(",\"key\":");
    AppendJsonString(event.key, out);
    out->append(",\"tombstone\":true}");
  }
  out->push_back('\n');
}

void AppendJsonString(std::string_view text, std::string* out) {
  out->push_back('"');
  while (!text.empty()) {
    size_t length = 0;  // of the run that is copied as it is
    while (length < text.size() && IsPlain(text[length])) ++length;
    if (length == 0)
      length = static_cast<unsigned char>(text.front()) < 0x80 ? 0 : Utf8SequenceLength(text);
    if (length != 0) {
      out->append(text.substr(0, length));
      text.remove_prefix(length);
      continue;
    }
    const char c = text.front();
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(c);
    } else if (c == '\n') {
      out->append("\\n");
    } else if (c == '\t') {
      out->append("\\t");
    } else if (c == '\r') {
      out->append("\\r");
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out->append("\\u00");
      out->push_back(kHexDigits[c >> 4]);
      out->push_back(kHexDigits[c & 15]);
    } else {
      out->append("\xef\xbf\xbd");  // a byte that is no UTF-8
    }
    text.remove_prefix(1);
  }
  out->push_back('"');
}

}  // namespace stillwatch::pipeline
