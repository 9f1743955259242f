// Streams against a slow oracle that keeps every byte in a map; and the policies one by one.
#include "dataplane/flow/reassembly.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "tests/dataplane/flow/worker_driver.h"

namespace stillwatch::dataplane {
namespace {

using testing::kA;
using testing::kF;
using testing::kS;
using testing::WorkerDriver;

// Takes all that may be taken now.
std::string Drain(Reassembly* stream, SegmentPool* pool, Bytes in_order = {}) {
  std::string out;
  for (Bytes data = in_order; !data.empty(); data = stream->Next()) {
    out += AsText(data);
    stream->Consume(data.size(), pool);
  }
  return out;
}

std::string Give(Reassembly* stream, SegmentPool* pool, uint32_t seq, std::string_view data) {
  std::string out;
  for (bool again = false;; again = true) {
    Bytes in_order;
    if (stream->Place(seq, AsBytes(data), 1 << 20, pool, &in_order, again) != PlaceResult::kInOrder) return out;
    out += Drain(stream, pool, in_order);
  }
}

TEST(ReassemblyTest, FirstCopyOfAByteWins) {
  SegmentPool pool(1 << 20);
  Reassembly stream;
  stream.Start(100);
  EXPECT_EQ(Give(&stream, &pool, 103, "DEF"), "");
  EXPECT_EQ(Give(&stream, &pool, 101, "bcdefghi"), "");  // around it and over it
  EXPECT_EQ(stream.conflict_bytes(), 3u);
  EXPECT_EQ(Give(&stream, &pool, 100, "abXXXX"), "abcDEFghi");
  EXPECT_EQ(stream.conflict_bytes(), 7u);
  EXPECT_EQ(Give(&stream, &pool, 100, "zzzzzzzzz"), "");
  EXPECT_EQ(Give(&stream, &pool, 105, "xxxxjk"), "jk");
  EXPECT_EQ(pool.bytes_taken(), 0u);
}

TEST(ReassemblyTest, InOrderBytesAreNotCopied) {
  SegmentPool pool(0);
  Reassembly stream;
  stream.Start(0xfffffffe);
  const std::string data = "across the wrap";
  Bytes in_order;
  ASSERT_EQ(stream.Place(0xfffffffe, AsBytes(data), 0, &pool, &in_order), PlaceResult::kInOrder);
  EXPECT_EQ(in_order.data(), AsBytes(data).data());
  EXPECT_EQ(Drain(&stream, &pool, in_order), data);
  EXPECT_EQ(stream.next_seq(), static_cast<uint32_t>(data.size() - 2));
}

TEST(ReassemblyTest, ManySmallEarlySegmentsShareChunks) {
  SegmentPool pool(1 << 20);
  Reassembly stream;
  stream.Start(0);
  Bytes in_order;
  for (uint32_t at = 1; at < 4000; ++at) {
    ASSERT_EQ(stream.Place(at, AsBytes("x"), 8192, &pool, &in_order), PlaceResult::kEarly);
  }
  EXPECT_LE(pool.bytes_taken(), 3 * sizeof(Segment));
  // Every second byte needs a chunk of its own, and these are bounded.
  Reassembly holes;
  holes.Start(0);
  uint32_t kept = 0;
  while (holes.Place(2 * kept + 1, AsBytes("x"), 8192, &pool, &in_order) == PlaceResult::kEarly) ++kept;
  EXPECT_EQ(kept, 4u);
  holes.Clear(&pool);
  stream.Clear(&pool);
  EXPECT_EQ(pool.bytes_taken(), 0u);
}

// What should come out: each byte from the first segment that brought it, in order.
struct Oracle {
  std::map<uint64_t, char> bytes;
  void Add(uint64_t offset, std::string_view data) {
    for (size_t i = 0; i < data.size(); ++i) bytes.try_emplace(offset + i, data[i]);
  }
  std::string Contiguous() const {
    std::string out;
    for (const auto& [at, byte] : bytes) {
      if (at != out.size()) break;
      out += byte;
    }
    return out;
  }
};

// Random segments of a random stream: shuffled, repeated, overlapping, some with forged copies.
TEST(ReassemblyTest, RandomSegmentsEqualTheOracle) {
  std::mt19937 random(17);
  for (int round = 0; round < 3000; ++round) {
    const uint32_t length = 1 + random() % (round % 10 == 0 ? 20'000 : 300);
    const uint32_t start = random() % 4 == 0 ? 0u - random() % (length + 1) : static_cast<uint32_t>(random());
    std::string stream(length, 0);
    for (char& byte : stream) byte = static_cast<char>('a' + random() % 26);
    struct Piece {
      uint32_t at, size;
      bool forged;
    };
    std::vector<Piece> pieces;
    const uint32_t most = 1 + random() % (length + 10);
    for (uint32_t at = 0; at < length;) {
      const uint32_t size = std::min(1 + static_cast<uint32_t>(random()) % most, length - at);
      pieces.push_back({at, size, false});
      at += size;
    }
    const size_t extra = random() % 8;
    for (size_t i = 0; i < extra; ++i) {
      const uint32_t at = random() % length;
      pieces.push_back({at, 1 + static_cast<uint32_t>(random()) % (length - at), random() % 3 == 0});
    }
    if (random() % 3 != 0) std::shuffle(pieces.begin(), pieces.end(), random);

    SegmentPool pool(64 << 20);
    Reassembly reassembly;
    reassembly.Start(start);
    Oracle oracle;
    std::string out;
    for (const Piece& piece : pieces) {
      std::string data = stream.substr(piece.at, piece.size);
      if (piece.forged) {
        for (char& byte : data) byte = static_cast<char>(byte - 'a' + 'A');
      }
      oracle.Add(piece.at, data);
      out += Give(&reassembly, &pool, start + piece.at, data);
      ASSERT_EQ(out, oracle.Contiguous()) << "round " << round;
    }
    ASSERT_EQ(out.size(), length);
    ASSERT_EQ(pool.bytes_taken(), 0u);
  }
}

// The same through frames and a worker, both directions at once, with a flow that ends.
TEST(ReassemblyTest, ConnectionsThroughTheWorkerKeepEveryByte) {
  std::mt19937 random(23);
  for (int round = 0; round < 100; ++round) {
    WorkerDriver driver;
    const uint32_t isn[2] = {0u - static_cast<uint32_t>(random()) % 3000, static_cast<uint32_t>(random())};
    driver.Handshake(isn[0], isn[1]);
    std::string sent[2];
    struct Piece {
      int side;
      uint32_t at, size;
    };
    std::vector<Piece> pieces;
    for (int side = 0; side < 2; ++side) {
      sent[side].resize(1 + random() % 6000);
      for (char& byte : sent[side]) byte = static_cast<char>('a' + random() % 26);
      for (uint32_t at = 0; at < sent[side].size();) {
        const uint32_t size = std::min<uint32_t>(1 + random() % 1448, static_cast<uint32_t>(sent[side].size()) - at);
        pieces.push_back({side, at, size});
        if (random() % 10 == 0) pieces.push_back({side, at, size});
        if (at > 0 && random() % 10 == 0) pieces.push_back({side, at - 1, 1});  // keep-alive
        at += size;
      }
    }
    // Nobody acknowledges more than the handshake, so no order may lose anything.
    std::shuffle(pieces.begin(), pieces.end(), random);
    for (const Piece& piece : pieces) {
      const std::string_view data = std::string_view(sent[piece.side]).substr(piece.at, piece.size);
      if (piece.side == 0) {
        driver.C(kA, isn[0] + 1 + piece.at, isn[1] + 1, data);
      } else {
        driver.S(kA, isn[1] + 1 + piece.at, isn[0] + 1, data);
      }
    }
    driver.Finish();
    ASSERT_EQ(driver.flows().size(), 1u);
    ASSERT_EQ(driver.flows()[0].client.bytes, sent[0]) << round;
    ASSERT_EQ(driver.flows()[0].server.bytes, sent[1]) << round;
    ASSERT_EQ(driver.Counter("tcp.gaps"), 0u);
  }
}

}  // namespace
}  // namespace stillwatch::dataplane
