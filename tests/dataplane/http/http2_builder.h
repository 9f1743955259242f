// Builds HTTP/2 bytes for tests: frames, and header blocks through nghttp2's own deflater.
#pragma once

#include <nghttp2/nghttp2.h>

#include <string>
#include <utility>
#include <vector>

#include "dataplane/http/http2_frame.h"

namespace stillwatch::dataplane {

using FieldPairs = std::vector<std::pair<std::string, std::string>>;

inline std::string MakeFrame(uint8_t type, uint8_t flags, uint32_t stream, const std::string& payload) {
  std::string out;
  for (int shift = 16; shift >= 0; shift -= 8) out += static_cast<char>(payload.size() >> shift);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(stream >> shift);
  return out + payload;
}

// Puts bytes one behind the other; unlike `+` it makes the left ones first, which header blocks need.
#pragma GCC diagnostic ignored "-Wparentheses"
inline std::string operator<<(std::string left, const std::string& right) { return std::move(left) + right; }

inline std::string Be32(uint32_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
  return out;
}

inline std::string Setting(uint16_t id, uint32_t value) {
  return std::string{static_cast<char>(id >> 8), static_cast<char>(id)} + Be32(value);
}
inline std::string Settings(const std::string& settings = {}) { return MakeFrame(4, 0, 0, settings); }
inline std::string SettingsAck() { return MakeFrame(4, 1, 0, ""); }
inline std::string Data(uint32_t stream, const std::string& data, bool end = false) {
  return MakeFrame(0, end ? 1 : 0, stream, data);
}
inline std::string Reset(uint32_t stream) { return MakeFrame(3, 0, stream, Be32(8)); }
inline std::string Preface() { return std::string(kHttp2Preface) + Settings(); }

// The encoder of one direction.
class Deflater {
 public:
  explicit Deflater(size_t table_max = 4'096) { nghttp2_hd_deflate_new(&deflater_, table_max); }
  ~Deflater() { nghttp2_hd_deflate_del(deflater_); }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  void TableSize(size_t bytes) { nghttp2_hd_deflate_change_table_size(deflater_, bytes); }
  std::string Block(const FieldPairs& fields) {
    std::vector<nghttp2_nv> nva;
    for (const auto& [name, value] : fields) {
      nva.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
                     reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(), 0});
    }
    std::string out(nghttp2_hd_deflate_bound(deflater_, nva.data(), nva.size()), '\0');
    const auto bytes = nghttp2_hd_deflate_hd(deflater_, reinterpret_cast<uint8_t*>(out.data()), out.size(),
                                             nva.data(), nva.size());
    out.resize(bytes < 0 ? 0 : static_cast<size_t>(bytes));
    return out;
  }
  std::string Headers(uint32_t stream, const FieldPairs& fields, bool end = false) {
    return MakeFrame(1, static_cast<uint8_t>(4 | (end ? 1 : 0)), stream, Block(fields));
  }

 private:
  nghttp2_hd_deflater* deflater_ = nullptr;
};

inline FieldPairs Get(const std::string& path, const FieldPairs& more = {}) {
  FieldPairs fields = {{":method", "GET"}, {":scheme", "http"}, {":authority", "h"}, {":path", path}};
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}
inline FieldPairs Post(const std::string& path, const FieldPairs& more = {}) {
  FieldPairs fields = Get(path, more);
  fields[0].second = "POST";
  return fields;
}
inline FieldPairs Status(const std::string& status, const FieldPairs& more = {}) {
  FieldPairs fields = {{":status", status}};
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

}  // namespace stillwatch::dataplane
