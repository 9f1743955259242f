// What a client and a server say to each other, one after the other, and the promise that no cut of it and no budget
// changes what the observer is told.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/dataplane/http/recorder.h"

namespace stillwatch::dataplane {

struct Talk {
  std::string name, client, server;
  HttpVersion version = HttpVersion::kHttp1;

  size_t size() const { return client.size() + server.size(); }
};

inline constexpr uint64_t kWideBudget = 64u << 10;

// Feeds both sides; a piece ends at each of `cuts` (offsets into client + server) and where a side ends.
inline void FeedCut(const Talk& talk, const std::vector<size_t>& cuts, Driver* driver) {
  const std::string both = talk.client + talk.server;
  std::vector<size_t> ends = cuts;
  ends.push_back(talk.client.size());
  ends.push_back(both.size());
  std::sort(ends.begin(), ends.end());
  size_t from = 0;
  for (const size_t end : ends) {
    if (end > from) driver->Feed(end <= talk.client.size(), both.substr(from, end - from));
    from = end;
  }
}

// `log_of(talk, cuts, budget)`: what the observer was told.
template <typename LogOf>
void ExpectTheSameAtEveryCut(const std::vector<Talk>& talks, LogOf&& log_of) {
  for (const Talk& talk : talks) {
    SCOPED_TRACE(talk.name);
    const std::string whole = log_of(talk, {}, kWideBudget);
    std::vector<size_t> all;
    for (size_t cut = 1; cut < talk.size(); ++cut) {
      all.push_back(cut);
      ASSERT_EQ(log_of(talk, {cut}, kWideBudget), whole) << "cut at " << cut;
    }
    ASSERT_EQ(log_of(talk, all, kWideBudget), whole) << "byte by byte";
    ASSERT_EQ(log_of(talk, all, 3), whole) << "byte by byte, three bytes of budget";
  }
}

template <typename LogOf>
void ExpectTheSameAtEveryBudget(const std::vector<Talk>& talks, LogOf&& log_of) {
  for (const Talk& talk : talks) {
    SCOPED_TRACE(talk.name);
    const std::string whole = log_of(talk, {}, kWideBudget);
    for (const uint64_t budget : {1u, 2u, 3u, 7u, 100u, 1'000u}) {
      ASSERT_EQ(log_of(talk, {}, budget), whole) << "budget " << budget;
    }
  }
}

}  // namespace stillwatch::dataplane
