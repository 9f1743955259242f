#include "dataplane/llm/json_reader.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/check.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace stillwatch::dataplane {
namespace {

constexpr size_t kPadding = simdjson::SIMDJSON_PADDING;
constexpr size_t kMendRoom = 8;

// One bit for each of 32 bytes that is a quote or a backslash.
inline uint32_t SpecialMask(const char* at) {
#if defined(__AVX2__)
  const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
  return static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_or_si256(
      _mm256_cmpeq_epi8(x, _mm256_set1_epi8('"')), _mm256_cmpeq_epi8(x, _mm256_set1_epi8('\\')))));
#else
  uint32_t mask = 0;
  for (uint32_t i = 0; i < 32; ++i) mask |= static_cast<uint32_t>(at[i] == '"' || at[i] == '\\') << i;
  return mask;
#endif
}

// '[' and '{', and ']' and '}', differ only in one bit.
struct Brackets {
  uint32_t open, close;
};
Brackets CountBrackets(const uint8_t* at, size_t size) {
  Brackets count{0, 0};
  size_t i = 0;
#if defined(__AVX2__)
  for (; i + 32 <= size; i += 32) {
    const __m256i x = _mm256_or_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + i)),
                                      _mm256_set1_epi8(0x20));
    const auto ones = [&](char c) {
      return static_cast<uint32_t>(std::popcount(static_cast<uint32_t>(
          _mm256_movemask_epi8(_mm256_cmpeq_epi8(x, _mm256_set1_epi8(c))))));
    };
    count.open += ones('{');
    count.close += ones('}');
  }
#endif
  for (; i < size; ++i) {
    count.open += (at[i] | 0x20) == '{';
    count.close += (at[i] | 0x20) == '}';
  }
  return count;
}

bool DeeperThan(const uint8_t* text, size_t size, int64_t limit) {
  // An upper bound first, blind to strings; only what passes it is read byte by byte.
  int64_t depth = 0, bound = 0;
  for (size_t at = 0; at < size; at += 1024) {
    const Brackets count = CountBrackets(text + at, std::min<size_t>(1024, size - at));
    bound = std::max(bound, depth + count.open);
    depth += static_cast<int64_t>(count.open) - count.close;
  }
  if (bound <= limit) return false;
  depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < size; ++i) {
    const uint8_t c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if ((c | 0x20) == '{') {
      if (++depth > limit) return true;
    } else if ((c | 0x20) == '}') {
      --depth;
    }
  }
  return false;
}

// Length of the well-formed UTF-8 sequence at `at`, 0 when there is none.
size_t Utf8Length(const uint8_t* at, size_t left) {
  const auto tail = [&](size_t i, uint8_t low = 0x80, uint8_t high = 0xBF) {
    return i < left && at[i] >= low && at[i] <= high;
  };
  const uint8_t c = at[0];
  if (c < 0x80) return 1;
  if (c >= 0xC2 && c <= 0xDF) return tail(1) ? 2 : 0;
  if (c >= 0xE0 && c <= 0xEF) {
    return tail(1, c == 0xE0 ? 0xA0 : 0x80, c == 0xED ? 0x9F : 0xBF) && tail(2) ? 3 : 0;
  }
  if (c >= 0xF0 && c <= 0xF4) {
    return tail(1, c == 0xF0 ? 0x90 : 0x80, c == 0xF4 ? 0x8F : 0xBF) && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

uint8_t* PutUtf8(uint32_t c, uint8_t* out) {
  if (c < 0x80) {
    *out++ = static_cast<uint8_t>(c);
  } else if (c < 0x800) {
    *out++ = static_cast<uint8_t>(0xC0 | c >> 6);
    *out++ = static_cast<uint8_t>(0x80 | (c & 63));
  } else if (c < 0x10000) {
    *out++ = static_cast<uint8_t>(0xE0 | c >> 12);
    *out++ = static_cast<uint8_t>(0x80 | (c >> 6 & 63));
    *out++ = static_cast<uint8_t>(0x80 | (c & 63));
  } else {
    *out++ = static_cast<uint8_t>(0xF0 | c >> 18);
    *out++ = static_cast<uint8_t>(0x80 | (c >> 12 & 63));
    *out++ = static_cast<uint8_t>(0x80 | (c >> 6 & 63));
    *out++ = static_cast<uint8_t>(0x80 | (c & 63));
  }
  return out;
}

// Four hex digits; UINT32_MAX when they are not.
uint32_t Hex4(const char* at) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    const char c = at[i];
    uint32_t digit;
    if (c >= '0' && c <= '9') {
      digit = static_cast<uint32_t>(c - '0');
    } else if ((c | 32) >= 'a' && (c | 32) <= 'f') {
      digit = static_cast<uint32_t>((c | 32) - 'a' + 10);
    } else {
      return UINT32_MAX;
    }
    value = value << 4 | digit;
  }
  return value;
}

// The character of a one-letter escape, 0 for none.
char ShortEscape(char c) {
  switch (c) {
    case '"': case '\\': case '/': return c;
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return 0;
  }
}

// Reads the escape at `at` (behind its backslash); returns what follows it. No escape of JSON's makes
// *flawed true.
const char* TakeEscape(const char* at, uint8_t** out, bool* flawed) {
  const char plain = *at == 'u' ? '\0' : ShortEscape(*at);
  if (plain != 0) {
    *out = PutUtf8(static_cast<uint8_t>(plain), *out);
    return at + 1;
  }
  uint32_t code = *at == 'u' ? Hex4(at + 1) : UINT32_MAX;
  if (code == UINT32_MAX) {
    *flawed = true;
    *out = PutUtf8(0xFFFD, *out);
    return at + 1;
  }
  at += 5;
  if (code >= 0xD800 && code < 0xDC00 && at[0] == '\\' && at[1] == 'u') {
    const uint32_t low = Hex4(at + 2);
    if (low >= 0xDC00 && low < 0xE000) {
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
      at += 6;
    }
  }
  if (code >= 0xD800 && code < 0xE000) code = 0xFFFD;
  *out = PutUtf8(code, *out);
  return at;
}

}  // namespace

JsonReader::JsonReader(size_t bytes_max)
    : bytes_max_(bytes_max),
      buffer_(new uint8_t[bytes_max + kMendRoom + kPadding]),
      text_(new uint8_t[bytes_max + kMendRoom + kPadding]),
      text_end_(text_.get()) {
  CHECK(parser_.allocate(bytes_max + kMendRoom, kDepthMax) == simdjson::SUCCESS);
}

bool JsonReader::Begin(std::string_view document) {
  if (document.size() > bytes_max_) {
    failed_ = true;
    return false;
  }
  std::memcpy(buffer_.get(), document.data(), document.size());
  return Begin(document.size(), false);
}

bool JsonReader::Begin(size_t size, bool cut) {
  CHECK(size <= bytes_max_);
  failed_ = flawed_ = nested_too_deep_ = false;
  size_wiped_ = std::max(size_wiped_, size);
  text_wiped_ = std::max(text_wiped_, static_cast<size_t>(text_end_ - text_.get()));
  text_end_ = text_.get();
  root_type_ = JsonType::null;
  if (size > 2 * kDepthMax && DeeperThan(buffer_.get(), size, kDepthMax)) {
    nested_too_deep_ = failed_ = true;
    return false;
  }
  if (cut) {
    size = Mend(size);
    flawed_ = true;
  }
  std::memset(buffer_.get() + size, ' ', kPadding);
  const auto start = [&] {
    return parser_.iterate(reinterpret_cast<const char*>(buffer_.get()), size, size + kPadding)
        .get(document_);
  };
  simdjson::error_code error = start();
  if (error == simdjson::UTF8_ERROR) {
    RepairUtf8(size);
    flawed_ = true;
    error = start();
  }
  if (error == simdjson::UNCLOSED_STRING) {
    size = Mend(size);
    std::memset(buffer_.get() + size, ' ', kPadding);
    flawed_ = true;
    error = start();
  }
  failed_ = error != simdjson::SUCCESS || document_.type().get(root_type_) != simdjson::SUCCESS;
  return !failed_;
}

void JsonReader::RepairUtf8(size_t size) {
  uint8_t* text = buffer_.get();
  for (size_t i = 0; i < size;) {
    const size_t length = Utf8Length(text + i, size - i);
    if (length == 0) text[i] = '?';
    i += std::max<size_t>(length, 1);
  }
}

// Gives a document whose end is missing the brackets that its root needs, so that the front can be read.
size_t JsonReader::Mend(size_t size) {
  uint8_t* text = buffer_.get();
  bool in_string = false;
  size_t escape = 0;  // where the last escape began
  uint8_t root = 0;
  for (size_t i = 0; i < size; ++i) {
    const uint8_t c = text[i];
    if (in_string && c == '\\') {
      escape = i++;
    } else if (c == '"') {
      in_string = !in_string;
    } else if (root == 0 && !in_string && (c == '{' || c == '[')) {
      root = c;
    }
  }
  if (in_string) {
    const size_t escape_bytes = escape + 1 < size && text[escape + 1] == 'u' ? 6 : 2;
    if (escape != 0 && size - escape < escape_bytes) size = escape;
    for (size_t back = 1; back <= 3 && back <= size; ++back) {  // a cut UTF-8 sequence
      const uint8_t c = text[size - back];
      if (c < 0x80) break;
      if (c >= 0xC0) {
        if (Utf8Length(text + size - back, back) != back) size -= back;
        break;
      }
    }
    text[size++] = '"';
  }
  text[size++] = root == '[' ? ']' : '}';
  return size;
}

std::string_view JsonReader::KeyOf(simdjson::ondemand::field& field) {
  return Unescape(field.key().raw());
}

// `raw`: behind the opening quote. The parser has seen that the string is closed.
std::string_view JsonReader::Unescape(const char* raw) {
  const char* at = raw;
  uint32_t special;
  while ((special = SpecialMask(at)) == 0) at += 32;
  at += std::countr_zero(special);
  if (*at == '"') return {raw, static_cast<size_t>(at - raw)};

  uint8_t* const begin = text_end_;
  uint8_t* out = begin;
  const char* run = raw;
  while (true) {
    const size_t length = static_cast<size_t>(at - run);
    // Each string is read once and never grows, so the second buffer cannot run out; if it would, the
    // string ends here.
    if (out + length + kPadding > text_.get() + bytes_max_ + kMendRoom + kPadding) {
      failed_ = true;
      break;
    }
    std::memcpy(out, run, length);
    out += length;
    if (*at == '"') break;
    at = TakeEscape(at + 1, &out, &flawed_);
    run = at;
    while ((special = SpecialMask(at)) == 0) at += 32;
    at += std::countr_zero(special);
  }
  text_end_ = out;
  return {reinterpret_cast<const char*>(begin), static_cast<size_t>(out - begin)};
}

bool JsonReader::String(JsonValue& value, std::string_view* out) {
  simdjson::ondemand::raw_json_string raw;
  if (!Check(value.get_raw_json_string().get(raw))) return false;
  *out = Unescape(raw.raw());
  return true;
}

bool JsonReader::Bool(JsonValue& value, bool* out) {
  if (TypeOf(value) != JsonType::boolean) return false;
  if (Check(value.get_bool().get(*out))) return true;
  flawed_ = true;  // begins like one
  return false;
}

bool JsonReader::Null(JsonValue& value) {
  if (TypeOf(value) != JsonType::null) return false;
  bool null = false;
  if (!Check(value.is_null().get(null)) || !null) flawed_ = true;
  return true;
}

bool JsonReader::Double(JsonValue& value, double* out) {
  if (TypeOf(value) != JsonType::number) return false;
  if (Check(value.get_double().get(*out))) return true;
  flawed_ = true;
  return false;
}

bool JsonReader::Uint(JsonValue& value, uint64_t* out) {
  if (TypeOf(value) != JsonType::number) return false;
  if (value.get_uint64().get(*out) == simdjson::SUCCESS) return true;
  double number;
  if (!Double(value, &number)) return false;
  *out = !(number > 0) ? 0 : number >= 1e18 ? 1'000'000'000'000'000'000 : static_cast<uint64_t>(number);
  return true;
}

bool JsonReader::Milli(JsonValue& value, int32_t* out) {
  double number;
  if (!Double(value, &number)) return false;
  *out = static_cast<int32_t>(std::lround(std::clamp(number, -1e6, 1e6) * 1000));
  return true;
}

bool JsonReader::Raw(JsonValue& value, std::string_view* out) {
  simdjson::simdjson_result<std::string_view> raw;
  switch (TypeOf(value)) {
    case JsonType::object: {
      JsonObject object;
      if (!Check(value.get_object().get(object))) return false;
      raw = object.raw_json();
      break;
    }
    case JsonType::array: {
      JsonArray array;
      if (!Check(value.get_array().get(array))) return false;
      raw = array.raw_json();
      break;
    }
    default: {  // a scalar is not consumed: the walk skips it
      const std::string_view token = value.raw_json_token();
      const size_t end = token.find_last_not_of(" \t\r\n");
      *out = token.substr(0, end + 1);
      return !failed_;
    }
  }
  if (!Check(std::move(raw).get(*out))) return false;
  const size_t end = out->find_last_of("]}");  // it reaches to the next token
  *out = out->substr(0, end + 1);
  return true;
}

JsonType JsonReader::TypeOf(JsonValue& value) {
  JsonType type = JsonType::null;
  Check(value.type().get(type));
  return type;
}

bool JsonReader::Finish() {
  // A walked root leaves the parser behind its last token.
  if (!failed_ && document_.current_location().error() != simdjson::OUT_OF_BOUNDS) flawed_ = true;
  return !failed_ && !flawed_;
}

void JsonReader::Wipe() {
  std::memset(buffer_.get(), 0, std::min(size_wiped_ + kMendRoom + kPadding, bytes_max_ + kMendRoom + kPadding));
  text_wiped_ = std::max(text_wiped_, static_cast<size_t>(text_end_ - text_.get()));
  std::memset(text_.get(), 0, text_wiped_);
  text_end_ = text_.get();
  size_wiped_ = text_wiped_ = 0;
}

}  // namespace stillwatch::dataplane
