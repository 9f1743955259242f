// Reads HTTP/1.1 messages off a byte stream for the live ends: requests on the server, responses on the
// client. Content-Length and chunked bodies. For peers that we know; not a general parser (bounded: heads of
// 64 KiB, bodies of 64 MiB; anything else is kBad).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace stillwatch::stillgen {

class HttpReader {
 public:
  enum class State { kMore, kDone, kBad };

  // Takes bytes of the stream; after kDone the rest stays buffered for the next message.
  State Feed(std::string_view bytes);
  // Forgets the message just done and looks at what is buffered.
  State Next();

  std::string_view first_line() const { return std::string_view(head_).substr(0, head_.find("\r\n")); }
  const std::string& body() const { return body_; }  // chunk framing removed
  bool close_asked() const;
  bool idle() const { return head_.empty() && in_.empty(); }
  // Value of a header (name in lower case), trimmed; empty when absent.
  std::string_view Header(std::string_view name) const;

 private:
  State Advance();
  State AdvanceChunks();

  std::string in_, head_, body_;
  size_t at_ = 0;        // read position in in_
  int64_t left_ = -1;    // body bytes to come; -1: head not read
  bool chunked_ = false;
};

}  // namespace stillwatch::stillgen
