#include "dataplane/engine/side_joiner.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "base/clock.h"

namespace stillwatch::dataplane {
namespace {

constexpr int64_t kT = 1'700'000'000 * kNsPerSecond;

ClientAddress Address(uint8_t last, uint8_t length = 4) {
  ClientAddress address;
  address.length = length;
  address.bytes[0] = 192;
  address.bytes[3] = last;
  return address;
}

ConnectionNote Front(uint64_t flow, uint8_t client, uint16_t port, int64_t at_s, uint8_t server = 100, uint64_t unique_id = 0) {
  ConnectionNote note;
  note.flow_id = flow;
  note.client = Address(client);
  note.client_port = port;
  note.server = Address(server);
  note.server_port = 443;
  note.time_ns = kT + at_s * kNsPerSecond;
  note.ja4_hash = 1000 + flow;
  note.unique_id = unique_id;
  return note;
}
ConnectionNote Behind(uint64_t flow, uint8_t client, uint16_t port, int64_t at_s, uint8_t server = 100, uint64_t unique_id = 0) {
  ConnectionNote note = Front(flow, client, port, at_s, server, unique_id);
  note.kind = ConnectionKind::kBehind;
  note.ja4_hash = 0;
  return note;
}
ConnectionNote Ended(uint64_t flow, int64_t at_s) {
  ConnectionNote note;
  note.flow_id = flow;
  note.time_ns = kT + at_s * kNsPerSecond;
  note.kind = ConnectionKind::kEnded;
  return note;
}
ExchangeHeader Request(uint64_t flow, uint8_t client, uint16_t port, int64_t at_s) {
  ExchangeHeader h;
  h.flow_id = flow;
  h.client = Address(client);
  h.client_port = port;
  h.request_start_ns = kT + at_s * kNsPerSecond;
  h.http2_hash = 5;
  return h;
}

struct SideJoinerTest : ::testing::Test {
  // The flow that a request is said to have come by.
  uint64_t FlowOf(ExchangeHeader h) {
    joiner.OnExchange(&h);
    EXPECT_EQ((h.flags & kClientJoined) != 0, h.ja4_hash != 0);
    if ((h.flags & kClientJoined) != 0) {
      EXPECT_EQ(h.ja4_hash, 1000 + h.flow_id);
      EXPECT_EQ(h.http2_hash, 0u);  // the terminator's own is not the client's
    } else {
      EXPECT_EQ(h.http2_hash, 5u);
    }
    return h.flow_id;
  }
  uint64_t Count(JoinCounter counter) const { return joiner.counters().Get(counter); }
  SideJoiner joiner{8, 600 * kNsPerSecond, Salt{7}};
};

TEST_F(SideJoinerTest, ARequestGetsTheConnectionOfItsClientsAddressAndPort) {
  joiner.OnNote(Front(1, 5, 40'000, 0));
  joiner.OnNote(Front(2, 5, 40'001, 0));
  joiner.OnNote(Front(3, 6, 40'000, 0));
  EXPECT_EQ(FlowOf(Request(90, 5, 40'001, 3)), 2u);
  EXPECT_EQ(FlowOf(Request(90, 6, 40'000, 3)), 3u);  // one pooled connection behind carries many clients
  EXPECT_EQ(FlowOf(Request(90, 5, 40'000, 3)), 1u);
  EXPECT_EQ(FlowOf(Request(90, 7, 40'000, 3)), 90u);
  EXPECT_EQ(FlowOf(Request(90, 5, 40'002, 3)), 90u);
  EXPECT_EQ(FlowOf(Request(90, 5, 0, 3)), 90u);
  EXPECT_EQ(Count(JoinCounter::kFronts), 3u);
  EXPECT_EQ(Count(JoinCounter::kJoined), 3u);
  EXPECT_EQ(Count(JoinCounter::kNoFront), 2u);
  EXPECT_EQ(Count(JoinCounter::kNoPort), 1u);
  EXPECT_EQ(Count(JoinCounter::kAmbiguous), 0u);
}

TEST_F(SideJoinerTest, WithoutAFrontNothingIsCounted) {
  joiner.OnNote(Behind(50, 5, 40'000, 0));
  EXPECT_EQ(FlowOf(Request(50, 5, 40'000, 3)), 50u);
  EXPECT_EQ(FlowOf(Request(51, 5, 0, 3)), 51u);
  EXPECT_EQ(Count(JoinCounter::kNoFront) + Count(JoinCounter::kNoPort), 0u);
}

// A port that is used again is another client: which of both is told by time, and in doubt by nobody.
TEST_F(SideJoinerTest, APortThatIsUsedAgainIsToldByTime) {
  joiner.OnNote(Front(1, 5, 40'000, 0));
  joiner.OnNote(Ended(1, 10));
  joiner.OnNote(Front(2, 5, 40'000, 20));
  EXPECT_EQ(FlowOf(Request(90, 5, 40'000, 9)), 1u);    // its answer took long
  EXPECT_EQ(FlowOf(Request(90, 5, 40'000, 21)), 2u);
  EXPECT_EQ(FlowOf(Request(90, 5, 40'000, 15)), 90u);  // between both
  EXPECT_EQ(Count(JoinCounter::kNoFront), 1u);
  joiner.OnNote(Ended(2, 30));
  joiner.OnNote(Front(3, 5, 40'000, 31));
  EXPECT_EQ(FlowOf(Request(90, 5, 40'000, 30)), 90u);  // either may have been
  EXPECT_EQ(Count(JoinCounter::kAmbiguous), 1u);
  EXPECT_EQ(FlowOf(Request(90, 5, 40'000, 33)), 3u);
}

TEST_F(SideJoinerTest, TheDestinationThatAProxyHeaderNamesDecidesBetweenTwo) {
  joiner.OnNote(Front(1, 5, 40'000, 0, 100));
  joiner.OnNote(Front(2, 5, 40'000, 0, 101));
  joiner.OnNote(Behind(50, 5, 40'000, 1, 101));
  joiner.OnNote(Behind(51, 5, 40'000, 1, 102));
  EXPECT_EQ(FlowOf(Request(50, 5, 40'000, 1)), 2u);
  EXPECT_EQ(FlowOf(Request(51, 5, 40'000, 1)), 51u);
  EXPECT_EQ(FlowOf(Request(90, 5, 40'000, 1)), 90u);  // a header names no destination
  EXPECT_EQ(Count(JoinCounter::kAmbiguous), 2u);
  joiner.OnNote(Front(3, 5, 40'000, 0, 101));
  EXPECT_EQ(FlowOf(Request(50, 5, 40'000, 1)), 50u);
}

TEST_F(SideJoinerTest, AUniqueIdOfBothSidesComesFirst) {
  joiner.OnNote(Front(1, 5, 40'000, 0, 100, 77));
  joiner.OnNote(Front(2, 5, 40'000, 0, 100, 78));
  joiner.OnNote(Behind(50, 5, 40'000, 1, 100, 78));
  joiner.OnNote(Behind(51, 5, 40'000, 1, 100, 79));
  joiner.OnNote(Behind(52, 6, 40'000, 1, 100, 78));
  EXPECT_EQ(FlowOf(Request(50, 5, 40'000, 1)), 2u);
  EXPECT_EQ(FlowOf(Request(50, 5, 0, 1)), 2u);         // a forwarding header that hides the port
  EXPECT_EQ(FlowOf(Request(51, 5, 40'000, 1)), 51u);
  EXPECT_EQ(FlowOf(Request(52, 6, 40'000, 1)), 52u);   // another proxy's connection is not the client's
  joiner.OnNote(Front(3, 5, 40'000, 0, 100, 78));
  EXPECT_EQ(FlowOf(Request(50, 5, 40'000, 1)), 50u);
}

TEST_F(SideJoinerTest, ADecryptedConnectionIsItsOwnAndToldWhenItsRequestsComeTwice) {
  joiner.OnNote(Front(1, 5, 40'000, 0));
  ExchangeHeader own = Request(1, 5, 40'000, 1);
  own.ja4_hash = 1001;
  joiner.OnExchange(&own);
  EXPECT_EQ(own.flags & kClientJoined, 0u);
  EXPECT_EQ(own.http2_hash, 5u);
  EXPECT_EQ(FlowOf(Request(90, 5, 40'000, 1)), 1u);
  EXPECT_EQ(Count(JoinCounter::kSeenTwice), 1u);
}

TEST_F(SideJoinerTest, FlowRecordsTellHowManyExchangesWereJoined) {
  joiner.OnNote(Front(1, 5, 40'000, 0));
  FlowOf(Request(90, 5, 40'000, 1));
  FlowOf(Request(90, 5, 40'000, 2));
  joiner.OnNote(Ended(1, 3));
  FlowRecord record{}, other{};
  record.flow_id = 1;
  other.flow_id = 90;
  joiner.OnFlowRecord(&record);
  joiner.OnFlowRecord(&other);
  EXPECT_EQ(record.exchanges, 2u);
  EXPECT_EQ(other.exchanges, 0u);
  joiner.OnFlowRecord(&record);
  EXPECT_EQ(record.exchanges, 2u);  // once
}

TEST_F(SideJoinerTest, TheTableIsBoundedAndThoseThatEndedGoFirst) {
  for (uint64_t flow = 1; flow <= 8; ++flow) joiner.OnNote(Front(flow, 5, static_cast<uint16_t>(flow), 0));
  joiner.OnNote(Ended(4, 1));
  joiner.OnNote(Front(9, 5, 9, 2));
  EXPECT_EQ(FlowOf(Request(90, 5, 4, 1)), 90u);
  EXPECT_EQ(FlowOf(Request(90, 5, 1, 1)), 1u);
  joiner.OnNote(Front(10, 5, 10, 2));
  EXPECT_EQ(FlowOf(Request(90, 5, 1, 1)), 90u);
  EXPECT_EQ(Count(JoinCounter::kEvicted), 2u);
  EXPECT_EQ(FlowOf(Request(90, 5, 10, 2)), 10u);
}

TEST_F(SideJoinerTest, WhatEndedIsForgottenInTime) {
  joiner.OnNote(Front(1, 5, 40'000, 0));
  joiner.OnNote(Ended(1, 1));
  joiner.OnTime(kT + 600 * kNsPerSecond);
  EXPECT_EQ(FlowOf(Request(90, 5, 40'000, 1)), 1u);
  joiner.OnTime(kT + 602 * kNsPerSecond);
  EXPECT_EQ(FlowOf(Request(90, 5, 40'000, 1)), 90u);
  EXPECT_EQ(Count(JoinCounter::kEvicted), 0u);
}

TEST_F(SideJoinerTest, AfterALossAllIsForgotten) {
  joiner.OnNote(Front(1, 5, 40'000, 0));
  joiner.Forget();
  EXPECT_EQ(FlowOf(Request(90, 5, 40'000, 1)), 90u);
  joiner.OnNote(Front(1, 5, 40'000, 2));
  EXPECT_EQ(FlowOf(Request(90, 5, 40'000, 2)), 1u);
  EXPECT_EQ(Count(JoinCounter::kForgotten), 1u);
}

// Against a plain list of connections: joined where exactly one fits, whatever comes in which order.
TEST_F(SideJoinerTest, AgreesWithAPlainList) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    SideJoiner under{64, INT64_MAX / 2, Salt{random()}};
    std::vector<std::pair<ConnectionNote, int64_t>> all;  // with its end
    for (int64_t t = 0; t < 40; ++t) {
      const uint64_t flow = static_cast<uint64_t>(t) + 1;
      switch (random() % 3) {
        case 0: {
          const ConnectionNote note = Front(flow, static_cast<uint8_t>(random() % 2), static_cast<uint16_t>(1 + random() % 2), t);
          under.OnNote(note);
          all.emplace_back(note, INT64_MAX / 2);
          break;
        }
        case 1: {
          if (all.empty()) break;
          auto& [note, end] = all[random() % all.size()];
          if (end == INT64_MAX / 2) end = kT + t * kNsPerSecond;
          under.OnNote(Ended(note.flow_id, t));
          break;
        }
        default: {
          ExchangeHeader h = Request(1'000, static_cast<uint8_t>(random() % 2), static_cast<uint16_t>(1 + random() % 2),
                                     t - static_cast<int64_t>(random() % 5));
          uint64_t expected = 1'000;
          int fits = 0;
          for (const auto& [note, end] : all) {
            const bool same = note.client.bytes[3] == h.client.bytes[3] && note.client_port == h.client_port;
            if (!same || h.request_start_ns < note.time_ns - kNsPerSecond || h.request_start_ns > end + kNsPerSecond) continue;
            expected = note.flow_id;
            ++fits;
          }
          under.OnExchange(&h);
          EXPECT_EQ(h.flow_id, fits == 1 ? expected : 1'000u);
        }
      }
    }
  }
}

}  // namespace
}  // namespace stillwatch::dataplane
