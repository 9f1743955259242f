// A test with a lab of its own; skipped, with the reason, where namespaces are not allowed. What a derived test holds goes before the lab.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "net_lab.h"

namespace stillwatch::e2e {

class LabTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (WhyNoNamespaces().empty()) KeepMountsToOurselves();
  }
  void SetUp() override {
    if (const std::string why = WhyNoNamespaces(); !why.empty()) GTEST_SKIP() << why;
    lab_ = std::make_unique<NetLab>();
  }

  std::unique_ptr<NetLab> lab_;
};

}  // namespace stillwatch::e2e
