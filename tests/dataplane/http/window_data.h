// Compressed bytes for tests, by the encoders of libbrotli and libzstd.
#pragma once

#include <brotli/encode.h>
#include <zstd.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace stillwatch::dataplane {

inline std::string Brotli(std::string_view text, int quality = 5, int window_bits = 22) {
  std::string out(text.size() + text.size() / 2 + 1'024, '\0');
  size_t bytes = out.size();
  if (BrotliEncoderCompress(quality, window_bits, BROTLI_MODE_GENERIC, text.size(),
                            reinterpret_cast<const uint8_t*>(text.data()), &bytes,
                            reinterpret_cast<uint8_t*>(out.data())) == BROTLI_FALSE) {
    throw std::runtime_error("BrotliEncoderCompress");
  }
  out.resize(bytes);
  return out;
}

// Streamed: the frame does not say its content's size, so that it needs its whole window.
inline std::string Zstd(std::string_view text, int level = 3, int window_bits = 0, bool checksum = false) {
  ZSTD_CCtx* const context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_bits);
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, checksum ? 1 : 0);
  std::string out(ZSTD_compressBound(text.size()) + 1'024, '\0');
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  ZSTD_inBuffer from{text.data(), text.size(), 0};
  size_t left = ZSTD_compressStream2(context, &to, &from, ZSTD_e_continue);
  if (ZSTD_isError(left) == 0) left = ZSTD_compressStream2(context, &to, &from, ZSTD_e_end);
  ZSTD_freeCCtx(context);
  if (left != 0) throw std::runtime_error("ZSTD_compressStream2");
  out.resize(to.pos);
  return out;
}

}  // namespace stillwatch::dataplane
