// Cuts a byte stream into JSON documents without reading them: lines of JSONL or NDJSON, or the objects of the
// array in {"requests": [{...}, {...}]}. For the dialect layer, on the worker's thread. A few bytes of state; holds
// no text. Any bytes are legal, and any cut of them gives the same documents.
//
// Lines: one document for each line that begins with '{' (blanks aside); other lines are passed over, so that a
// multipart envelope around a JSONL file needs no reader of its own.
// Objects: one document for each object that opens two levels below the root.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace stillwatch::dataplane {

class DocumentSplitter {
 public:
  enum class Form : uint8_t { kLines, kObjects };

  explicit DocumentSplitter(Form form = Form::kLines) : form_(form) {}

  // on_bytes(Bytes) any number of times for each document, then on_end() once.
  template <typename OnBytes, typename OnEnd>
  void Feed(Bytes data, OnBytes&& on_bytes, OnEnd&& on_end) {
    size_t begin = 0;
    for (size_t i = 0; i < data.size(); ++i) {
      const bool was_in = in_document_;
      const bool ends = Step(data[i]);
      if (!was_in && in_document_) begin = i;
      if (!ends) continue;
      on_bytes(data.subspan(begin, i + 1 - begin));
      on_end();
    }
    if (in_document_) on_bytes(data.subspan(begin));
  }
  // The stream ended: a last document without its end counts for lines only.
  template <typename OnEnd>
  void End(OnEnd&& on_end) {
    if (in_document_ && form_ == Form::kLines) on_end();
    in_document_ = false;
  }

  bool in_document() const { return in_document_; }

 private:
  // True when `byte` is the last one of a document.
  bool Step(uint8_t byte) { return form_ == Form::kLines ? StepLine(byte) : StepObject(byte); }
  bool StepLine(uint8_t byte);
  bool StepObject(uint8_t byte);

  Form form_;
  bool in_document_ = false;
  bool line_begun_ = false;                      // lines: a byte that is no blank was seen
  bool in_string_ = false, escaped_ = false;     // objects
  uint32_t depth_ = 0;
};

}  // namespace stillwatch::dataplane
