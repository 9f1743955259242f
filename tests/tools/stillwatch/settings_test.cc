// What the daemon makes of a configuration before anything runs.
#include "tools/stillwatch/settings.h"

#include <gtest/gtest.h>

#include "config/load.h"

namespace stillwatch {
namespace {

TEST(SettingsTest, ALiveBoxSpreadsFlowsAnewAtEachStartAndAReplayDoesNot) {
  config::Config config{};
  config.privacy.account_key = "hex:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
  config.privacy.salt = "hex:0123456789abcdef";
  const Secrets replay = ReadSecrets(config).value(), live = ReadLiveSecrets(config).value(), next = ReadLiveSecrets(config).value();
  EXPECT_EQ(replay.boot_seed, 0u);
  EXPECT_NE(live.boot_seed, next.boot_seed);
  EXPECT_EQ(live.salt.value, next.salt.value);
  // Over workers, and over each worker's buckets.
  const auto spread = [&](const Secrets& secrets) { return EngineOptionsOf(config, secrets, nullptr).salt.value; };
  EXPECT_NE(spread(live), spread(next));
  EXPECT_EQ(spread(replay), spread(ReadSecrets(config).value()));
  EXPECT_EQ(WorkerOptionsOf(config, live).boot_seed, live.boot_seed);
  EXPECT_EQ(WorkerOptionsOf(config, live).salt.value, replay.salt.value);
}

TEST(SettingsTest, FlowsStayInTheKernelOnlyWhereItDecidesAndTheirEndsAreTheirOwn) {
  const auto passes = [](std::vector<std::string> sets) {
    sets.insert(sets.begin(), {"ports.mode=inline", "ports.a=a", "ports.b=b"});
    const Result<config::Config> config = config::LoadConfig("", sets);
    EXPECT_TRUE(config.ok()) << config.message();
    return PassesFlows(config.value());
  };
  EXPECT_TRUE(passes({}));
  EXPECT_TRUE(passes({"ports.driver=af_packet", "fail_open.traffic_control=true"}));
  EXPECT_FALSE(passes({"ports.driver=af_packet"}));
  EXPECT_FALSE(passes({"ports.driver=ethdev"}));
  EXPECT_FALSE(passes({"ports.mode=mirror"}));
  EXPECT_FALSE(passes({"fail_open.passed_flows_max=0"}));
  EXPECT_FALSE(passes({"flow.tunnel_classes=[\"vlan 1-9 each\"]"}));
}

TEST(SettingsTest, TunnelClassesAreThoseOfTheFile) {
  config::Config config{};
  config.flow.tunnel_classes = {"vni 10 20-29", "vni 1000-1999 each", "vlan 7", "teid 7", "gre 7"};
  const dataplane::TunnelClasses classes = WorkerOptionsOf(config, {}).tunnel_classes;
  const auto of = [&](dataplane::TunnelKind kind, uint32_t id) {
    dataplane::Packet packet;
    packet.tunnel_kind = kind;
    packet.tunnel_id = id;
    return classes.Of(packet);
  };
  using enum dataplane::TunnelKind;
  EXPECT_EQ(of(kVni, 10), of(kVni, 25));
  const uint64_t different[] = {0, of(kVni, 10), of(kVni, 1000), of(kVni, 1001), of(kVlan, 7), of(kTeid, 7), of(kGreKey, 7)};
  for (const uint64_t& a : different) {
    for (const uint64_t& b : different) EXPECT_EQ(a == b, &a == &b) << &a - different << " " << &b - different;
  }
  EXPECT_EQ(of(kVni, 30), 0u);
  EXPECT_EQ(of(kNone, 0), 0u);
}

}  // namespace
}  // namespace stillwatch
