#include "tools/stillgen/http_reader.h"

#include <strings.h>

#include <charconv>

namespace stillwatch::stillgen {
namespace {

constexpr size_t kHeadMax = 64 << 10;
constexpr int64_t kBodyMax = 64 << 20;

}  // namespace

HttpReader::State HttpReader::Feed(std::string_view bytes) {
  in_.append(bytes);
  return Advance();
}

HttpReader::State HttpReader::Next() {
  in_.erase(0, at_);
  at_ = 0;
  head_.clear();
  body_.clear();
  left_ = -1;
  chunked_ = false;
  return Advance();
}

std::string_view HttpReader::Header(std::string_view name) const {
  const std::string_view head(head_);
  for (size_t line = head.find("\r\n"); line != std::string_view::npos && line + 2 < head.size();
       line = head.find("\r\n", line + 2)) {
    const std::string_view rest = head.substr(line + 2);
    if (rest.size() <= name.size() || rest[name.size()] != ':' ||
        strncasecmp(rest.data(), name.data(), name.size()) != 0) {
      continue;
    }
    std::string_view value = rest.substr(name.size() + 1);
    value = value.substr(0, value.find("\r\n"));
    while (value.starts_with(' ')) value.remove_prefix(1);
    return value;
  }
  return {};
}

bool HttpReader::close_asked() const {
  const std::string_view value = Header("connection");
  return value.size() == 5 && strncasecmp(value.data(), "close", 5) == 0;
}

HttpReader::State HttpReader::Advance() {
  if (left_ < 0) {
    const size_t end = in_.find("\r\n\r\n", at_);
    if (end == std::string::npos) return in_.size() - at_ > kHeadMax ? State::kBad : State::kMore;
    head_ = in_.substr(at_, end + 2 - at_);
    at_ = end + 4;
    left_ = 0;
    if (Header("transfer-encoding") == "chunked") {
      chunked_ = true;
    } else if (const std::string_view length = Header("content-length"); !length.empty()) {
      const auto [stop, error] = std::from_chars(length.data(), length.data() + length.size(), left_);
      if (error != std::errc() || left_ < 0 || left_ > kBodyMax) return State::kBad;
    }
  }
  if (chunked_) return AdvanceChunks();
  const size_t take = std::min<size_t>(static_cast<size_t>(left_), in_.size() - at_);
  body_.append(in_, at_, take);
  at_ += take;
  left_ -= static_cast<int64_t>(take);
  return left_ == 0 ? State::kDone : State::kMore;
}

HttpReader::State HttpReader::AdvanceChunks() {
  for (;;) {
    const size_t end = in_.find("\r\n", at_);
    if (end == std::string::npos) return State::kMore;
    uint64_t size = 0;
    const auto [stop, error] = std::from_chars(in_.data() + at_, in_.data() + end, size, 16);
    if (error != std::errc() || size > static_cast<uint64_t>(kBodyMax) || body_.size() + size > static_cast<size_t>(kBodyMax)) {
      return State::kBad;
    }
    if (in_.size() < end + 2 + size + 2) return State::kMore;
    body_.append(in_, end + 2, size);
    at_ = end + 2 + size + 2;
    if (size == 0) return State::kDone;  // our peers send no trailers
    if (at_ > (1 << 16)) {
      in_.erase(0, at_);
      at_ = 0;
    }
  }
}

}  // namespace stillwatch::stillgen
