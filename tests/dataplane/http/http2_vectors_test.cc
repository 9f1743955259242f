// Header blocks and frames that others wrote: http2jp's HPACK stories and frame vectors (tests/data/hpack,
// tests/data/http2-frames).
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "dataplane/http/hpack.h"
#include "dataplane/http/http2_frame.h"
#include "tests/dataplane/http/http2_builder.h"
#include "tests/dataplane/http/recorder.h"

namespace stillwatch::dataplane {
namespace {

using nlohmann::json;
using std::string;
namespace fs = std::filesystem;

const fs::path kData = STILLWATCH_SOURCE_DIR "/tests/data/";

json ReadJson(const fs::path& path) {
  std::ifstream file(path);
  return json::parse(file);
}

string Unhex(const json& hex) {
  string out;
  EXPECT_TRUE(ParseHex(hex.get<string>(), &out));
  return out;
}

FieldPairs Expected(const json& headers) {
  FieldPairs out;
  for (const json& field : headers) {
    for (const auto& [name, value] : field.items()) out.emplace_back(name, value.get<string>());
  }
  return out;
}

FieldPairs Got(const FieldList& list) {
  FieldPairs out;
  for (const HttpHeader& field : list.fields()) out.emplace_back(field.name, field.value);
  return out;
}

// Every story; `lost`: by the walk that a lost table takes, from a fresh table (nothing is lost then).
void DecodeStories(bool lost) {
  size_t blocks = 0;
  for (const auto& entry : fs::recursive_directory_iterator(kData / "hpack")) {
    if (entry.path().extension() != ".json") continue;
    HpackShared shared(1u << 20, 64u << 10);
    HpackDecoder decoder(&shared);
    FieldList fields(64u << 10);
    if (lost) decoder.Lose();
    const json story = ReadJson(entry.path())["cases"];
    for (const json& block : story) {
      if (block.contains("header_table_size") && block["header_table_size"].is_number()) decoder.SetTableMax(block["header_table_size"]);
      const string wire = Unhex(block["wire"]);
      Bytes rest = AsBytes(wire);
      uint64_t budget = 0;
      fields.Clear();
      ASSERT_EQ(decoder.Decode(&rest, true, &fields, &budget), HpackDecoder::Step::kDone)
          << entry.path() << " " << block["seqno"];
      ASSERT_EQ(Got(fields), Expected(block["headers"])) << entry.path() << " " << block["seqno"];
      ASSERT_EQ(fields.lost, 0u);
      ++blocks;
    }
  }
  EXPECT_EQ(blocks, 932u);
}

TEST(Hpack, StoriesOfOtherEncoders) { DecodeStories(false); }
TEST(Hpack, StoriesByTheWalk) { DecodeStories(true); }

// Joined at any block: no field is read wrongly; later ones are read rightly unless counted as lost.
TEST(Hpack, StoriesJoinedInTheMiddle) {
  size_t lost = 0, read = 0;
  for (const auto& entry : fs::recursive_directory_iterator(kData / "hpack")) {
    if (entry.path().extension() != ".json") continue;
    const json story = ReadJson(entry.path())["cases"];
    for (size_t join = 1; join < story.size(); join += 3) {
      HpackShared shared(1u << 20, 64u << 10);
      HpackDecoder decoder(&shared);
      FieldList fields(64u << 10);
      decoder.Lose();
      for (size_t at = join; at < story.size(); ++at) {
        const string wire = Unhex(story[at]["wire"]);
        Bytes rest = AsBytes(wire);
        uint64_t budget = 0;
        fields.Clear();
        ASSERT_EQ(decoder.Decode(&rest, true, &fields, &budget), HpackDecoder::Step::kDone) << entry.path() << " " << at;
        const FieldPairs expected = Expected(story[at]["headers"]), got = Got(fields);
        ASSERT_EQ(got.size() + fields.lost, expected.size()) << entry.path() << " " << join << " " << at;
        size_t from = 0;  // what was read is a subsequence of what was sent
        for (const auto& field : got) {
          while (from < expected.size() && expected[from] != field) ++from;
          ASSERT_LT(from, expected.size()) << entry.path() << " " << join << " " << at << " " << field.first;
          ++from;
        }
        lost += fields.lost;
        read += got.size();
      }
    }
  }
  EXPECT_GT(lost, 1'000u);
  EXPECT_GT(read, lost);
}

TEST(Http2Frames, Vectors) {
  size_t frames = 0;
  for (const json& c : ReadJson(kData / "http2-frames" / "frames.json")) {
    SCOPED_TRACE(c["id"].get<string>());
    const string wire = Unhex(c["wire"]);
    ASSERT_GE(wire.size(), kHttp2HeaderBytes);
    const auto* const bytes = reinterpret_cast<const uint8_t*>(wire.data());
    const Http2FrameHeader header = ReadHttp2Header(bytes);
    Http2Error error = CheckHttp2Header(header, kHttp2FrameSizeMin);
    Http2Prefix prefix;
    if (error == Http2Error::kNone) error = ReadHttp2Prefix(header, bytes + kHttp2HeaderBytes, &prefix);
    ++frames;
    if (!c["error"].is_null()) {
      EXPECT_TRUE(std::any_of(c["error"].begin(), c["error"].end(),
                              [&](const json& code) { return code.get<int>() == static_cast<int>(error); }))
          << static_cast<int>(error);
      continue;
    }
    EXPECT_EQ(error, Http2Error::kNone);
    const json& want = c["frame"];
    EXPECT_EQ(header.length, want["length"]);
    EXPECT_EQ(header.type, want["type"]);
    EXPECT_EQ(header.flags, want["flags"]);
    EXPECT_EQ(header.stream_id, want["stream_identifier"]);
    const json& payload = want["frame_payload"];
    if (payload.contains("padding_length") && !payload["padding_length"].is_null()) {
      EXPECT_EQ(prefix.padding, payload["padding_length"]);
    }
    if (payload.contains("promised_stream_id")) {
      EXPECT_EQ(prefix.promised_stream, payload["promised_stream_id"]);
    }
  }
  EXPECT_EQ(frames, 17u);
}

// A malformed frame is counted, and the next one is read.
TEST(Http2Frames, MalformedOnesArePassedOver) {
  size_t malformed = 0;
  for (const json& c : ReadJson(kData / "http2-frames" / "frames.json")) {
    const string wire = Unhex(c["wire"]);
    const Http2FrameHeader header = ReadHttp2Header(reinterpret_cast<const uint8_t*>(wire.data()));
    if (c["error"].is_null() || wire.size() != kHttp2HeaderBytes + header.length) continue;
    SCOPED_TRACE(c["id"].get<string>());
    Driver d;
    d.connection = MakeHttpConnection(d.shared.get(), 0, HttpVersion::kHttp2);
    Deflater client;
    d.Client(Preface() + wire + client.Headers(3, Get("/after"), true));
    EXPECT_EQ(d.Count("http2.frame_malformed"), 1u);
    ASSERT_EQ(d.size(), 1u);
    EXPECT_EQ(d[0].target, "/after");
    ++malformed;
  }
  EXPECT_GE(malformed, 8u);
}

}  // namespace
}  // namespace stillwatch::dataplane
