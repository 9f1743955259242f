// A box whose GPU is missing, too small or disappears, as its operator sees it: the whole program, which finds the plugin
// library beside itself. Where this build has CUDA, one with the kernels' PTX in the GPU's place that fails at a batch drawn
// by a seed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "tests/e2e/net_lab.h"
#include "tests/tools/stillwatch/chat.h"
#include "tests/e2e/lab_test.h"
#include "tests/tools/stillwatch/daemon_process.h"

namespace stillwatch::e2e {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using nlohmann::json;
using stillwatch::testing::BinPath;
using stillwatch::testing::ReadAll;
using stillwatch::testing::RunProgram;
using stillwatch::testing::WaitFor;

// The program in a folder of its own, with the plugin library of the test's choice beside it or none.
class OwnProgram {
 public:
  explicit OwnProgram(const std::string& plugin = "") {
    std::filesystem::copy_file(BinPath("stillwatch"), path());
    if (!plugin.empty()) std::filesystem::copy_file(plugin, folder_ / "libstillwatch_cuda.so");
  }
  std::string path() const { return folder_ / "stillwatch"; }
  std::string operator/(const std::string& name) const { return folder_ / name; }

 private:
  const testing::TempFolder folder_;
};

class DaemonCudaTest : public e2e::LabTest {
 protected:
  void SetUp() override {
    e2e::LabTest::SetUp();
    if (IsSkipped()) return;
    daemon_ = std::make_unique<DaemonProcess>(*lab_);
  }
  void TearDown() override {
    daemon_.reset();
    for (const char* name : {"STILLWATCH_TEST_GPU_FAILS_AT", "STILLWATCH_TEST_GPU_BYTES"}) unsetenv(name);
  }
  bool Start(const OwnProgram& program, std::vector<std::string> more) {
    daemon_->UseProgram(program.path());
    more.push_back("sketch.representatives_max = 64");
    return daemon_->Start(daemon_->WriteConfig("v1.toml", more));
  }
  void ExpectNoStart(const OwnProgram& program, const std::vector<std::string>& more, const std::vector<std::string>& why) {
    if (Start(program, more)) {
      ADD_FAILURE() << "it started";
      daemon_->Stop();
      return;
    }
    EXPECT_NE(daemon_->Wait(), 0);
    for (const std::string& words : why) EXPECT_THAT(daemon_->log(), HasSubstr(words));
  }

  std::unique_ptr<DaemonProcess> daemon_;
};

TEST_F(DaemonCudaTest, WithoutALibraryAutoIsTheCpuAndCudaDoesNotStart) {
  const OwnProgram program;
  ExpectNoStart(program, {"sketch.gpu = \"cuda\""}, {"no GPU: ", "libstillwatch_cuda.so", "sketch.gpu = \"auto\" starts without one"});
  ASSERT_TRUE(Start(program, {"sketch.gpu = \"auto\""}));
  const json status = daemon_->Ask({"status"});
  EXPECT_THAT(status["backend"].get<std::string>(), StartsWith("cpu-"));
  EXPECT_EQ(status["degraded"], false);
  EXPECT_EQ(status["alarms"], json::array());
  EXPECT_EQ(daemon_->Stop(), 0);
}

// A mistake of the configuration, which does not depend on what this machine has.
TEST_F(DaemonCudaTest, ABudgetTooSmallIsRefusedWithTheSizeThatFits) {
  const OwnProgram program;
  for (const char* gpu : {"auto", "cuda"}) {
    ExpectNoStart(program, {std::string("sketch.gpu = \"") + gpu + "\"", "sketch.device_mib = 64"},
                  {"device memory: ", "the budget is 67108864; sketch.device_mib = ", " would fit", "sketch.bucket_pairs_max"});
  }
  ASSERT_TRUE(Start(program, {"sketch.gpu = \"cpu\"", "sketch.device_mib = 64"})) << "nobody takes device memory";
  EXPECT_EQ(daemon_->Stop(), 0);
}

#ifdef STILLWATCH_FAILING_GPU
// Its driver is missing here, as on a box whose driver was not installed.
TEST_F(DaemonCudaTest, WithoutADriverAutoIsTheCpuAndSaysWhy) {
  if (std::filesystem::exists("/dev/nvidia0")) GTEST_SKIP() << "this machine has a GPU";
  const OwnProgram program(BinPath("libstillwatch_cuda.so"));
  ExpectNoStart(program, {"sketch.gpu = \"cuda\""}, {"no GPU: ", "cudaGetDeviceCount: ", "sketch.gpu = \"auto\" starts without one"});
  ASSERT_TRUE(Start(program, {"sketch.gpu = \"auto\""}));
  EXPECT_THAT(daemon_->log(), HasSubstr("no GPU, the CPU computes sketches: "));
  const json status = daemon_->Ask({"status"});
  EXPECT_THAT(status["backend"].get<std::string>(), StartsWith("cpu-"));
  EXPECT_EQ(status["degraded"], false) << "nothing failed: this box has no GPU";
  EXPECT_EQ(daemon_->Stop(), 0);
}

TEST_F(DaemonCudaTest, AGpuThatIsTooSmallIsNotTaken) {
  const OwnProgram program(STILLWATCH_FAILING_GPU);
  setenv("STILLWATCH_TEST_GPU_BYTES", "80000000", 1);
  ExpectNoStart(program, {"sketch.gpu = \"cuda\""}, {"PTX on the CPU has 80000000 free", "sketch.window_mib"});
  ASSERT_TRUE(Start(program, {"sketch.gpu = \"auto\""}));
  EXPECT_THAT(daemon_->Ask({"status"})["backend"].get<std::string>(), StartsWith("cpu-"));
  EXPECT_EQ(daemon_->Stop(), 0);
}

TEST_F(DaemonCudaTest, AGpuThatDisappearsIsToldEverywhereAndLosesNothing) {
  const OwnProgram program(STILLWATCH_FAILING_GPU);
  std::mt19937_64 random(23);
  const uint64_t at = 1 + random() % 3;
  setenv("STILLWATCH_TEST_GPU_FAILS_AT", std::to_string(at).c_str(), 1);
  ASSERT_TRUE(Start(program, {"sketch.gpu = \"cuda\"", "sketch.device_mib = 160"}));
  const json before = daemon_->Ask({"status"});
  EXPECT_EQ(before["backend"], "cuda (PTX on the CPU)");
  EXPECT_EQ(before["degraded"], false);
  EXPECT_EQ(before["alarms"], json::array());

  // One account asks once before the failure, another the same after it.
  const std::string text = "Explain in three short steps how a suspension bridge carries the weight of its deck to the ground";
  ChatServer server(*lab_);
  ChatClient first(*lab_, "sk-first"), second(*lab_, "sk-second");
  uint64_t asked = 0;
  first.Ask(text);
  ++asked;
  EXPECT_TRUE(WaitFor([&] {
    first.Ask("Question " + std::to_string(asked) + ", unlike any other: " + std::to_string(random()) + " " + std::to_string(random()));
    ++asked;
    return daemon_->Ask({"status"})["degraded"] == true;
  }, std::chrono::seconds(60)));
  const uint64_t near = daemon_->Counter("pipeline.near_duplicates");
  second.Ask(text);
  ++asked;

  const json status = daemon_->Ask({"status"});
  EXPECT_THAT(status["backend"].get<std::string>(), StartsWith("cuda, degraded to cpu-"));
  ASSERT_EQ(status["alarms"].size(), 1u) << status;
  EXPECT_THAT(status["alarms"][0].get<std::string>(),
              HasSubstr("the GPU failed and the CPU computes in its place; joins skipped so far: 0"));
  EXPECT_THAT(daemon_->Ctl({"status"}).output, HasSubstr("the GPU failed"));
  EXPECT_THAT(daemon_->log(), HasSubstr("injected fault: launch of SketchTexts"));
  EXPECT_EQ(daemon_->Counter("gpu.device_failed"), 1u);
  EXPECT_EQ(daemon_->Counter("gpu.degraded"), 1u);
  EXPECT_GT(daemon_->Counter("gpu.fallback_rows"), 0u);

  // What the GPU's window held is compared with what comes after, and every exchange has its sketch.
  EXPECT_TRUE(WaitFor([&] { return daemon_->Counter("pipeline.near_duplicates") > near; }));
  EXPECT_TRUE(WaitFor([&] { return daemon_->Counter("gpu.texts_sketched") == asked; }));
  const auto degraded = [&] {
    for (const json& record : daemon_->Records("box-status")) {
      if (record["degraded"] == true && record["alarms"].size() == 1 && record["counters"]["gpu.degraded"] == 1) return true;
    }
    return false;
  };
  EXPECT_TRUE(WaitFor(degraded));
  EXPECT_EQ(daemon_->Stop(), 0);
  EXPECT_EQ(daemon_->Records("request-sketch").size(), asked);
}

// Of a capture a failure changes no record, and the counters tell of it.
TEST(ReplayCudaTest, AGpuThatDisappearsChangesNoRecord) {
  const OwnProgram program(STILLWATCH_FAILING_GPU);
  ASSERT_EQ(RunProgram({BinPath("make_capture"), program / "made.pcap", "120", "3", "5"}).exit, 0);
  std::mt19937_64 random(31);
  const auto replay = [&](const std::string& out, const std::string& gpu) {
    return RunProgram({program.path(), "replay", "--config", STILLWATCH_SOURCE_DIR "/config/examples/replay.toml", "--out", program / out,
                       "--set", "sketch.gpu=" + gpu, "--set", "sketch.window_mib=16", "--set", "sketch.representatives_max=64",
                       "--set", "detect.request_sketches=true", program / "made.pcap"});
  };
  setenv("STILLWATCH_TEST_GPU_FAILS_AT", std::to_string(random() % 2).c_str(), 1);
  const testing::Ran cpu = replay("cpu", "cpu"), failed = replay("failed", "cuda");
  unsetenv("STILLWATCH_TEST_GPU_FAILS_AT");
  ASSERT_EQ(cpu.exit, 0) << cpu.output;
  ASSERT_EQ(failed.exit, 0) << failed.output;
  EXPECT_THAT(failed.output, HasSubstr("the GPU failed, the CPU computes from here on"));
  EXPECT_THAT(ReadAll(program / "failed/counters.txt"), HasSubstr("gpu.device_failed 1"));
  EXPECT_THAT(ReadAll(program / "cpu/counters.txt"), Not(HasSubstr("gpu.device_failed 1")));
  size_t topics = 0;
  for (const auto& entry : std::filesystem::directory_iterator(program / "cpu")) {
    if (entry.path().extension() != ".ndjson") continue;
    ++topics;
    EXPECT_TRUE(ReadAll(entry.path()) == ReadAll(program / ("failed/" + entry.path().filename().string()))) << entry.path();
  }
  EXPECT_GE(topics, 2u);
  EXPECT_GT(ReadAll(program / "cpu/request-sketch.ndjson").size(), 360u * 100) << "or nothing was compared";
}
#endif

}  // namespace
}  // namespace stillwatch::e2e
