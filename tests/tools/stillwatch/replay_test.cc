// `stillwatch replay` as a user runs it: the same verdicts for any number of workers, one clear line for every
// mistake, and nothing that a capture holds may bring it down.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/tools/program.h"

namespace stillwatch {
namespace {

using ::testing::HasSubstr;
using testing::BinPath;
using testing::Ran;
using testing::ReadAll;
using testing::RunProgram;

const std::string kData = STILLWATCH_SOURCE_DIR "/tests/data/";
const std::string kConfig = STILLWATCH_SOURCE_DIR "/config/examples/replay.toml";

std::vector<std::string> CapturesBelow(const std::string& folder) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const std::string kind = entry.path().extension();
    if (kind == ".pcap" || kind == ".pcapng" || kind == ".trace" || kind == ".cap") found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::map<std::string, std::string> TopicsIn(const std::string& folder) {
  std::map<std::string, std::string> topics;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".ndjson") topics[entry.path().filename()] = ReadAll(entry.path());
  }
  return topics;
}

std::map<std::string, uint64_t> CountersIn(const std::string& folder) {
  std::ifstream file(folder + "/counters.txt");
  std::map<std::string, uint64_t> counters;
  std::string name;
  for (uint64_t value = 0; file >> name >> value;) counters[name] = value;
  return counters;
}

class ReplayTest : public ::testing::Test {
 protected:
  // Connections that interleave in time, so that workers race.
  static void SetUpTestSuite() {
    folder_ = new testing::TempFolder;
    const Ran made = RunProgram({BinPath("make_capture"), Capture(), "400", "4", "3"});
    ASSERT_EQ(made.exit, 0) << made.output;
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }
  static std::string Capture() { return *folder_ / "load.pcap"; }

  static Ran Replay(const std::string& out, std::vector<std::string> words, const std::vector<std::string>& sets = {}) {
    for (const std::string& set : sets) words.insert(words.begin(), {"--set", set});
    words.insert(words.begin(), {"--set", "sketch.gpu=cpu"});  // a build with the plugin says that there is no GPU
    words.insert(words.begin(), {BinPath("stillwatch"), "replay", "--config", kConfig, "--out", out});
    return RunProgram(words);
  }
  // One line that begins with the program's name, and `text` in it.
  static void ExpectOneError(const Ran& ran, int exit, const std::string& text) {
    EXPECT_EQ(ran.exit, exit) << ran.output;
    EXPECT_EQ(std::count(ran.output.begin(), ran.output.end(), '\n'), 1) << ran.output;
    EXPECT_THAT(ran.output, ::testing::StartsWith("stillwatch: "));
    EXPECT_THAT(ran.output, HasSubstr(text));
  }

  static testing::TempFolder* folder_;
};
testing::TempFolder* ReplayTest::folder_ = nullptr;

TEST_F(ReplayTest, AnyNumberOfWorkersGivesTheSameBytes) {
  std::map<std::string, std::string> first;
  for (const std::string workers : {"0", "1", "2", "3", "3"}) {
    const testing::TempFolder out;
    // A small ring between forwarder and workers: they wait for one another at other places each time.
    const Ran ran = Replay(out.path(), {Capture()},
                           {"threads.workers=" + workers, "detect.request_sketches=true", "threads.forwarder_ring_frames=64"});
    ASSERT_EQ(ran.exit, 0) << ran.output;
    const auto topics = TopicsIn(out.path());
    if (first.empty()) {
      first = topics;
      // The capture's 400 connections with 4 requests each, all understood, in traffic order.
      EXPECT_THAT(ran.output, HasSubstr("1,600 exchanges"));
      const std::string& sketches = first["request-sketch.ndjson"];
      EXPECT_EQ(std::count(sketches.begin(), sketches.end(), '\n'), 1'600);
      EXPECT_FALSE(first["account-profile.ndjson"].empty());
      continue;
    }
    for (const auto& [name, bytes] : first) {
      EXPECT_TRUE(topics.contains(name)) << name;
      EXPECT_TRUE(topics.at(name) == bytes) << name << " differs with " << workers << " workers";
    }
    EXPECT_EQ(topics.size(), first.size());
  }
}

TEST_F(ReplayTest, NothingIsDroppedAndEveryLineIsJson) {
  const testing::TempFolder out;
  ASSERT_EQ(Replay(out.path(), {Capture()}, {"threads.workers=2", "threads.forwarder_ring_frames=64"}).exit, 0);
  auto counters = CountersIn(out.path());
  EXPECT_GT(counters["capture.packets"], 3'200u);
  EXPECT_EQ(counters["engine.frames"], counters["capture.packets"]);
  EXPECT_EQ(counters["engine.looked"], counters["capture.packets"]);
  EXPECT_EQ(counters["engine.exchanges"], 1'600u);
  EXPECT_EQ(counters["pipeline.exchanges"], 1'600u);
  EXPECT_EQ(counters["gpu.texts_sketched"], 1'600u);
  EXPECT_EQ(counters["gpu.window_texts"], 1'600u);
  EXPECT_EQ(counters["engine.exchange_dropped"] + counters["engine.worker_ring_full"] + counters["tcp.gaps"], 0u);
  size_t lines = 0;
  for (const auto& [name, bytes] : TopicsIn(out.path())) {
    std::istringstream text(bytes);
    for (std::string line; std::getline(text, line); ++lines) {
      const auto record = nlohmann::json::parse(line, nullptr, false);
      ASSERT_TRUE(record.is_object()) << name << ": " << line;
      EXPECT_TRUE(record.contains("event_id")) << line;
    }
  }
  EXPECT_EQ(lines, counters["pipeline.events_written"]);
}

TEST_F(ReplayTest, ACutCaptureKeepsWhatCameBefore) {
  const testing::TempFolder out;
  const std::string half = out / "half.pcap";
  const std::string bytes = ReadAll(Capture());
  std::ofstream(half, std::ios::binary) << bytes.substr(0, bytes.size() / 2);
  const Ran cut = Replay(out / "out", {half});
  EXPECT_EQ(cut.exit, 0) << cut.output;
  EXPECT_THAT(cut.output, HasSubstr("warning: " + half));
  auto counters = CountersIn(out / "out");
  EXPECT_EQ(counters["capture.truncated_record"], 1u);
  EXPECT_GT(counters["pipeline.exchanges"], 400u);
  EXPECT_LT(counters["pipeline.exchanges"], 1'600u);

  // A later run into the same folder leaves nothing of the earlier one.
  ASSERT_EQ(Replay(out / "out", {Capture()}).exit, 0);
  ASSERT_EQ(Replay(out / "fresh", {Capture()}).exit, 0);
  EXPECT_EQ(TopicsIn(out / "out"), TopicsIn(out / "fresh"));
}

TEST_F(ReplayTest, HttpOfOtherPeopleIsReadAndIsNoModelTraffic) {
  const testing::TempFolder out;
  const std::vector<std::string> captures = CapturesBelow(kData + "pcap/zeek-http-pipelined-requests");
  ASSERT_FALSE(captures.empty());
  const Ran ran = Replay(out.path(), captures, {"ports.ignore_checksums=true"});
  EXPECT_EQ(ran.exit, 0) << ran.output;
  EXPECT_THAT(ran.output, HasSubstr("0 exchanges with model APIs understood"));
  EXPECT_THAT(ran.output, HasSubstr("no campaign found"));
  EXPECT_GT(CountersIn(out.path())["http.requests"], 0u);
}

TEST_F(ReplayTest, WhatCannotBeReadIsSaidInOneLine) {
  const testing::TempFolder out;
  const std::string bin = BinPath("stillwatch"), to = out / "out";
  ExpectOneError(RunProgram({bin, "replay", "--config", "/no/such.toml", "--out", to, Capture()}), 2, "/no/such.toml: cannot be read");
  std::ofstream(out / "bad.toml") << "[flow]\nflow_max = 1\n";
  ExpectOneError(RunProgram({bin, "replay", "--config", out / "bad.toml", "--out", to, Capture()}), 2,
                 "bad.toml:2:1: unknown key flow.flow_max; did you mean flow.flows_max?");
  ExpectOneError(Replay(to, {Capture()}, {"threads.worker=2"}), 2, "unknown key; did you mean threads.workers?");
  ExpectOneError(Replay(to, {Capture()}, {"threads.workers=65"}), 2, "out of range");
  ExpectOneError(Replay(to, {Capture()}, {"privacy.account_key=file:/no/such.key"}), 2, "/no/such.key");
  ExpectOneError(Replay(to, {"/no/such.pcap"}), 2, "/no/such.pcap");
  ExpectOneError(Replay(to, {kConfig}), 2, kConfig);  // no capture at all
  ExpectOneError(Replay("/proc/no/out", {Capture()}), 2, "/proc/no/out");
  ExpectOneError(Replay(kConfig, {Capture()}), 2, kConfig);  // a file where the folder should be
}

TEST_F(ReplayTest, AFullDiskIsAFailureNotASilence) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to mount a small disk";
  // In a view of mounts of its own, which goes with the shell.
  const testing::TempFolder disk;
  const std::string script = "mount -t tmpfs -o size=64k none " + disk.path() + " && exec " + BinPath("stillwatch") + " replay --config " +
                             kConfig + " --set detect.request_sketches=true --out " + disk.path() + "/out " + Capture();
  const Ran ran = RunProgram({"unshare", "--mount", "sh", "-c", script});
  if (ran.output.find("unshare") != std::string::npos) GTEST_SKIP() << ran.output;
  EXPECT_EQ(ran.exit, 1) << ran.output;
  EXPECT_THAT(ran.output, HasSubstr("No space left on device"));
}

TEST_F(ReplayTest, WrongUseIsExplained) {
  const std::string bin = BinPath("stillwatch");
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {bin, "replay"},
           {bin, "replay", "--config", kConfig, Capture()},
           {bin, "replay", "--config", kConfig, "--out", *folder_ / "never"},
           {bin, "replay", "--out", *folder_ / "never", Capture()},
           {bin, "replay", "--config", kConfig, "--out"},
           {bin, "replay", "--config", kConfig, "--out", *folder_ / "never", "--colour", Capture()}}) {
    ExpectOneError(RunProgram(command), 64, "");
  }
  EXPECT_FALSE(std::filesystem::exists(*folder_ / "never"));
}

// Captures that once broke other programs: some one by one, then all at one time.
TEST_F(ReplayTest, NoCaptureBringsItDown) {
  std::vector<std::string> captures = CapturesBelow(kData + "malformed");
  ASSERT_GT(captures.size(), 400u);
  for (const std::string& more : CapturesBelow(kData + "port/captures")) captures.push_back(more);
  const size_t all = captures.size();
  const testing::TempFolder out;
  // Small tables, which are made for each run.
  const std::vector<std::string> small{"sketch.window_mib=16", "flow.flows_max=1024", "detect.profiles_max=1024",
                                       "http.parsers_max=64", "threads.exchange_ring_mib=4", "ports.ignore_checksums=true"};
  for (size_t i = 0; i < captures.size(); i += 24) {
    const Ran ran = Replay(out / "one", {captures[i]}, small);
    if (ran.exit != 0) ExpectOneError(ran, 2, captures[i]);
  }
  for (const std::string workers : {"0", "2"}) {
    std::vector<std::string> sets = small;
    sets.push_back("threads.workers=" + workers);
    Ran ran = Replay(out / "all", captures, sets);
    // One that is no capture is named, and the others are read without it.
    while (ran.exit == 2) {
      const auto named = std::find_if(captures.begin(), captures.end(), [&](const std::string& capture) {
        return ran.output.find(capture + ":") != std::string::npos;
      });
      ASSERT_NE(named, captures.end()) << ran.output;
      ExpectOneError(ran, 2, *named);
      captures.erase(named);
      ran = Replay(out / "all", captures, sets);
    }
    EXPECT_EQ(ran.exit, 0) << ran.output;
    auto counters = CountersIn(out / "all");
    EXPECT_GT(counters["capture.packets"], 1'000u);
    // The forwarder keeps fragments until their datagram is whole; all other frames reach a worker.
    EXPECT_EQ(counters["engine.looked"] + counters["fragment.seen"], counters["capture.packets"]);
  }
  EXPECT_GT(captures.size(), all * 9 / 10);
}

TEST_F(ReplayTest, PoolsAboveTheLimitAreRefusedWithTheKeyToLower) {
  const testing::TempFolder out;
  ExpectOneError(Replay(out.path(), {Capture()}, {"http.parsers_max=10000000"}), 2, "lower the largest pool: http.parsers_max");
#ifndef __SANITIZE_ADDRESS__  // which maps terabytes for itself
  ExpectOneError(RunProgram({"/bin/sh", "-c", "ulimit -v 20000000; exec " + BinPath("stillwatch") + " replay --config " + kConfig +
                                                  " --set memory.max_mib=200000 --set llm.body_pool_mib=65536 --out " + out.path() + " " + Capture()}),
                 1, "the system gives no memory");
#endif
}

TEST_F(ReplayTest, InspectSaysWhenItsOutputIsLost) {
  ExpectOneError(RunProgram({"/bin/sh", "-c", BinPath("stillwatch") + " inspect --layer http " + Capture() + " >/dev/full"}), 1,
                 "the output cannot be written: No space left on device");
}

TEST_F(ReplayTest, ACaptureThatEndsEarlyIsSaidOnce) {
  const testing::TempFolder folder;
  const std::string cut = folder / "cut.pcap";
  std::filesystem::copy_file(Capture(), cut);
  std::filesystem::resize_file(cut, std::filesystem::file_size(cut) - 5);
  const testing::TempFolder out;
  for (const Ran& ran : {Replay(out.path(), {cut}), RunProgram({BinPath("stillwatch"), "inspect", "--layer", "http", cut})}) {
    EXPECT_EQ(ran.exit, 0) << ran.output;
    const size_t first = ran.output.find("cut.pcap");
    ASSERT_NE(first, std::string::npos);
    EXPECT_EQ(ran.output.find("cut.pcap", first + 1), std::string::npos) << ran.output;
  }
}

// Session secrets reach every worker, by the option or by the configuration.
TEST_F(ReplayTest, LooksIntoTlsWithAKeyLog) {
  const std::string folder = kData + "tls-keylog/hotplace-curl_http1_tls12/";
  const std::string capture = folder + "input.pcapng", keys = folder + "keylog.txt";
  for (const char* workers : {"0", "2"}) {
    const testing::TempFolder out;
    const std::vector<std::string> sets = {std::string("threads.workers=") + workers, "ports.ignore_checksums=true"};
    ASSERT_EQ(Replay(out.path(), {"--keylog", keys, capture}, sets).exit, 0);
    EXPECT_EQ(CountersIn(out.path())["tls.decrypted"], 1u) << workers;
    EXPECT_EQ(CountersIn(out.path())["http.requests"], 1u) << workers;
  }
  const testing::TempFolder out;
  ASSERT_EQ(Replay(out.path(), {capture}, {"tls.keylog_file=" + keys, "ports.ignore_checksums=true"}).exit, 0);
  EXPECT_EQ(CountersIn(out.path())["http.requests"], 1u);
  const testing::TempFolder blind;
  ASSERT_EQ(Replay(blind.path(), {capture}, {"ports.ignore_checksums=true"}).exit, 0);
  EXPECT_EQ(CountersIn(blind.path())["http.requests"], 0u);
  EXPECT_EQ(CountersIn(blind.path())["tls.client_hellos"], 1u);
  ExpectOneError(Replay(out.path(), {"--keylog", folder + "none.txt", capture}), 2, "none.txt");
}

}  // namespace
}  // namespace stillwatch
