// The kernels as this build compiled them.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "tests/ptx/ptx.h"

namespace stillwatch::ptx {

// kind: "80", "90", "90a", "100", or a seeded bug.
inline Module LoadKernels(const std::string& kind) {
  const std::string path = std::string(STILLWATCH_DEVICE_CODE) + "/kernels_" + kind + ".ptx";
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  std::stringstream text;
  text << file.rdbuf();
  Result<Module> module = Module::Load(text.str());
  EXPECT_TRUE(module.ok()) << module.message();
  return std::move(module).value();
}

}  // namespace stillwatch::ptx
