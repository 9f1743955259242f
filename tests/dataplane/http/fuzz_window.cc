// libFuzzer target of br and zstd bodies; window_corpus_test replays the corpus through the same function.
//
// Input: one byte (its low bit: br or zstd; the rest: where to cut), then a coded body. It is read whole and in
// pieces with a small budget: both must give the same bytes and end alike. Where br data is corrupt, what came out
// must only begin alike (window_stage.h). No memory may stay taken.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

#include "dataplane/http/window_stage.h"
#include "tests/fuzz/target.h"

namespace stillwatch::dataplane {
namespace {

using fuzz::Require;

constexpr size_t kOutputMax = 1u << 20;

struct Read {
  std::string out;
  CodingStage::Failure failure;
  bool whole;
};

Read PlayStage(CodingStage* stage, Bytes data, size_t piece_bytes, size_t room_bytes) {
  std::string out;
  std::string room(room_bytes, '\0');
  const std::span<uint8_t> target(reinterpret_cast<uint8_t*>(room.data()), room.size());
  while (!data.empty() && out.size() < kOutputMax) {
    const auto piece = std::make_unique<uint8_t[]>(std::min(piece_bytes, data.size()));
    Bytes in(piece.get(), std::min(piece_bytes, data.size()));
    std::copy_n(data.data(), in.size(), piece.get());
    data = data.subspan(in.size());
    for (;;) {
      const CodingStage::Step step = stage->Run(in, target);
      Require(step.consumed <= in.size() && step.produced <= room.size());
      out.append(room.data(), step.produced);
      in = in.subspan(step.consumed);
      if (step.produced < room.size() || out.size() >= kOutputMax) {
        Require(in.empty() || out.size() >= kOutputMax);
        break;
      }
    }
  }
  return {out.substr(0, kOutputMax), stage->failure(), stage->whole()};
}

template <typename Stage>
Read PlayWith(WindowMemory* memory, Bytes data, size_t piece_bytes, size_t room_bytes) {
  Read read;
  {
    Stage stage(memory);
    read = PlayStage(&stage, data, piece_bytes, room_bytes);
  }
  Require(memory->bytes_taken() == 0);
  return read;
}

}  // namespace
}  // namespace stillwatch::dataplane

std::string stillwatch::fuzz::Play(Bytes data) {
  using namespace stillwatch::dataplane;
  static WindowMemory memory(10u << 20);
  if (data.empty()) return {};
  const bool br = (data[0] & 1) != 0;
  const auto play = br ? PlayWith<BrotliStage> : PlayWith<ZstdStage>;
  const Bytes body = data.subspan(1);
  const Read a = play(&memory, body, data.size(), 64u << 10), b = play(&memory, body, 1 + (data[0] >> 1) % 64, 97);
  if (a.out.size() == kOutputMax || b.out.size() == kOutputMax) {
    Require(a.out.starts_with(b.out) || b.out.starts_with(a.out));
    return a.out;
  }
  Require(a.failure == b.failure && (a.failure != CodingStage::Failure::kNone || a.whole == b.whole));
  if (br && a.failure != CodingStage::Failure::kNone) {
    Require(a.out.starts_with(b.out) || b.out.starts_with(a.out));
  } else {
    Require(a.out == b.out);
  }
  return a.out;
}
