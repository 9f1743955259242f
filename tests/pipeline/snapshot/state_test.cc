// Going on from a snapshot is as if nothing had happened: every record of every topic is the same byte for byte, wherever
// the run was cut. A field that is forgotten shows here as soon as a record rests on it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "pipeline/pipeline.h"
#include "pipeline/sink/memory_sink.h"
#include "pipeline/store/outbox_sink.h"
#include "tests/pipeline/detect/crowd.h"
#include "tests/pipeline/store/temp_folder.h"

namespace stillwatch::pipeline {
namespace {

using ::testing::HasSubstr;

constexpr Topic kTopicsCompared[] = {Topic::kAccountProfile, Topic::kEdge, Topic::kCampaignVerdict, Topic::kCampaignState,
                                     Topic::kEnforcementAdvice, Topic::kAudit};

PipelineOptions Options() {
  PipelineOptions options;
  options.token_hash = crowd::TokenOf;
  options.tunables.profiles_max = 4096;
  options.tunables.fragment_rows_max = 1 << 14;  // small: rows are evicted
  options.tunables.doorkeeper_rows = 1 << 16;
  options.seal_key = MakeSealKey("key", Salt{});
  return options;
}

// Shared by the pipelines of a test: what they take of it, embeddings, rests on no state.
gpu::Backend* TheBackend() {
  static const std::unique_ptr<gpu::Backend> backend = [] {
    gpu::BackendOptions options;
    options.window_bytes = 16 << 20, options.representatives_max = 64;
    auto made = gpu::MakeCpuBackend(options);
    CHECK(made.ok());
    return std::move(made).value();
  }();
  return backend.get();
}

const crowd::Crowd& TheCrowd() {
  static const crowd::Crowd crowd = crowd::MakeCrowd({.seed = 3, .chat_accounts = 200, .app_accounts = 5, .framework_accounts = 40,
                                                      .classes = 1, .harnesses = 1, .batch_jobs = 1, .pack_users = 10, .t1 = true, .t4 = true, .migrates = true});
  return crowd;
}

void Play(Pipeline* pipeline, size_t from, size_t to) {
  dataplane::ExchangeBuilder builder;
  for (size_t i = from; i < to; ++i) pipeline->OnExchange(crowd::BuildExchange(TheCrowd(), TheCrowd().requests[i], i, &builder));
}

// The first exchange at or after `wanted` that begins a batch.
size_t BatchBegin(size_t wanted) {
  dataplane::ExchangeBuilder builder;
  int64_t newest = 0, newest_before = 0;
  for (size_t i = 0; i < TheCrowd().requests.size(); ++i) {
    newest_before = newest;
    newest = std::max(newest, crowd::BuildExchange(TheCrowd(), TheCrowd().requests[i], i, &builder).header().response_end_ns);
    if (i >= wanted && newest / 1'000'000'000 != newest_before / 1'000'000'000) return i;
  }
  return TheCrowd().requests.size();
}

TEST(State, ARunInPiecesWritesTheRecordsOfOneRun) {
  const size_t all = TheCrowd().requests.size();
  MemorySink whole;
  {
    Pipeline pipeline(Options(), TheBackend(), &whole, nullptr);
    Play(&pipeline, 0, all);
    ASSERT_TRUE(pipeline.Finish().ok());
  }
  ASSERT_FALSE(whole.Lines(Topic::kEnforcementAdvice).empty()) << "nothing to compare";
  for (const size_t pieces : {2, 3, 7}) {
    MemorySink cut;
    std::string state;
    size_t at = 0, with_campaigns = 0;
    for (size_t piece = 1; piece <= pieces; ++piece) {
      Pipeline pipeline(Options(), TheBackend(), &cut, nullptr);
      if (piece != 1) {
        const Status loaded = pipeline.LoadState(state);
        ASSERT_TRUE(loaded.ok()) << loaded.message();
      }
      with_campaigns += !pipeline.Campaigns().empty();
      const size_t to = piece == pieces ? all : BatchBegin(all * piece / pieces);
      Play(&pipeline, at, to);
      at = to;
      if (piece == pieces) {
        ASSERT_TRUE(pipeline.Finish().ok());
        continue;
      }
      ASSERT_TRUE(pipeline.Suspend().ok());
      state.clear();
      pipeline.SaveState(&state);
      // Saved once more after it was read it is the same.
      Pipeline again(Options(), TheBackend(), &cut, nullptr);
      ASSERT_TRUE(again.LoadState(state).ok());
      std::string twice;
      again.SaveState(&twice);
      EXPECT_TRUE(twice == state);
    }
    EXPECT_GT(with_campaigns, 0u) << "no piece began with a campaign";
    for (const Topic topic : kTopicsCompared) {
      EXPECT_TRUE(whole.Lines(topic) == cut.Lines(topic)) << NameOf(topic) << " in " << pieces << " pieces";
    }
  }
}

// The exchanges of the open batch are not in a snapshot: after a kill they were never seen.
TEST(State, IsOfTheLastClosedBatch) {
  const size_t half = BatchBegin(TheCrowd().requests.size() / 2);
  MemorySink sink;
  Pipeline pipeline(Options(), nullptr, &sink, nullptr);
  Play(&pipeline, 0, half + 1);  // the one more closes the batch before it
  std::string state;
  pipeline.SaveState(&state);
  Pipeline again(Options(), nullptr, &sink, nullptr);
  ASSERT_TRUE(again.LoadState(state).ok());
  EXPECT_EQ(again.profiles().size(), pipeline.profiles().size());
  uint64_t exchanges = 0;
  for (const Profile& profile : again.profiles().all()) exchanges += profile.exchanges;
  EXPECT_LE(exchanges, half);
  EXPECT_GT(exchanges, 0u);
}

// A kill between two snapshots: what topics tell of campaigns is never older than the topics.
TEST(State, CampaignsAndAdviceAreAsNewAsTheirEvents) {
  const TempFolder folder;
  OutboxOptions outbox_options;
  outbox_options.dir = folder / "outbox";
  outbox_options.bytes_max = 64 << 20;
  PipelineOptions options = Options();
  options.commit_books = true;
  std::string old_state;
  std::vector<std::string> ids;
  {
    auto outbox = Outbox::Open(outbox_options, SystemClock());
    ASSERT_TRUE(outbox.ok()) << outbox.message();
    OutboxSink sink(*outbox.value());
    Pipeline pipeline(options, nullptr, &sink, nullptr);
    Play(&pipeline, 0, 100);
    pipeline.SaveState(&old_state);
    EXPECT_TRUE(pipeline.Campaigns().empty());
    Play(&pipeline, 100, TheCrowd().requests.size());
    for (const auto& campaign : pipeline.Campaigns()) ids.push_back(campaign.campaign_id());
    ASSERT_FALSE(ids.empty());
  }  // no Finish: a kill
  auto outbox = Outbox::Open(outbox_options, SystemClock());
  ASSERT_TRUE(outbox.ok()) << outbox.message();
  const auto books = outbox.value()->LoadSnapshot();
  ASSERT_TRUE(books.ok() && books.value().has_value());
  MemorySink sink;
  Pipeline pipeline(options, nullptr, &sink, nullptr);
  ASSERT_TRUE(pipeline.LoadState(old_state).ok());
  const Status loaded = pipeline.LoadSealedBooks(books.value()->blob);
  ASSERT_TRUE(loaded.ok()) << loaded.message();
  std::vector<std::string> restored;
  for (const auto& campaign : pipeline.Campaigns()) restored.push_back(campaign.campaign_id());
  EXPECT_EQ(restored, ids);
  options.seal_key = MakeSealKey("another key", Salt{});
  Pipeline foreign(options, nullptr, &sink, nullptr);
  EXPECT_THAT(foreign.LoadSealedBooks(books.value()->blob).message(), HasSubstr("another privacy.account_key"));
}

TEST(State, BytesThatNothingWritesAreRefused) {
  MemorySink sink;
  Pipeline pipeline(Options(), nullptr, &sink, nullptr);
  Play(&pipeline, 0, 2'000);
  std::string state;
  pipeline.SaveState(&state);
  const auto refused = [&](const std::string& bytes, PipelineOptions options = Options()) {
    Pipeline fresh(std::move(options), nullptr, &sink, nullptr);
    const Status loaded = fresh.LoadState(bytes);
    return loaded.ok() ? "" : loaded.message();
  };
  EXPECT_EQ(refused(state), "");
  for (size_t size = 0; size < state.size(); size += state.size() / 50) EXPECT_EQ(refused(state.substr(0, size)), "is cut short");
  EXPECT_EQ(refused(state + "x"), "goes on after its end");
  PipelineOptions small = Options();
  small.tunables.profiles_max = 16;
  EXPECT_THAT(refused(state, small), HasSubstr("raise it"));
  small = Options();
  small.tunables.doorkeeper_rows *= 2;
  EXPECT_THAT(refused(state, small), HasSubstr("another size"));
}

}  // namespace
}  // namespace stillwatch::pipeline
