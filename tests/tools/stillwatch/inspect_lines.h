// What a layer of inspect prints for a capture, and the rows in which we read otherwise than the expectations say.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <span>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/result.h"
#include "dataplane/worker.h"

namespace stillwatch::testing {

inline std::filesystem::path CaptureIn(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / "input.pcap") ? folder / "input.pcap" : folder / "input.pcapng";
}

// All that `inspect` (InspectHttp and its like) prints; its status in *status.
template <typename Inspect>
std::string InspectText(Inspect&& inspect, const std::filesystem::path& capture, const dataplane::WorkerOptions& options,
                        Status* status) {
  char* text = nullptr;
  size_t size = 0;
  std::FILE* const out = open_memstream(&text, &size);
  const std::vector<std::string> paths = {capture.string()};
  *status = inspect(std::span<const std::string>(paths), options, out);
  std::fclose(out);
  std::string lines(text, size);
  std::free(text);
  return lines;
}

// Its lines, of a capture that it must be able to read.
template <typename Inspect>
std::vector<nlohmann::json> InspectLines(Inspect&& inspect, const std::filesystem::path& capture,
                                         const dataplane::WorkerOptions& options) {
  Status status;
  std::istringstream text(InspectText(inspect, capture, options, &status));
  EXPECT_TRUE(status.ok()) << status.message();
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

// (capture, row, field) -> reason. Lines of four fields between tabs; # begins a comment.
using Exceptions = std::map<std::tuple<std::string, std::string, std::string>, std::string>;

inline Exceptions ReadExceptions(const std::filesystem::path& path) {
  Exceptions exceptions;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream cells(line);
    std::string capture, row, field, reason;
    std::getline(cells, capture, '\t');
    std::getline(cells, row, '\t');
    std::getline(cells, field, '\t');
    std::getline(cells, reason);
    EXPECT_FALSE(reason.empty()) << line;
    exceptions[{capture, row, field}] = reason;
  }
  return exceptions;
}

// At the end of a test that erases each exception it met.
inline void ExpectNoneLeft(const Exceptions& exceptions) {
  for (const auto& [where, reason] : exceptions) {
    ADD_FAILURE() << "no exception any more: " << std::get<0>(where) << " " << std::get<1>(where) << " "
                  << std::get<2>(where) << ": " << reason;
  }
}

}  // namespace stillwatch::testing
