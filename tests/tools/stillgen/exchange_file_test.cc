// Recorded exchanges: what the file holds is what was asked and answered, in order of completion, the same
// each time; a broken file is refused.
#include "dataplane/llm/exchange_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "base/endian.h"
#include "tools/stillgen/exchange_recorder.h"
#include "tools/stillgen/scenario.h"
#include "tools/stillgen/truth.h"

namespace stillwatch::stillgen {
namespace {

using dataplane::ExchangeFileReader;
using dataplane::ExchangeFileWriter;
using dataplane::ExchangeView;
using dataplane::Part;

const dataplane::ExchangeFileMarks kMarks = dataplane::MarksOf(Salt{7}, "key");
constexpr size_t kHead = 32, kRecordHead = 16;

class ExchangeFileTest : public testing::Test {
 protected:
  ExchangeFileTest() : path_(std::filesystem::temp_directory_path() / ("stillgen-exchanges-" + std::to_string(getpid()))) {}
  ~ExchangeFileTest() override { std::filesystem::remove(path_); }

  // Plays a small world into the file; keeps texts by answer id hash.
  void Write(uint64_t seed) {
    world_ = std::make_unique<World>(WorldOptions{.seed = seed, .duration_ns = 6 * kNsPerHour});
    BuildWorld(ParseMix("chat=30,agent=10,t4=1x10,t10=1x10,t11=1x12").value(), world_.get());
    auto file = std::move(ExchangeFileWriter::Open(path_, kMarks)).value();
    ExchangeRecorder recorder(*world_, Salt{7}, "key");
    asked_.clear();
    totals_ = Drive(world_.get(), {.rate_limited = 0.02, .answer_tokens = 40}, [&](const Exchanged& e) {
      file.Advance(world_->options.start_unix_ns + e.asked_ns);
      const ExchangeView view = recorder.Record(e);
      file.Add(view);
      if (e.answer->status == 200) asked_[view.ids_issued()[0]] = {*e.prompt, *e.answer, e.account};
    });
    ASSERT_TRUE(file.Close().ok());
  }
  std::string Contents() const {
    std::ifstream in(path_, std::ios::binary);
    std::ostringstream all;
    all << in.rdbuf();
    return all.str();
  }

  struct Asked {
    Prompt prompt;
    Answer answer;
    const Account* account;
  };
  std::filesystem::path path_;
  std::unique_ptr<World> world_;
  std::map<uint64_t, Asked> asked_;
  DriveTotals totals_;
};

// One byte at a time through the tokenizer's general path.
std::vector<uint32_t> SlowTokens(std::string_view text) {
  struct Sink : text::TokenSink {
    void Append(std::span<const uint32_t> hashes) override { all.insert(all.end(), hashes.begin(), hashes.end()); }
    std::vector<uint32_t> all;
  } sink;
  text::Tokenizer tokenizer{text::TokenHasher(Salt{7})};
  tokenizer.FeedSlowly(text, &sink);
  tokenizer.Finish(&sink);
  return sink.all;
}

TEST_F(ExchangeFileTest, HoldsWhatWasAskedInOrderOfCompletion) {
  Write(5);
  auto reader = std::move(ExchangeFileReader::Open(path_, kMarks)).value();
  uint64_t count = 0, matched = 0;
  int64_t last = 0;
  for (;;) {
    const auto block = reader.Next();
    ASSERT_TRUE(block.ok()) << block.message();
    if (block.value().empty()) break;
    const ExchangeView view(block.value());
    EXPECT_EQ(view.header().order.packet, ++count);
    EXPECT_GE(view.header().response_end_ns, last);
    last = view.header().response_end_ns;
    if (view.header().status != 200) {
      EXPECT_TRUE(view.has(dataplane::kRateLimited));
      continue;
    }
    const auto found = asked_.find(view.ids_issued()[0]);
    ASSERT_NE(found, asked_.end());
    const auto& [prompt, answer, account] = found->second;
    ++matched;
    EXPECT_EQ(view.model(), prompt.model);
    EXPECT_EQ(HexOf(Bytes(view.header().key_id, 16)), KeyId("key", account->client.key));
    EXPECT_EQ(view.header().logit_bias_count, prompt.parameters.logit_bias.size());
    std::string instruction;
    for (const Message& m : prompt.messages) if (m.role == Message::Role::kUser) instruction = m.text;
    const auto tokens = view.tokens(Part::kInstruction);
    const auto slow = SlowTokens(instruction);
    ASSERT_TRUE(std::equal(tokens.begin(), tokens.end(), slow.begin(), slow.end())) << instruction;
    const auto output = view.tokens(Part::kOutput);
    const auto said = SlowTokens(answer.text);
    ASSERT_TRUE(std::equal(output.begin(), output.end(), said.begin(), said.end()));
    EXPECT_EQ(view.prefix_chain().size(), std::min<size_t>(prompt.messages.size(), dataplane::kPrefixChainMax));
  }
  EXPECT_EQ(count, totals_.exchanges);
  EXPECT_EQ(matched + totals_.rate_limited, count);
  EXPECT_GT(matched, 300u);
}

TEST_F(ExchangeFileTest, SameSeedSameBytes) {
  Write(6);
  const std::string first = Contents();
  Write(6);
  EXPECT_TRUE(first == Contents());
  Write(7);
  EXPECT_FALSE(first == Contents());
}

TEST_F(ExchangeFileTest, BrokenFilesAreRefused) {
  Write(8);
  const std::string good = Contents();
  const auto read_all = [&](const std::string& bytes) -> std::string {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
    auto reader = ExchangeFileReader::Open(path_, kMarks);
    if (!reader.ok()) return reader.message();
    for (;;) {
      const auto block = reader.value().Next();
      if (!block.ok()) return block.message();
      if (block.value().empty()) return "";
    }
  };
  const auto broken = [&](const std::string& bytes, const std::string& why) {
    EXPECT_NE(read_all(bytes).find(why), std::string::npos) << why << ", not: " << read_all(bytes);
  };
  const auto with = [&](size_t at, char flip) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ flip);
    return bytes;
  };
  EXPECT_EQ(read_all(good), "");
  broken("", "no file of recorded exchanges");
  broken(with(0, 1), "no file of recorded exchanges");
  broken(with(7, 1), "another version");
  broken(with(8, 8), "record it again");
  broken(with(16, 1), "another privacy.salt");
  broken(with(24, 1), "another privacy.account_key");
  broken(good.substr(0, 20), "cut short");
  broken(good.substr(0, good.size() - 3), "cut short");
  broken(good.substr(0, kHead), "cut short");
  // Cut between two records: only the missing end tells.
  const size_t first = kHead + kRecordHead + (LoadLe<uint64_t>(&good[kHead]) + 7) / 8 * 8;
  broken(good.substr(0, first), "record 2: the file is cut short before it");
  broken(with(kHead + 6, 1), "impossible");
  broken(with(kHead + kRecordHead + 300, 1), "damaged");
  broken(with(good.size() - 8, 1), "another number of records");
  broken(good + "x", "follows the end");
  broken(good.substr(0, kHead) + good.substr(kHead, first - kHead) + good.substr(kHead), "out of order");
}

// A block that its own hash vouches for is still held to the bounds that readers rely on.
TEST_F(ExchangeFileTest, ValuesOutOfBoundsAreRefused) {
  const auto read = [&](const std::function<void(dataplane::ExchangeHeader*)>& change, size_t extra) {
    std::vector<uint8_t> block(sizeof(dataplane::ExchangeHeader) + extra);
    dataplane::ExchangeHeader header;
    change(&header);
    std::memcpy(block.data(), &header, sizeof header);
    const uint64_t head[2] = {block.size(), KeyedHash64(Bytes(block), Salt{})}, end[2] = {0, 1}, zero = 0;
    auto writer = std::move(ExchangeFileWriter::Open(path_, kMarks)).value();
    EXPECT_TRUE(writer.Close().ok());
    std::string bytes = Contents().substr(0, kHead);
    bytes.append(reinterpret_cast<const char*>(head), sizeof head);
    bytes.append(block.begin(), block.end());
    bytes.append(reinterpret_cast<const char*>(&zero), (8 - block.size() % 8) % 8);
    bytes.append(reinterpret_cast<const char*>(end), sizeof end);
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
    auto reader = std::move(ExchangeFileReader::Open(path_, kMarks)).value();
    const auto block_read = reader.Next();
    return block_read.ok() ? std::string() : block_read.message();
  };
  EXPECT_EQ(read([](auto*) {}, 0), "");
  EXPECT_EQ(read([](auto* h) { h->dialect = dataplane::Dialect::kGeneric, h->api = dataplane::Api::kRealtime; }, 0), "");
  const std::string bounds = path_.string() + ": record 1: a value is out of its bounds";
  EXPECT_EQ(read([](auto* h) { h->part_tokens[1] = dataplane::kPartTokensMax + 1; }, 4 * (dataplane::kPartTokensMax + 1)), bounds);
  EXPECT_EQ(read([](auto* h) { h->model_length = 65; }, 65), bounds);
  EXPECT_EQ(read([](auto* h) { h->prefix_chain_count = 65; }, 65 * 8), bounds);
  EXPECT_EQ(read([](auto* h) { h->client.length = 17; }, 0), bounds);
  EXPECT_EQ(read([](auto* h) { h->api = static_cast<dataplane::Api>(dataplane::kApis); }, 0), bounds);
  EXPECT_EQ(read([](auto* h) { h->dialect = static_cast<dataplane::Dialect>(dataplane::kDialects); }, 0), bounds);
  EXPECT_EQ(read([](auto* h) { h->model_length = 3; }, 2), path_.string() + ": record 1: its lengths do not add up");
}

}  // namespace
}  // namespace stillwatch::stillgen
