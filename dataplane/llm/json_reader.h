// Reads one JSON document at a time, lazily, with simdjson's On-Demand parser. For the dialects, on the
// worker's thread. All memory is taken at construction; nothing is allocated later.
//
// A document is copied into the reader's padded buffer, then walked once from front to back. Strings come as
// views into that buffer or into a second one of the same size (those with escapes): valid until the next
// Begin. Each value may be read once. What is not asked for is skipped by its brackets only, so an error
// inside a skipped value goes unseen; all else that is wrong makes failed() true and ends the walk, keeping
// what was read; Finish says whether all was well. Text is lenient where servers are: a lone surrogate becomes U+FFFD.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/bytes.h"

namespace stillwatch::dataplane {

using JsonValue = simdjson::ondemand::value;
using JsonObject = simdjson::ondemand::object;
using JsonArray = simdjson::ondemand::array;
using JsonType = simdjson::ondemand::json_type;

class JsonReader {
 public:
  static constexpr uint32_t kDepthMax = 1024;

  explicit JsonReader(size_t bytes_max);

  // Where to put the document: room for bytes_max bytes.
  uint8_t* buffer() { return buffer_.get(); }
  size_t bytes_max() const { return bytes_max_; }

  // Starts on the first `size` bytes of buffer(). `cut`: the document's end is missing, read what is there.
  // False when not even its root can be read; failed() is then true.
  bool Begin(size_t size, bool cut);
  bool Begin(std::string_view document);  // copies; false also when it is longer than bytes_max

  JsonType RootType() { return root_type_; }
  // on_field(std::string_view key, JsonValue& value)
  template <typename OnField>
  void RootFields(OnField&& on_field);
  // on_item(JsonValue& value)
  template <typename OnItem>
  void RootItems(OnItem&& on_item);

  // Nothing happens when the value is no object, or no array.
  template <typename OnField>
  void Fields(JsonValue& value, OnField&& on_field);
  template <typename OnField>
  void Fields(JsonObject& object, OnField&& on_field);
  template <typename OnItem>
  void Items(JsonValue& value, OnItem&& on_item);

  // False, and *out untouched, when the value has another type.
  bool String(JsonValue& value, std::string_view* out);
  bool Bool(JsonValue& value, bool* out);
  bool Null(JsonValue& value);
  bool Uint(JsonValue& value, uint64_t* out);   // also of a float or a negative, clamped
  bool Milli(JsonValue& value, int32_t* out);   // a number times 1,000, rounded, clamped
  // The JSON text of an object or array.
  bool Raw(JsonValue& value, std::string_view* out);
  JsonType TypeOf(JsonValue& value);

  // After the walk: also says when something follows the root value.
  bool Finish();
  bool failed() const { return failed_; }
  bool nested_too_deep() const { return nested_too_deep_; }

  // Overwrites what the last documents left behind.
  void Wipe();

 private:
  bool Check(simdjson::error_code error) {
    if (error == simdjson::SUCCESS) return true;
    if (error == simdjson::NUMBER_ERROR) {
      flawed_ = true;  // only this value is lost
    } else if (error != simdjson::INCORRECT_TYPE) {
      failed_ = true;
    }
    return false;
  }
  template <typename OnItem>
  void WalkItems(JsonArray& array, OnItem&& on_item);
  bool Double(JsonValue& value, double* out);
  std::string_view KeyOf(simdjson::ondemand::field& field);
  std::string_view Unescape(const char* raw);
  void RepairUtf8(size_t size);
  size_t Mend(size_t size);

  const size_t bytes_max_;
  std::unique_ptr<uint8_t[]> buffer_, text_;
  size_t size_wiped_ = 0, text_wiped_ = 0;  // high-water marks since Wipe
  uint8_t* text_end_ = nullptr;  // of what Unescape wrote
  simdjson::ondemand::parser parser_;
  simdjson::ondemand::document document_;
  JsonType root_type_ = JsonType::null;
  bool failed_ = false;   // the walk has ended
  bool flawed_ = false;   // mended or repaired: readable, but not what a strict reader takes
  bool nested_too_deep_ = false;
};

template <typename OnField>
void JsonReader::RootFields(OnField&& on_field) {
  JsonObject object;
  if (failed_) return;
  if (!Check(document_.get_object().get(object))) {
    failed_ = true;
    return;
  }
  Fields(object, on_field);
}

template <typename OnItem>
void JsonReader::RootItems(OnItem&& on_item) {
  JsonArray array;
  if (failed_) return;
  if (!Check(document_.get_array().get(array))) {
    failed_ = true;
    return;
  }
  WalkItems(array, on_item);
}

template <typename OnField>
void JsonReader::Fields(JsonValue& value, OnField&& on_field) {
  JsonObject object;
  if (Check(value.get_object().get(object))) Fields(object, on_field);
}

template <typename OnField>
void JsonReader::Fields(JsonObject& object, OnField&& on_field) {
  for (auto result : object) {
    if (!Check(result.error())) {
      failed_ = true;
      return;
    }
    simdjson::ondemand::field& field = result.value_unsafe();
    const std::string_view key = KeyOf(field);
    if (failed_) return;
    on_field(key, field.value());
    if (failed_) return;  // the iterators are no longer usable
  }
}

template <typename OnItem>
void JsonReader::Items(JsonValue& value, OnItem&& on_item) {
  JsonArray array;
  if (Check(value.get_array().get(array))) WalkItems(array, on_item);
}

template <typename OnItem>
void JsonReader::WalkItems(JsonArray& array, OnItem&& on_item) {
  for (auto result : array) {
    if (!Check(result.error())) {
      failed_ = true;
      return;
    }
    on_item(result.value_unsafe());
    if (failed_) return;
  }
}

}  // namespace stillwatch::dataplane
