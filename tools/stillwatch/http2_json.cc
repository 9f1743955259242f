#include "tools/stillwatch/http2_json.h"

#include "base/endian.h"
#include "tools/stillwatch/json_line.h"

namespace stillwatch {
namespace {

using Type = dataplane::Http2FrameType;

// A flat object, member by member.
class Object {
 public:
  Object& Raw(std::string_view name, std::string_view json) {
    text_ += text_.empty() ? "{" : ",";
    AppendJsonText(name, &text_);
    text_ += ':';
    text_ += json;
    return *this;
  }
  Object& Text(std::string_view name, std::string_view value) {
    std::string json;
    AppendJsonText(value, &json);
    return Raw(name, json);
  }
  Object& Number(std::string_view name, uint64_t value, bool known = true) {
    return Raw(name, known ? std::to_string(value) : "null");
  }
  std::string Json() const { return text_.empty() ? "{}" : text_ + "}"; }

 private:
  std::string text_;
};

void AddPadding(const dataplane::Http2FrameHeader& header, const dataplane::Http2Prefix& prefix,
                std::string_view padding, Object* out) {
  const bool padded = header.Has(dataplane::kHttp2Padded);
  out->Number("padding_length", prefix.padding, padded);
  if (padded) {
    out->Text("padding", padding);
  } else {
    out->Raw("padding", "null");
  }
}

void AddPriority(const dataplane::Http2Prefix& priority, Object* out) {
  const bool has = priority.has_priority;
  out->Number("stream_dependency", priority.dependency, has)
      .Raw("exclusive", !has ? "null" : priority.exclusive ? "true" : "false")
      .Number("weight", priority.weight, has);
}

}  // namespace

std::string Http2PayloadJson(const dataplane::Http2FrameHeader& header, std::string_view payload) {
  constexpr uint32_t kStreamMask = 0x7fff'ffff;
  Object out;
  dataplane::Http2Prefix prefix;
  const uint32_t prefix_bytes = Http2PrefixBytes(header);
  if (payload.size() != header.length || prefix_bytes > payload.size()) return "null";
  const auto* const bytes = reinterpret_cast<const uint8_t*>(payload.data());
  ReadHttp2Prefix(header, bytes, &prefix);
  const size_t content_bytes = payload.size() - prefix_bytes - prefix.padding;
  const std::string_view content = payload.substr(prefix_bytes, content_bytes);
  const std::string_view padding = payload.substr(prefix_bytes + content_bytes);
  switch (header.type < dataplane::kHttp2FrameTypes ? static_cast<Type>(header.type) : Type::kContinuation) {
    case Type::kData:
      AddPadding(header, prefix, padding, &out.Text("data", content));
      break;
    case Type::kHeaders:
      AddPriority(prefix, &out.Text("header_block_fragment", content));
      AddPadding(header, prefix, padding, &out);
      break;
    case Type::kPushPromise:
      out.Number("promised_stream_id", prefix.promised_stream).Text("header_block_fragment", content);
      AddPadding(header, prefix, padding, &out);
      break;
    case Type::kPriority: {
      const uint32_t dependency = LoadBe32(bytes);
      prefix = {0, true, dependency >> 31 != 0, dependency & kStreamMask, static_cast<uint16_t>(bytes[4] + 1), 0};
      AddPriority(prefix, &out);
      break;
    }
    case Type::kRstStream:
      out.Number("error_code", LoadBe32(bytes));
      break;
    case Type::kSettings: {
      std::string settings;
      for (size_t at = 0; at + 6 <= payload.size(); at += 6) {
        settings += (settings.empty() ? "[" : ",[") + std::to_string(LoadBe16(bytes + at)) + "," +
                    std::to_string(LoadBe32(bytes + at + 2)) + "]";
      }
      out.Raw("settings", "[" + settings + "]");
      break;
    }
    case Type::kPing:
      out.Text("opaque_data", payload);
      break;
    case Type::kGoAway:
      out.Number("last_stream_id", LoadBe32(bytes) & kStreamMask)
          .Number("error_code", LoadBe32(bytes + 4))
          .Text("additional_debug_data", payload.substr(8));
      break;
    case Type::kWindowUpdate:
      out.Number("window_size_increment", LoadBe32(bytes) & kStreamMask);
      break;
    case Type::kContinuation:
      out.Text(header.Is(Type::kContinuation) ? "header_block_fragment" : "payload", payload);
      break;
  }
  return out.Json();
}

}  // namespace stillwatch
