#include "pipeline/sink/json_writer.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "base/time_format.h"
#include "pipeline/sink/topic_records.h"
#include "tests/pipeline/sink/random_record.h"

namespace stillwatch::pipeline {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using Json = nlohmann::ordered_json;

std::string LineOf(const Message& record) {
  std::string line;
  AppendRecord(record, &line);
  return line;
}

TEST(JsonWriterTest, GoldenAudit) {
  v1::Audit audit;
  audit.mutable_meta()->set_event_id("fra-1-1767225600-17");
  audit.mutable_meta()->set_event_time(1'767'225'600'000'000'001);
  audit.mutable_meta()->set_box("fra-1");
  audit.mutable_meta()->set_config_generation(18'446'744'073'709'551'615u);
  audit.mutable_meta()->set_schema(1);
  audit.set_actor("stillctl uid 0");
  audit.set_action("reload");
  audit.set_detail("a \"quoted\" line\n\ttab \\ back \x01\x7f é 語 \xff end");
  EXPECT_EQ(
      LineOf(audit),
      "{\"event_id\":\"fra-1-1767225600-17\",\"event_time\":\"2026-01-01T00:00:00.000000001Z\","
      "\"box\":\"fra-1\",\"config_generation\":18446744073709551615,\"schema\":1,"
      "\"actor\":\"stillctl uid 0\",\"action\":\"reload\",\"subject\":\"\","
      "\"detail\":\"a \\\"quoted\\\" line\\n\\ttab \\\\ back \\u0001\x7f é 語 \xef\xbf\xbd end\"}");
}

TEST(JsonWriterTest, GoldenEdge) {
  v1::Edge edge;
  edge.set_account_a("a");
  edge.set_account_b("b");
  edge.set_layer(1);
  edge.set_family(v1::FAMILY_CONTENT);
  edge.set_weight(-300);
  edge.set_count(9);
  edge.add_cores(0x0123456789abcdefu);
  edge.add_cores(1);
  edge.set_last_seen(-1);
  edge.mutable_epoch()->set_salt_id(4'294'967'295u);
  EXPECT_EQ(
      LineOf(edge),
      "{\"event_id\":\"\",\"event_time\":\"1970-01-01T00:00:00.000000000Z\",\"box\":\"\","
      "\"config_generation\":0,\"schema\":0,\"account_a\":\"a\",\"account_b\":\"b\",\"layer\":1,"
      "\"family\":\"content\",\"weight\":-300,\"count\":9,\"shared_cores\":0,"
      "\"cores\":[\"0123456789abcdef\",\"0000000000000001\"],"
      "\"first_seen\":\"1970-01-01T00:00:00.000000000Z\",\"last_seen\":\"1969-12-31T23:59:59."
      "999999999Z\","
      "\"epoch\":{\"sketch\":0,\"salt_id\":4294967295,\"rarity_id\":0,\"table_id\":0}}");
}

TEST(JsonWriterTest, GoldenAdviceAndSketchAndStatus) {
  v1::EnforcementAdvice advice;
  advice.set_account("a");
  advice.mutable_advice()->set_action(v1::ACTION_STEP_UP);
  advice.mutable_advice()->set_needs_human(true);
  EXPECT_NE(
      LineOf(advice).find(
          "\"advice\":{\"action\":\"step_up\",\"expires\":\"1970-01-01T00:00:00.000000000Z\","
          "\"needs_human\":true,\"reversible\":false,\"reason_code\":\"\",\"shared_budget\":{\"group\":\"\","
          "\"exchanges_24h\":0,\"output_tokens_24h\":0}},\"probability\":0,"
          "\"evidence_time\":\"1970-01-01T00:00:00.000000000Z\",\"decided_time\":\"1970-01-01T00:00:00.000000000Z\"}"),
      std::string::npos)
      << LineOf(advice);
  v1::RequestSketch sketch;
  sketch.add_bands(0xbeef);
  sketch.set_oph(std::string("\x00\xff\x10", 3));
  EXPECT_NE(LineOf(sketch).find("\"bands\":[\"0000beef\"],\"oph\":\"00ff10\",\"simhash\":\"\""),
            std::string::npos)
      << LineOf(sketch);
  v1::BoxStatus status;
  (*status.mutable_counters())["z"] = 1;
  (*status.mutable_counters())["a.b"] = 2;
  (*status.mutable_counters())["m"] = 0;
  EXPECT_NE(LineOf(status).find("\"counters\":{\"a.b\":2,\"m\":0,\"z\":1}"), std::string::npos)
      << LineOf(status);
}

TEST(JsonWriterTest, ATombstoneIsALineOfItsOwn) {
  std::string line;
  AppendLine(Event{Topic::kEnforcementAdvice, "acct\"1", nullptr, "box-1-2"}, &line);
  EXPECT_EQ(line, "{\"event_id\":\"box-1-2\",\"key\":\"acct\\\"1\",\"tombstone\":true}\n");
}

TEST(JsonWriterTest, EnumsOfEveryValueLoseTheirPrefix) {
  for (const auto* type : {v1::CampaignState_descriptor(), v1::Action_descriptor(),
                           v1::Family_descriptor(), v1::CheckResult_descriptor()}) {
    EXPECT_EQ(EnumText(*type->value(0)), "unspecified");
    for (int i = 0; i < type->value_count(); ++i) {
      for (const char c : EnumText(*type->value(i)))
        EXPECT_TRUE((c >= 'a' && c <= 'z') || c == '_');
    }
  }
  EXPECT_EQ(EnumText(*v1::CheckResult_descriptor()->value(3)), "no_data");
}

// All fields of all types, also where nothing is set; and the proto holds nothing that the rules
// exclude.
void ExpectAllFields(const Json& json, const Descriptor* type, bool flatten) {
  std::set<std::string> expected;
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    EXPECT_NE(field->cpp_type(), FieldDescriptor::CPPTYPE_DOUBLE) << field->full_name();
    EXPECT_NE(field->cpp_type(), FieldDescriptor::CPPTYPE_FLOAT) << field->full_name();
    if (flatten && field->name() == "meta") {
      for (int m = 0; m < field->message_type()->field_count(); ++m) {
        expected.insert(field->message_type()->field(m)->name());
      }
      continue;
    }
    expected.insert(field->name());
    ASSERT_TRUE(json.contains(field->name())) << field->full_name();
    const Json& value = json.at(field->name());
    EXPECT_FALSE(value.is_null());
    EXPECT_EQ(value.is_array(), field->is_repeated() && !field->is_map()) << field->full_name();
    if (field->message_type() != nullptr && !field->is_map()) {
      if (!field->is_repeated()) ExpectAllFields(value, field->message_type(), false);
      for (const Json& element : field->is_repeated() ? value : Json::array()) {
        ExpectAllFields(element, field->message_type(), false);
      }
    }
  }
  std::set<std::string> found;
  for (const auto& [name, ignored] : json.items()) found.insert(name);
  EXPECT_EQ(found, expected) << type->full_name();
}

TEST(JsonWriterTest, EveryFieldIsAlwaysThere) {
  for (size_t i = 0; i < kTopics; ++i) {
    const auto record = NewRecord(TopicAt(i));
    ExpectAllFields(Json::parse(LineOf(*record)), record->GetDescriptor(), true);
    RandomRecord(static_cast<uint32_t>(i)).Fill(record.get());
    ExpectAllFields(Json::parse(LineOf(*record)), record->GetDescriptor(), true);
  }
}

// No record type may contain itself: the writer's depth is bounded by the types.
TEST(JsonWriterTest, RecordTypesDoNotRecurse) {
  const std::function<void(const Descriptor*, std::set<const Descriptor*>)> walk =
      [&](const Descriptor* type, std::set<const Descriptor*> above) {
        ASSERT_TRUE(above.insert(type).second) << type->full_name();
        for (int i = 0; i < type->field_count(); ++i) {
          if (type->field(i)->message_type() != nullptr)
            walk(type->field(i)->message_type(), above);
        }
      };
  for (size_t i = 0; i < kTopics; ++i) walk(RecordOf(TopicAt(i)), {});
}

int HexDigit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(HexDigit(hex[i]) * 16 + HexDigit(hex[i + 1])));
  }
  return bytes;
}

std::string Base64(const std::string& bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t word = 0;
    for (size_t k = 0; k < 3; ++k)
      word = word << 8 | (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k)
      out.push_back(i + k > bytes.size() ? '=' : kDigits[word >> (18 - 6 * k) & 63]);
  }
  return out;
}

// Our JSON turned back into protobuf's own JSON mapping.
Json ToProtobufJson(const Json& ours, const Descriptor* type, bool flatten);

Json ValueToProtobuf(const Json& value, const FieldDescriptor* field) {
  const std::string name = field->name();
  const bool time = field->type() == FieldDescriptor::TYPE_INT64 &&
                    (name == "first_seen" || name == "last_seen" || name == "expires" ||
                     (name.size() > 5 && name.substr(name.size() - 5) == "_time"));
  switch (field->type()) {
    case FieldDescriptor::TYPE_INT64:
      return std::to_string(time ? ParseTime(value.get<std::string>()).value()
                                 : value.get<int64_t>());
    case FieldDescriptor::TYPE_UINT64:
      return std::to_string(value.get<uint64_t>());
    case FieldDescriptor::TYPE_FIXED64:
      return std::to_string(std::stoull(value.get<std::string>(), nullptr, 16));
    case FieldDescriptor::TYPE_FIXED32:
      return std::stoull(value.get<std::string>(), nullptr, 16);
    case FieldDescriptor::TYPE_BYTES:
      return Base64(FromHex(value.get<std::string>()));
    case FieldDescriptor::TYPE_ENUM: {
      for (int i = 0; i < field->enum_type()->value_count(); ++i) {
        std::string full = field->enum_type()->value(i)->name();
        for (char& c : full) c = static_cast<char>(std::tolower(c));
        if (full.ends_with("_" + value.get<std::string>()))
          return field->enum_type()->value(i)->name();
      }
      return "no such value";
    }
    case FieldDescriptor::TYPE_MESSAGE:
      return ToProtobufJson(value, field->message_type(), false);
    default:
      return value;
  }
}

Json ToProtobufJson(const Json& ours, const Descriptor* type, bool flatten) {
  Json out = Json::object();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (flatten && field->name() == "meta") {
      out["meta"] = ToProtobufJson(ours, field->message_type(), false);
    } else if (field->is_map()) {
      Json map = Json::object();
      for (const auto& [key, value] : ours.at(field->name()).items()) {
        map[key] = ValueToProtobuf(value, field->message_type()->map_value());
      }
      out[field->name()] = map;
    } else if (field->is_repeated()) {
      Json array = Json::array();
      for (const Json& value : ours.at(field->name()))
        array.push_back(ValueToProtobuf(value, field));
      out[field->name()] = array;
    } else {
      out[field->name()] = ValueToProtobuf(ours.at(field->name()), field);
    }
  }
  return out;
}

void SetChildren(Message* message) {
  const auto* reflection = message->GetReflection();
  for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message->GetDescriptor()->field(i);
    if (field->message_type() == nullptr || field->is_map()) continue;
    if (!field->is_repeated()) SetChildren(reflection->MutableMessage(message, field));
    for (int n = 0; field->is_repeated() && n < reflection->FieldSize(*message, field); ++n) {
      SetChildren(reflection->MutableRepeatedMessage(message, field, n));
    }
  }
}

// Random records: our line, turned back into protobuf's mapping and read by protobuf itself, is the
// same record.
TEST(JsonWriterTest, NothingIsLostOrChangedAgainstProtobufsOwnReader) {
  for (uint32_t seed = 1; seed <= 200; ++seed) {
    for (size_t i = 0; i < kTopics; ++i) {
      const auto record = NewRecord(TopicAt(i));
      RandomRecord(seed * 8 + static_cast<uint32_t>(i)).Fill(record.get());
      const std::string line = LineOf(*record);
      ASSERT_EQ(line.find('\n'), std::string::npos);
      const std::string json =
          ToProtobufJson(Json::parse(line), record->GetDescriptor(), true).dump();
      const auto back = NewRecord(TopicAt(i));
      const auto status = google::protobuf::util::JsonStringToMessage(json, back.get());
      ASSERT_TRUE(status.ok()) << status.ToString() << "\n" << json;
      // Children that were not set come back set and empty; set them in the original too.
      const auto whole = NewRecord(TopicAt(i));
      whole->CopyFrom(*record);
      SetChildren(whole.get());
      ASSERT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*whole, *back)) << line;
    }
  }
}

}  // namespace
}  // namespace stillwatch::pipeline
