#include "pipeline/sink/topics_doc.h"

#include <fstream>
#include <set>
#include <sstream>
#include <vector>

#include <google/protobuf/text_format.h>

#include "pipeline/sink/json_writer.h"
#include "pipeline/sink/topic_records.h"

namespace stillwatch::pipeline {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::SourceLocation;

std::string OneLine(std::string text) {
  for (char& c : text) {
    if (c == '\n') c = ' ';
  }
  const size_t first = text.find_first_not_of(' ');
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

// What a value looks like in NDJSON.
std::string FormText(const FieldDescriptor& field) {
  std::string form;
  switch (FormOf(field)) {
    case JsonForm::kNumber:
      form = "number";
      break;
    case JsonForm::kBool:
      form = "true, false";
      break;
    case JsonForm::kString:
      form = "string";
      break;
    case JsonForm::kHexBytes:
      form = "hex string";
      break;
    case JsonForm::kHex32:
      form = "8 hex digits";
      break;
    case JsonForm::kHex64:
      form = "16 hex digits";
      break;
    case JsonForm::kTime:
      form = "time";
      break;
    case JsonForm::kEnum:
      form = "one of " + field.enum_type()->name();
      break;
    case JsonForm::kObject:
      form = "object";
      break;
    case JsonForm::kMap:
      return "object: name to number";
  }
  return field.is_repeated() ? "array of " + form : form;
}

class Writer {
 public:
  explicit Writer(const TopicsDocInput& input) : input_(input) {
    for (const auto& file : input.descriptors.file()) pool_.BuildFile(file);
  }

  Result<std::string> Section(const std::string& name) {
    out_.clear();
    missing_.clear();
    if (name == "meta") {
      FieldTable(*Find("Meta"));
    } else if (name == "enums") {
      Enums();
    } else if (name == "settings") {
      Settings();
    } else {
      size_t i = 0;
      while (i < kTopics && NameOf(TopicAt(i)) != name) ++i;
      if (i == kTopics) return Error{"docs/topics.md: nothing is generated for '" + name + "'"};
      if (Status status = TopicSection(TopicAt(i)); !status.ok()) return Error{status.message()};
    }
    if (!missing_.empty())
      return Error{"stillwatch.proto: " + missing_ + " has no comment; say what it means"};
    return out_;
  }

 private:
  const Descriptor* Find(const std::string& name) const {
    return pool_.FindMessageTypeByName("stillwatch.v1." + name);
  }

  std::string Meaning(const FieldDescriptor& field) {
    SourceLocation location;
    field.GetSourceLocation(&location);
    std::string text = OneLine(location.leading_comments + location.trailing_comments);
    if (text.empty()) missing_ = field.full_name();
    return text;
  }

  void Row(const std::string& path, const FieldDescriptor& field, const std::string& meaning) {
    out_ += "| `" + path + "` | " + FormText(field) + " | " + meaning + " |\n";
  }

  void Rows(const Descriptor& type, const std::string& path) {
    for (int i = 0; i < type.field_count(); ++i) {
      const FieldDescriptor& field = *type.field(i);
      if (field.name() == "meta") continue;  // said once for all
      const std::string name = path + field.name();
      Row(name + (field.is_repeated() && !field.is_map() ? "[]" : ""), field, Meaning(field));
      if (FormOf(field) == JsonForm::kObject) {
        Rows(*field.message_type(), name + (field.is_repeated() ? "[]." : "."));
      }
    }
  }

  void FieldTable(const Descriptor& type) {
    out_ += "| field | in NDJSON | meaning |\n|---|---|---|\n";
    Rows(type, "");
  }

  void Enums() {
    std::set<std::string> seen;
    out_ += "| enum | values in NDJSON |\n|---|---|\n";
    const auto* file = pool_.FindFileByName("pipeline/proto/stillwatch.proto");
    for (int i = 0; i < file->enum_type_count(); ++i) {
      const EnumDescriptor& type = *file->enum_type(i);
      out_ += "| " + type.name() + " |";
      for (int v = 0; v < type.value_count(); ++v) out_ += " `" + EnumText(*type.value(v)) + "`";
      out_ += " |\n";
    }
  }

  void Settings() {
    out_ +=
        "| topic | key | partitions | cleanup.policy | retention | null value withdraws the key |\n"
        "|---|---|---|---|---|---|\n";
    for (size_t i = 0; i < kTopics; ++i) {
      const TopicFacts& facts = FactsOf(TopicAt(i));
      const int64_t days = facts.retention_ms / (24LL * 3600 * 1000);
      out_ += "| `stillwatch." + std::string(NameOf(facts.topic)) + "` | " +
              std::string(facts.key) + " | " + std::to_string(facts.partitions) + " | " +
              std::string(facts.cleanup_policy) + " | " +
              (facts.retention_ms < 0 ? "newest of each key"
                                      : std::to_string(days) + (days == 1 ? " day" : " days")) +
              " | " + (facts.tombstones ? "yes" : "no") + " |\n";
    }
  }

  Status TopicSection(Topic topic) {
    const TopicFacts& facts = FactsOf(topic);
    const std::string type = RecordOf(topic)->name();
    out_ += std::string(facts.purpose) + "\n\nRecord `stillwatch.v1." + type +
            "`, key: " + std::string(facts.key) + ". Besides the fields of every record:\n\n";
    FieldTable(*Find(type));
    const auto text = input_.examples.find(topic);
    const auto record = NewRecord(topic);
    if (text == input_.examples.end() ||
        !google::protobuf::TextFormat::ParseFromString(text->second, record.get())) {
      return Error{"pipeline/proto/examples/" + std::string(NameOf(topic)) + ".textproto: not a " +
                   type};
    }
    out_ += "\nAn example line:\n\n```json\n";
    AppendRecord(*record, &out_);
    out_ += "\n```\n";
    return {};
  }

  const TopicsDocInput& input_;
  google::protobuf::DescriptorPool pool_;
  std::string out_;
  std::string missing_;
};

Result<std::string> ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{path + ": cannot be read"};
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

constexpr std::string_view kBegin = "<!-- generated: ";
constexpr std::string_view kBeginEnd = " -->\n";
constexpr std::string_view kEnd = "<!-- end -->\n";

}  // namespace

Result<TopicsDocInput> ReadTopicsDocInput(const std::string& descriptor_file,
                                          const std::string& examples_dir) {
  TopicsDocInput input;
  auto descriptors = ReadWhole(descriptor_file);
  if (!descriptors.ok()) return descriptors.error();
  if (!input.descriptors.ParseFromString(descriptors.value())) {
    return Error{descriptor_file + ": not a descriptor set"};
  }
  for (size_t i = 0; i < kTopics; ++i) {
    auto text = ReadWhole(examples_dir + "/" + std::string(NameOf(TopicAt(i))) + ".textproto");
    if (!text.ok()) return text.error();
    input.examples[TopicAt(i)] = std::move(text).value();
  }
  return input;
}

Result<std::string> RegenerateTopicsDoc(const std::string& document, const TopicsDocInput& input) {
  Writer writer(input);
  std::set<std::string> wanted = {"meta", "enums", "settings"};
  for (size_t i = 0; i < kTopics; ++i) wanted.insert(std::string(NameOf(TopicAt(i))));
  std::string out;
  size_t at = 0;
  for (;;) {
    const size_t begin = document.find(kBegin, at);
    if (begin == std::string::npos) break;
    const size_t name_at = begin + kBegin.size();
    const size_t name_end = document.find(kBeginEnd, name_at);
    const size_t end = document.find(kEnd, name_at);
    if (name_end == std::string::npos || end == std::string::npos || end < name_end) {
      return Error{"docs/topics.md: a generated part has no '<!-- end -->' line"};
    }
    const std::string name = document.substr(name_at, name_end - name_at);
    auto section = writer.Section(name);
    if (!section.ok()) return section;
    wanted.erase(name);
    out += document.substr(at, name_end + kBeginEnd.size() - at) + section.value();
    at = end;
  }
  if (!wanted.empty()) return Error{"docs/topics.md: no place for '" + *wanted.begin() + "'"};
  return out + document.substr(at);
}

}  // namespace stillwatch::pipeline
