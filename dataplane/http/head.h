// One message head, whole and contiguous, taken apart in place: start line, fields, and what they say about
// framing. A pure function of the bytes; the views point into them (or, for folded fields, into the scratch).
// Reading is tolerant; whatever a stricter or looser reader would take otherwise is set in `anomalies`.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "dataplane/http/http_counters.h"
#include "dataplane/http/http_observer.h"

namespace stillwatch::dataplane {

inline constexpr size_t kHeadFieldsMax = 256;
inline constexpr size_t kCodingsMax = 3;

enum class Coding : uint8_t { kIdentity, kGzip, kDeflate, kBrotli, kZstd, kChunked, kUnsupported, kUnknown };

// Codings in the order in which they were applied.
struct CodingList {
  Coding at[kCodingsMax + 1] = {};
  uint8_t count = 0;
  bool too_many = false;

  void Add(Coding coding) {
    if (count <= kCodingsMax) {
      at[count++] = coding;
    } else {
      too_many = true;
    }
  }
};

struct Head {
  bool is_request = true;
  bool simple = false;  // HTTP/0.9: a request line and nothing else
  uint8_t version_major = 1, version_minor = 1;
  uint16_t status = 0;
  std::string_view method, target, host;
  std::string_view http2_settings;  // of a request that asks for h2c
  std::span<const HttpHeader> fields;

  bool has_length = false;
  bool length_unknown = false;  // invalid or conflicting
  uint64_t length = 0;
  bool has_transfer = false;
  CodingList transfer, content;
  bool connection_close = false, connection_keep_alive = false;
  bool connection_upgrade = false, has_upgrade = false, upgrade_h2c = false;
  uint8_t hosts = 0;

  HttpAnomalies anomalies = 0;
  bool fields_too_many = false;

  void Mark(HttpCounter anomaly) { anomalies |= AnomalyBit(anomaly); }
  // After this message the connection goes on, by RFC 9112, 9.3.
  bool keeps_alive() const {
    if (connection_close || simple) return false;
    return version_minor >= 1 || connection_keep_alive;
  }
};

// Memory that parsing needs: one a worker.
struct HeadScratch {
  HttpHeader fields[kHeadFieldsMax];
  std::string folded;  // values of folded fields; reserved for header_bytes_max at start
};

// Where the section that starts at `data` ends: behind its first empty line (LF, or CR LF, at a line's start).
// 0: not in `data`. `*scanned` says where to go on searching when more bytes are there; begin with 0.
// `empty_first`: the section may be an empty line only (trailers).
size_t FindSectionEnd(Bytes data, bool empty_first, size_t* scanned);

enum class LineKind : uint8_t { kNotHttp, kStart, kSimple };
// Reads a start line (without its LF) into method, target, version or version, status.
LineKind ParseStartLine(std::string_view line, bool is_request, Head* head);

// The fields behind a start line that was read into `head`: the rest of a section as found by FindSectionEnd.
void ParseFields(Bytes fields, HeadScratch* scratch, Head* head);

// What one field says about framing and coding.
void ReadFraming(std::string_view name, std::string_view value, Head* head);

// A trailer section, for its anomalies.
HttpAnomalies CheckTrailers(Bytes section, HeadScratch* scratch);

}  // namespace stillwatch::dataplane
