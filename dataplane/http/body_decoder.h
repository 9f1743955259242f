// One message's body on its way to the observer: content codings undone, the bounds of HttpLimits held, the budget
// of decoded output kept. The readers of HTTP/1 and HTTP/2 messages share it. Decompressors are held between Start
// and End or Drop only. One worker's thread.
#pragma once

#include "dataplane/http/framing.h"
#include "dataplane/http/http_core.h"

namespace stillwatch::dataplane {

class BodySink {
 public:
  virtual void OnBodyBytes(Bytes data) = 0;  // at most kBodyCallMax
  virtual void OnMislabelled() = 0;          // the bytes are not in the coding that the head named: taken as they are

 protected:
  ~BodySink() = default;
};

class BodyDecoder {
 public:
  // `deliver`: the sink wants the bytes; else they are only counted.
  void Start(HttpCore* core, const BodyPlan& plan, bool deliver);

  // Hands on body bytes as sent. False: the budget is spent; `*part` says what is left. Decoded output may wait
  // inside though all was taken: then output_waits(), and Drain goes on.
  bool Take(HttpCore* core, BodySink* sink, Bytes* part, DecodeBudget* budget);
  // False: the budget is spent again.
  bool Drain(HttpCore* core, BodySink* sink, DecodeBudget* budget);
  bool output_waits() const { return output_waits_; }

  // Bytes of the body are missing: compressed data cannot be read on.
  void Gap(HttpCore* core);
  // The body came to its end.
  void End(HttpCore* core);
  // The body will not be read on.
  void Drop(HttpCore* core);

  uint64_t bytes() const { return bytes_; }  // decoded where it is decoded, else as sent
  bool cut() const { return cut_; }

 private:
  bool AsIs(HttpCore* core, BodySink* sink, Bytes* part, DecodeBudget* budget);
  bool Decode(HttpCore* core, BodySink* sink, Bytes* in, DecodeBudget* budget);
  bool Check(HttpCore* core, BodySink* sink);
  void StopDecoding(HttpCore* core, HttpCounter why);

  bool deliver_ = false, cut_ = false, mislabelled_ = false, output_waits_ = false;
  uint64_t bytes_ = 0, coded_bytes_ = 0, delivered_bytes_ = 0;
  Inflater inflater_;
};

}  // namespace stillwatch::dataplane
