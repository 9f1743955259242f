#include "dataplane/http/chunked.h"

#include "base/mutant.h"
#include "dataplane/http/text.h"

namespace stillwatch::dataplane {
namespace {

int HexDigit(char c) {
  if (IsDigit(c)) return c - '0';
  const char lower = LowerAscii(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

}  // namespace

void ChunkedReader::Took(uint64_t bytes) {
  left_ -= bytes;
  if (left_ == 0) state_ = State::kDataCr;
}

ChunkedReader::Step ChunkedReader::EndLine() {
  if (quoted_ || (state_ == State::kExtension && !extension_name_)) odd_ = true;
  quoted_ = escaped_ = extension_name_ = false;
  line_bytes_ = 0;
  state_ = left_ == 0 ? State::kSizeStart : State::kData;
  return left_ == 0 ? Step::kLast : Step::kData;
}

// A byte where the size's digits stand. False: malformed.
bool ChunkedReader::SizeByte(char c) {
  const int digit = HexDigit(c);
  if (digit >= 0) {
    if (state_ == State::kBlankAfterSize) return false;
    // Sizes over 63 bits cannot be meant (RFC 9112, 7.1: recipients must avoid overflow).
    if (left_ > (INT64_MAX >> 4) && !MutantIs("http.chunk_overflow")) return false;
    left_ = left_ << 4 | static_cast<uint64_t>(digit);
    state_ = State::kSize;
    return true;
  }
  if (state_ == State::kSizeStart) return false;
  if (IsBlank(c)) {
    odd_ = true;
    state_ = State::kBlankAfterSize;
    return true;
  }
  if (c != ';') return false;
  state_ = State::kExtension;
  return true;
}

// A byte of an extension. False: malformed.
bool ChunkedReader::LineByte(char c) {
  if (IsControl(c)) return false;
  if (escaped_) {
    escaped_ = false;
  } else if (quoted_ && c == '\\') {
    escaped_ = true;
  } else if (c == '"') {
    quoted_ = !quoted_;
  }
  if (!IsBlank(c) && c != ';') extension_name_ = true;
  return true;
}

ChunkedReader::Step ChunkedReader::Next(Bytes* data) {
  if (state_ == State::kData) return data->empty() ? Step::kNeedMore : Step::kData;
  const auto malformed = [&](size_t at) {
    *data = data->subspan(at);
    return Step::kMalformed;
  };
  for (size_t at = 0; at < data->size(); ++at) {
    const char c = static_cast<char>((*data)[at]);
    switch (state_) {
      case State::kDataCr:
        if (c != '\r' && c != '\n') return malformed(at);
        if (c == '\n') bare_lf_ = true;
        state_ = c == '\r' ? State::kDataLf : State::kSizeStart;
        break;
      case State::kDataLf:
        if (c != '\n') return malformed(at);
        state_ = State::kSizeStart;
        break;
      case State::kSizeLf:
        if (c != '\n') return malformed(at);
        break;
      default:
        if (++line_bytes_ > kChunkLineMax) return malformed(at);
        if (c == '\r' && state_ != State::kSizeStart) {
          if (state_ == State::kExtension && (quoted_ || !extension_name_)) odd_ = true;
          extension_name_ = true;
          state_ = State::kSizeLf;
          break;
        }
        if (c == '\n' && state_ != State::kSizeStart) {
          bare_lf_ = true;
          break;
        }
        if (!(state_ == State::kExtension ? LineByte(c) : SizeByte(c))) return malformed(at);
        break;
    }
    const bool line_ended = c == '\n' && state_ != State::kSizeStart;
    if (line_ended) {
      *data = data->subspan(at + 1);
      const Step step = EndLine();
      if (step == Step::kData && data->empty()) return Step::kNeedMore;
      return step;
    }
  }
  *data = {};
  return Step::kNeedMore;
}

}  // namespace stillwatch::dataplane
