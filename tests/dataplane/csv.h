// CSV files with a heading line (RFC 4180 quotes), for expectations in tests/data.
#pragma once

#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace stillwatch::testing {

inline std::vector<std::string> CsvFields(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"') {
      fields.back() += '"';
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else if (c != '\r' || i + 1 < line.size()) {
      fields.back() += c;
    }
  }
  return fields;
}

// Rows as maps from heading to field; a row of another length fails the test.
inline std::vector<std::map<std::string, std::string>> ReadCsv(const std::string& path) {
  std::vector<std::map<std::string, std::string>> rows;
  std::ifstream file(path);
  std::string line;
  std::vector<std::string> heading;
  while (std::getline(file, line)) {
    const std::vector<std::string> fields = CsvFields(line);
    if (heading.empty()) {
      heading = fields;
      continue;
    }
    EXPECT_EQ(fields.size(), heading.size()) << path << ": " << line;
    auto& row = rows.emplace_back();
    for (size_t i = 0; i < heading.size() && i < fields.size(); ++i) row[heading[i]] = fields[i];
  }
  return rows;
}

}  // namespace stillwatch::testing
