#include "dataplane/llm/document_splitter.h"

namespace stillwatch::dataplane {

bool DocumentSplitter::StepLine(uint8_t byte) {
  if (byte == '\n') {
    const bool ends = in_document_;
    in_document_ = line_begun_ = false;
    return ends;
  }
  if (line_begun_ || byte == ' ' || byte == '\t' || byte == '\r') return false;
  line_begun_ = true;
  in_document_ = byte == '{';
  return false;
}

bool DocumentSplitter::StepObject(uint8_t byte) {
  constexpr uint32_t kInside = 3;  // the depth of what a document holds
  if (in_string_) {
    if (escaped_) {
      escaped_ = false;
    } else if (byte == '\\') {
      escaped_ = true;
    } else if (byte == '"') {
      in_string_ = false;
    }
    return false;
  }
  if (byte == '"') {
    in_string_ = true;
  } else if (byte == '{' || byte == '[') {
    ++depth_;
    if (depth_ == kInside && byte == '{') in_document_ = true;
  } else if ((byte == '}' || byte == ']') && depth_ > 0) {
    --depth_;
    if (depth_ < kInside && in_document_) {
      in_document_ = false;
      return true;
    }
  }
  return false;
}

}  // namespace stillwatch::dataplane
