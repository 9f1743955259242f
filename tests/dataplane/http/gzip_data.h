// Compressed bytes for tests, by zlib's deflate.
#pragma once

#include <zlib.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace stillwatch::dataplane {

// window_bits as for deflateInit2: 31 gzip, 15 zlib, -15 raw.
inline std::string Deflate(std::string_view text, int window_bits, int level = 6,
                           int strategy = Z_DEFAULT_STRATEGY) {
  z_stream z{};
  if (deflateInit2(&z, level, Z_DEFLATED, window_bits, 8, strategy) != Z_OK) {
    throw std::runtime_error("deflateInit2");
  }
  std::string out(deflateBound(&z, text.size()) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  const int result = deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  if (result != Z_STREAM_END) throw std::runtime_error("deflate");
  return out;
}
// A message of permessage-deflate (RFC 7692, 7.2.1): raw, flushed, without the flush's last four bytes.
inline std::string DeflatedMessage(std::string_view text, int level = Z_DEFAULT_COMPRESSION) {
  z_stream z{};
  if (deflateInit2(&z, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::runtime_error("deflateInit2");
  std::string out(deflateBound(&z, text.size()) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_SYNC_FLUSH);
  out.resize(z.total_out - 4);
  deflateEnd(&z);
  return out;
}
inline std::string Gzip(std::string_view text) { return Deflate(text, 31); }
inline std::string Zlib(std::string_view text) { return Deflate(text, 15); }
inline std::string RawDeflate(std::string_view text) { return Deflate(text, -15); }

}  // namespace stillwatch::dataplane
