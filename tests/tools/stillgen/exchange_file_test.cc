// Recorded exchanges: what the file holds is what was asked and answered, in order of completion, the same
// each time; a broken file is refused.
#include "tools/stillgen/exchange_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "tools/stillgen/exchange_recorder.h"
#include "tools/stillgen/scenario.h"
#include "tools/stillgen/truth.h"

namespace stillwatch::stillgen {
namespace {

using dataplane::ExchangeView;
using dataplane::Part;

class ExchangeFileTest : public testing::Test {
 protected:
  ExchangeFileTest() : path_(std::filesystem::temp_directory_path() / ("stillgen-exchanges-" + std::to_string(getpid()))) {}
  ~ExchangeFileTest() override { std::filesystem::remove(path_); }

  // Plays a small world into the file; keeps texts by answer id hash.
  void Write(uint64_t seed) {
    world_ = std::make_unique<World>(WorldOptions{.seed = seed, .duration_ns = 6 * kNsPerHour});
    BuildWorld(ParseMix("chat=30,agent=10,t4=1x10,t10=1x10,t11=1x12").value(), world_.get());
    auto file = std::move(ExchangeFileWriter::Open(path_)).value();
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
  auto reader = std::move(ExchangeFileReader::Open(path_)).value();
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
    auto reader = ExchangeFileReader::Open(path_);
    if (!reader.ok()) return reader.message();
    for (;;) {
      const auto block = reader.value().Next();
      if (!block.ok()) return block.message();
      if (block.value().empty()) return "";
    }
  };
  EXPECT_EQ(read_all(good), "");
  EXPECT_NE(read_all("").find("no file of recorded exchanges"), std::string::npos);
  EXPECT_NE(read_all("X" + good.substr(1)).find("no file of recorded exchanges"), std::string::npos);
  std::string other = good;
  other[8] = static_cast<char>(other[8] + 8);
  EXPECT_NE(read_all(other).find("record it again"), std::string::npos);
  EXPECT_NE(read_all(good.substr(0, good.size() - 3)).find("ends within"), std::string::npos);
  std::string huge = good;
  huge[16 + 6] = 1;
  EXPECT_NE(read_all(huge).find("impossible"), std::string::npos);
  std::string lengths = good;
  lengths[16 + 8 + offsetof(dataplane::ExchangeHeader, prefix_chain_count)] ^= 64;
  EXPECT_NE(read_all(lengths).find("do not add up"), std::string::npos);
}

}  // namespace
}  // namespace stillwatch::stillgen
