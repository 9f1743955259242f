// The packet path between two hosts, for tests: the lab, the process, its folder for pins.
#pragma once

#include <gtest/gtest.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/bypass/fail_open.h"
#include "forwarder_process.h"
#include "lab_test.h"

namespace stillwatch::e2e {

inline constexpr int kTimeoutMs = 20;  // of the heart

inline void SleepMs(long ms) {
  const timespec nap{ms / 1000, ms % 1000 * 1'000'000};
  nanosleep(&nap, nullptr);
}

// Waits until `condition` holds, at most 30 s.
template <typename Condition>
bool Await(Condition condition) {
  for (int i = 0; i < 3'000; ++i) {
    if (condition()) return true;
    SleepMs(10);
  }
  return false;
}

class InlineLabTest : public LabTest {
 protected:
  void SetUp() override {
    LabTest::SetUp();
    if (IsSkipped()) return;
    bpffs_ = "/tmp/stillwatch-e2e-" + std::to_string(getpid()) + "/bpf";
    process_ = std::make_unique<ForwarderProcess>(*lab_);
  }
  void TearDown() override {
    process_.reset();
    if (!bpffs_.empty()) {
      EXPECT_TRUE(dataplane::FailOpen::Uninstall(bpffs_).ok());
      std::filesystem::remove_all(std::filesystem::path(bpffs_).parent_path());
    }
  }

  std::vector<std::string> Inline(std::vector<std::string> more = {}) const {
    std::vector<std::string> words{"--a",     "a0",   "--b",          "b0",
                                   "--bpffs", bpffs_, "--timeout-ms", std::to_string(kTimeoutMs)};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  std::string bpffs_;
  std::unique_ptr<ForwarderProcess> process_;
};

}  // namespace stillwatch::e2e
