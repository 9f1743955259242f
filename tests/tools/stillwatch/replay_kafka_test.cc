// `stillwatch replay` into a real broker that is killed with -9 in the middle of delivery and started again: every
// event of the files is on its topic at least once, under the same id.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "pipeline/kafka/kafka_admin.h"
#include "pipeline/sink/topic_records.h"
#include "tests/pipeline/kafka/real_broker.h"
#include "tests/pipeline/kafka/topic_reader.h"
#include "tests/tools/program.h"

namespace stillwatch {
namespace {

using pipeline::Topic;
using testing::BinPath;
using testing::ReadAll;

constexpr Topic kTopics[] = {Topic::kRequestSketch, Topic::kAccountProfile};
constexpr int64_t kDeadlineS = 90;

std::set<std::string> IdsIn(const std::string& path) {
  std::set<std::string> ids;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) ids.insert(nlohmann::json::parse(line)["event_id"]);
  return ids;
}

TEST(ReplayKafkaTest, EveryEventArrivesThoughTheBrokerIsKilled) {
  const testing::TempFolder folder;
  ASSERT_EQ(testing::RunProgram({BinPath("make_capture"), folder / "load.pcap", "3000", "10", "3"}).exit, 0);
  const pipeline::RealBroker broker;
  const std::string address = broker.Run("start");
  ASSERT_NE(address, "") << "tools/kafka start failed";
  pipeline::KafkaOptions options;
  options.brokers = address;
  ASSERT_TRUE(pipeline::CreateKafkaTopics(options, 1, 30'000).ok());
  ASSERT_TRUE(testing::WaitFor([&] { return pipeline::CheckKafkaCluster(options, 10'000).ok(); }));

  std::vector<std::pair<std::string, int>> topics;
  for (const Topic topic : kTopics) {
    topics.emplace_back("stillwatch." + std::string(NameOf(topic)), pipeline::FactsOf(topic).partitions);
  }
  testing::Program replay(folder / "log", {BinPath("stillwatch"), "replay", "--config", STILLWATCH_SOURCE_DIR "/config/examples/replay.toml",
                                           "--set", "kafka.enabled=true", "--set", "kafka.brokers=[\"" + address + "\"]",
                                           "--set", "detect.request_sketches=true", "--out", folder / "out", folder / "load.pcap"});
  std::set<std::string> delivered;
  const auto take = [&](const pipeline::ReadRecord& record) {
    delivered.insert(record.headers.at("event_id"));
    return true;
  };
  {
    pipeline::TopicReader reader(address, topics);
    ASSERT_TRUE(reader.ReadUntil(take, kDeadlineS)) << ReadAll(folder / "log");
  }
  broker.Run("kill9");
  // It goes on writing files, and does not leave while the broker is away.
  ASSERT_TRUE(testing::WaitFor([&] { return ReadAll(folder / "log").find("broker") != std::string::npos; })) << ReadAll(folder / "log");
  EXPECT_TRUE(replay.Running()) << ReadAll(folder / "log");
  ASSERT_EQ(broker.Run("start"), address);
  ASSERT_EQ(replay.Wait(), 0) << ReadAll(folder / "log");

  std::set<std::string> wanted;
  for (const Topic topic : kTopics) wanted.merge(IdsIn(folder / "out/" + std::string(NameOf(topic)) + ".ndjson"));
  ASSERT_GT(wanted.size(), 30'000u);
  pipeline::TopicReader reader(address, topics);
  const bool all = reader.ReadUntil([&](const pipeline::ReadRecord& record) {
    wanted.erase(record.headers.at("event_id"));
    return wanted.empty();
  }, kDeadlineS);
  EXPECT_TRUE(all) << wanted.size() << " events are missing, the first " << *wanted.begin();
}

}  // namespace
}  // namespace stillwatch
