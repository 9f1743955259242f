// For tests of `stillwatch replay` on what stillgen makes: a folder of one suite, and the two programs run into it.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/tools/program.h"

namespace stillwatch::testing {

inline const std::string kReplayConfig = STILLWATCH_SOURCE_DIR "/config/examples/replay.toml";
inline const std::string kReplayAccountKey = "hex:7374696c6c77617463682d6578616d706c65";  // of that file

// One suite a program: the folder is the suite's.
class ReplaySuite : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { folder_ = new TempFolder; }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }

  static std::string Path(const std::string& name) { return *folder_ / name; }
  // `command`: capture or record. Writes Path(name).
  static void Make(const std::string& command, const std::string& name, std::vector<std::string> words) {
    words.insert(words.begin(), {BinPath("stillgen"), command, "--out", Path(name)});
    const Ran ran = RunProgram(words);
    ASSERT_EQ(ran.exit, 0) << ran.output;
  }
  // Writes into the folder Path(out). By the CPU: a build with the CUDA plugin would say that there is no GPU.
  static Ran Replay(const std::string& out, std::vector<std::string> words) {
    words.insert(words.begin(), {BinPath("stillwatch"), "replay", "--config", kReplayConfig, "--set", "sketch.gpu=cpu", "--out", Path(out)});
    return RunProgram(words);
  }

 private:
  static inline TempFolder* folder_ = nullptr;
};

}  // namespace stillwatch::testing
