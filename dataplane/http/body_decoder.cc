#include "dataplane/http/body_decoder.h"

#include <algorithm>

#include "base/mutant.h"

namespace stillwatch::dataplane {

void BodyDecoder::Start(HttpCore* core, const BodyPlan& plan, bool deliver) {
  deliver_ = deliver && !plan.undecodable;
  cut_ = plan.undecodable;
  mislabelled_ = output_waits_ = false;
  bytes_ = coded_bytes_ = delivered_bytes_ = 0;
  if (plan.kind == BodyKind::kNone || plan.kind == BodyKind::kUnknown) return;
  if (plan.kind == BodyKind::kLength && plan.length == 0) return;
  if (deliver_ && plan.decode_count > 0 &&
      inflater_.Start(&core->decoders, &core->windows, {plan.decode, plan.decode_count}) != Inflater::Begin::kReady) {
    core->Count(HttpCounter::kDecodersEmpty);
    deliver_ = false;
    cut_ = true;
  }
}

bool BodyDecoder::Take(HttpCore* core, BodySink* sink, Bytes* part, DecodeBudget* budget) {
  if (!deliver_) {
    // Cut bodies count as far as they were decoded; those never decoded count as sent.
    if (delivered_bytes_ == 0) bytes_ += part->size();
    *part = {};
    return true;
  }
  return inflater_.active() ? Decode(core, sink, part, budget) : AsIs(core, sink, part, budget);
}

bool BodyDecoder::Drain(HttpCore* core, BodySink* sink, DecodeBudget* budget) {
  output_waits_ = false;
  Bytes nothing;
  if (!inflater_.active() || Decode(core, sink, &nothing, budget)) return true;
  output_waits_ = true;
  return false;
}

bool BodyDecoder::AsIs(HttpCore* core, BodySink* sink, Bytes* part, DecodeBudget* budget) {
  while (!part->empty()) {
    const uint64_t room = core->limits.decoded_body_bytes_max - delivered_bytes_;
    if (room == 0) {
      if (!cut_) core->Count(HttpCounter::kDecodedTooLarge);
      cut_ = true;
      bytes_ += part->size();
      *part = {};
      return true;
    }
    const size_t bytes = std::min({uint64_t{part->size()}, budget->bytes_left, room, uint64_t{kBodyCallMax}});
    if (bytes == 0) return false;
    sink->OnBodyBytes(part->first(bytes));
    *part = part->subspan(bytes);
    budget->bytes_left -= bytes;
    bytes_ += bytes;
    delivered_bytes_ += bytes;
  }
  return true;
}

bool BodyDecoder::Decode(HttpCore* core, BodySink* sink, Bytes* in, DecodeBudget* budget) {
  if (budget->bytes_left == 0) return false;
  const size_t given = in->size();
  for (;;) {
    const size_t room = std::min<uint64_t>(core->decoded.size(), budget->bytes_left);
    const size_t before = in->size();
    const size_t bytes = inflater_.Pull(in, {core->decoded.data(), room});
    coded_bytes_ += before - in->size();
    bytes_ += bytes;
    delivered_bytes_ += bytes;
    budget->bytes_left -= bytes;
    const bool goes_on = Check(core, sink);
    if (bytes > 0) sink->OnBodyBytes({core->decoded.data(), bytes});
    if (!goes_on) {
      *in = {};
      return true;
    }
    if (bytes < room) return true;
    if (budget->bytes_left == 0) {
      // More may wait inside.
      output_waits_ = in->empty() && given > 0;
      return false;
    }
  }
}

namespace {

HttpCounter CounterOf(CodingStage::Failure failure) {
  switch (failure) {
    case CodingStage::Failure::kWindowTooLarge: return HttpCounter::kWindowTooLarge;
    case CodingStage::Failure::kNoWindowMemory: return HttpCounter::kWindowsEmpty;
    default: return HttpCounter::kDecodeFailed;
  }
}

}  // namespace

// False: decoding stops here; the rest of the body is passed over.
bool BodyDecoder::Check(HttpCore* core, BodySink* sink) {
  if (inflater_.mislabelled() && !mislabelled_) {
    mislabelled_ = true;
    sink->OnMislabelled();
  }
  if (inflater_.failure() != CodingStage::Failure::kNone) {
    StopDecoding(core, CounterOf(inflater_.failure()));
  } else if (bytes_ > core->limits.decoded_body_bytes_max && !MutantIs("http.no_bomb_limit")) {
    StopDecoding(core, HttpCounter::kDecodedTooLarge);
  } else if (bytes_ > core->limits.decoded_ratio_from && bytes_ / core->limits.decoded_ratio_max > coded_bytes_) {
    StopDecoding(core, HttpCounter::kDecodedRatio);
  } else {
    return true;
  }
  return false;
}

void BodyDecoder::StopDecoding(HttpCore* core, HttpCounter why) {
  core->Count(why);
  cut_ = true;
  deliver_ = output_waits_ = false;
  delivered_bytes_ = std::max<uint64_t>(delivered_bytes_, 1);  // what follows does not count
  inflater_.Stop(&core->decoders);
}

void BodyDecoder::Gap(HttpCore* core) {
  output_waits_ = false;
  if (inflater_.active()) StopDecoding(core, HttpCounter::kDecodeGap);
}

void BodyDecoder::End(HttpCore* core) {
  if (!inflater_.active()) return;
  if (!inflater_.whole()) {
    core->Count(HttpCounter::kDecodeTruncated);
    cut_ = true;
  }
  Drop(core);
}

void BodyDecoder::Drop(HttpCore* core) {
  inflater_.Stop(&core->decoders);
  output_waits_ = false;
}

}  // namespace stillwatch::dataplane
