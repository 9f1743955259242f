// Microbenchmarks of the packet path below HTTP: decode, flow hash, worker on in-order and reordered segments.
// Numbers are a packet. Run pinned: taskset -c 1 build/bin/bench_flow
#include <benchmark/benchmark.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <string>

#include "base/clock.h"
#include "dataplane/packet/checksum.h"
#include "dataplane/packet/flow_hash.h"
#include "dataplane/worker.h"
#include "tests/dataplane/frame_builder.h"
#include "tests/dataplane/null_http.h"

namespace stillwatch::dataplane {
namespace {

using testing::BuildFrame;
using testing::TcpSegment;

void BM_InternetSum(benchmark::State& state) {
  const std::vector<uint8_t> data(static_cast<size_t>(state.range(0)), 0x5a);
  for (auto _ : state) benchmark::DoNotOptimize(InternetSum(data));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * state.range(0));
}
BENCHMARK(BM_InternetSum)->Arg(40)->Arg(540)->Arg(1480);

void BM_Decode(benchmark::State& state) {
  const std::vector<uint8_t> frame = BuildFrame({.payload = std::string_view(std::string(1460, 'x'))});
  const DecodeOptions options{.ignore_checksums = state.range(0) != 0};
  for (auto _ : state) {
    Packet packet;
    benchmark::DoNotOptimize(DecodeFrame(frame, static_cast<uint32_t>(frame.size()), options, &packet));
    benchmark::DoNotOptimize(packet);
  }
}
BENCHMARK(BM_Decode)->ArgName("ignore_checksums")->Arg(0)->Arg(1);

void BM_FlowHash(benchmark::State& state) {
  const std::vector<uint8_t> frame = BuildFrame({.payload = "x"});
  for (auto _ : state) benchmark::DoNotOptimize(FlowHash(frame, Salt{1}));
}
BENCHMARK(BM_FlowHash);

// A frame whose sequence number moves on, with its checksum kept right (RFC 1624).
struct MovingFrame {
  std::vector<uint8_t> bytes;
  uint32_t seq = 0;
  uint32_t payload = 0;

  void MoveOn() {
    constexpr size_t kSeq = 14 + 20 + 4, kSum = 14 + 20 + 16;
    uint32_t sum = static_cast<uint16_t>(~LoadBe16(&bytes[kSum]));
    sum += static_cast<uint16_t>(~(seq >> 16)) + static_cast<uint16_t>(~seq);
    seq += payload;
    sum += (seq >> 16) + (seq & 0xffff);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    StoreBe32(&bytes[kSeq], seq);
    StoreBe16(&bytes[kSum], static_cast<uint16_t>(~sum));
  }
};

class Flows {
 public:
  // Many connections, opened, that carry something other than HTTP.
  Flows(size_t count, size_t payload_bytes) {
    WorkerOptions options;
    options.flows_max = static_cast<uint32_t>(std::max<size_t>(count, 1024));
    worker_ = MakeWorker(options, &http_, &output_);
    const std::string payload(payload_bytes, '\1');
    for (size_t i = 0; i < count; ++i) {
      TcpSegment segment{.src = static_cast<uint32_t>(0x0a000000 + i), .src_port = static_cast<uint16_t>(1024 + i % 60000),
                         .seq = static_cast<uint32_t>(i * 7919), .flags = 0x02};
      Look(BuildFrame(segment));
      segment.seq += 1;
      segment.flags = 0x10;
      segment.payload = payload;
      Look(BuildFrame(segment));
      frames_.push_back({BuildFrame(segment), segment.seq, static_cast<uint32_t>(payload_bytes)});
    }
    order_.resize(count);
    std::iota(order_.begin(), order_.end(), 0u);
    std::shuffle(order_.begin(), order_.end(), std::mt19937(1));
  }
  MovingFrame& Next() {
    if (at_ == order_.size()) {
      at_ = 0;
      time_ns_ += 100 * kNsPerMs;
      worker_->Tick(number_, time_ns_);
    }
    return frames_[order_[at_++]];
  }
  void Look(const std::vector<uint8_t>& bytes) {
    worker_->Look(Frame{bytes, static_cast<uint32_t>(bytes.size()), 0, ++number_, time_ns_});
  }
  void LookAt(std::span<MovingFrame* const> batch, bool expect) {
    Frame frames[8];
    for (size_t i = 0; i < batch.size(); ++i) {
      const std::vector<uint8_t>& bytes = batch[i]->bytes;
      frames[i] = Frame{bytes, static_cast<uint32_t>(bytes.size()), 0, ++number_, time_ns_};
      if (expect) worker_->Expect(frames[i]);
    }
    for (size_t i = 0; i < batch.size(); ++i) worker_->Look(frames[i]);
  }

 private:
  testing::NullHttp http_;
  testing::NullOutput output_;
  std::unique_ptr<Worker> worker_;
  std::vector<MovingFrame> frames_;
  std::vector<uint32_t> order_;
  size_t at_ = 0;
  uint64_t number_ = 0;
  int64_t time_ns_ = 1'700'000'000 * kNsPerSecond;
};

// Frames come eight at a time, as a lane takes them out of its ring; `expect` says whether they are announced.
// Making the frames move on is part of the time.
void BM_WorkerInOrder(benchmark::State& state) {
  Flows flows(static_cast<size_t>(state.range(0)), static_cast<size_t>(state.range(1)));
  const bool expect = state.range(2) != 0;
  MovingFrame* batch[8];
  for (auto _ : state) {
    for (MovingFrame*& frame : batch) {
      frame = &flows.Next();
      frame->MoveOn();
    }
    flows.LookAt(batch, expect);
  }
  state.counters["ns_a_packet"] =
      benchmark::Counter(8 * static_cast<double>(state.iterations()) / 1e9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(BM_WorkerInOrder)
    ->ArgNames({"flows", "payload", "expect"})
    ->Args({8, 1448, 0})
    ->Args({8, 1448, 1})
    ->Args({1000, 1448, 0})
    ->Args({1000, 1448, 1})
    ->Args({20'000, 1448, 0})
    ->Args({20'000, 1448, 1})
    ->Args({100'000, 300, 0})
    ->Args({100'000, 300, 1});

// Pairs of segments swapped: half are early, held, then taken.
void BM_WorkerReordered(benchmark::State& state) {
  Flows flows(1000, 1448);
  for (auto _ : state) {
    MovingFrame& frame = flows.Next();
    const std::vector<uint8_t> first = frame.bytes;
    frame.MoveOn();
    flows.Look(frame.bytes);
    flows.Look(first);
    frame.MoveOn();
  }
  state.SetItemsProcessed(2 * static_cast<int64_t>(state.iterations()));
}
BENCHMARK(BM_WorkerReordered);

}  // namespace
}  // namespace stillwatch::dataplane


