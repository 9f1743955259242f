// A running box between two hosts, seen from those hosts, from its operator's command line and from its files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>

#include "config/control.h"
#include "tests/e2e/net_lab.h"
#include "tests/e2e/probe.h"
#include "tests/e2e/tcp_load.h"
#include "tests/tools/stillwatch/chat.h"
#include "tests/e2e/lab_test.h"
#include "tests/tools/stillwatch/daemon_process.h"

namespace stillwatch::e2e {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using nlohmann::json;
using stillwatch::testing::Ran;
using stillwatch::testing::WaitFor;

constexpr int kFramesAMs = 2;  // the veths' own rings hold more than 100 ms of that

// BOX-EPOCH-SEQUENCE
uint64_t EpochOf(const json& record) {
  const std::string id = record["event_id"];
  const size_t last = id.rfind('-'), first = id.rfind('-', last - 1);
  return std::stoull(id.substr(first + 1, last - first - 1));
}

class DaemonTest : public e2e::LabTest {
 protected:
  void SetUp() override {
    e2e::LabTest::SetUp();
    if (IsSkipped()) return;
    daemon_ = std::make_unique<DaemonProcess>(*lab_);
    config_ = daemon_->WriteConfig("v1.toml", {"policy.version = \"v1\""});
  }

  std::vector<std::string> AuditActions() const {
    std::vector<std::string> actions;
    for (const json& record : daemon_->Records("audit")) actions.push_back(record["action"]);
    return actions;
  }
  // A start that ends by itself with `exit` and says `why`.
  void ExpectNoStart(const std::string& config, const std::vector<std::string>& words, int exit, const std::string& why) {
    if (daemon_->Start(config, words)) {
      ADD_FAILURE() << "it started; it should have said: " << why;
      daemon_->Stop();
      return;
    }
    EXPECT_EQ(daemon_->Wait(), exit);
    EXPECT_THAT(daemon_->log(), HasSubstr(why));
  }
  void ExpectUnchanged(uint64_t generation, const std::string& version) const {
    const json status = daemon_->Ask({"status"});
    EXPECT_EQ(status["generation"], generation);
    EXPECT_EQ(status["policy_version"], version);
  }
  // A processor that was taken away for longer than the heart's timeout is the one excuse, and it is counted.
  void ExpectNothingLost(const ProbeResult& result, uint64_t stale_and_missed) const {
    EXPECT_EQ(result.lost, stale_and_missed) << "of " << result.sent;
    EXPECT_EQ(result.doubled, 0u);
  }
  // The same of the running daemon, which asks the devices once a second.
  void ExpectNothingLost(const ProbeResult& result) const {
    const auto excused = [&] { return daemon_->Counter("forward.stale") + daemon_->Counter("device.missed"); };
    WaitFor([&] { return excused() == result.lost; });
    ExpectNothingLost(result, excused());
  }
  void AwaitProbe(const Probe& probe, uint64_t more) const {
    const uint64_t before = probe.received();
    ASSERT_TRUE(WaitFor([&] { return probe.received() > before + more; }));
  }

  std::unique_ptr<DaemonProcess> daemon_;
  std::string config_;
};

TEST_F(DaemonTest, AReloadReachesEveryThreadAndLosesNoPacket) {
  ASSERT_TRUE(daemon_->Start(config_));
  const std::string second = daemon_->WriteConfig(
      "v2.toml", {"policy.version = \"v2\"", "fail_open.heartbeat_timeout_ms = 40", "fail_open.interest_ports = [\"1-10\", \"8080\"]"});
  Probe probe(*lab_, kFramesAMs);
  AwaitProbe(probe, 200);
  uint64_t generation = 1;
  for (const std::string& file : {second, config_, second}) {
    const json answer = daemon_->Ask({"reload", file});
    EXPECT_EQ(answer["generation"], ++generation);
    EXPECT_EQ(answer["thread_generation"], json({{"forwarder-0", generation}, {"worker-0", generation}, {"detection", generation}}));
    EXPECT_THAT(answer["changed"].get<std::string>(), HasSubstr("policy.version: "));
    AwaitProbe(probe, 200);
  }
  ExpectNothingLost(probe.Finish());
  const json status = daemon_->Ask({"status"});
  EXPECT_EQ(status["generation"], 4);
  EXPECT_EQ(status["policy_version"], "v2");
  EXPECT_EQ(status["mode"], "inline");
  EXPECT_GT(status["packets"], 700);
  for (const char* interval : {"delay", "wait"}) EXPECT_GT(status["latency_us"][interval]["p50"], 0) << status["latency_us"];
  EXPECT_EQ(daemon_->Ask({"campaigns"}), json::array());
  EXPECT_THAT(daemon_->Ctl({"status"}).output, HasSubstr("thread_generation.forwarder-0"));
  // Without a name: the file it was started with, which HUP means, too.
  EXPECT_EQ(daemon_->Ask({"reload"})["generation"], 5);
  daemon_->Signal(SIGHUP);
  EXPECT_TRUE(WaitFor([&] { return daemon_->Ask({"status"})["generation"] == 6; }));
  EXPECT_EQ(daemon_->Stop(), 0);
  EXPECT_THAT(AuditActions(), ElementsAre("start", "reload", "reload", "reload", "reload", "reload"));
  // Frames of no model API: there is no traffic time to speak of, so the box's clock.
  for (const json& record : daemon_->Records("audit")) EXPECT_GT(record["event_time"].get<std::string>(), "2026-");
}

TEST_F(DaemonTest, WhatAPersonSaysOfAnUnknownCampaignIsRefusedCountedAndAudited) {
  ASSERT_TRUE(daemon_->Start(config_));
  const std::string id = "0123456789abcdef0123456789abcdef";
  for (const std::vector<std::string>& words : {std::vector<std::string>{"feedback", "confirm", id},
                                                {"feedback", "reject", id, "--reason", "a course"},
                                                {"feedback", "split", id, "acct-1"},
                                                {"export", id, "--partner", "other lab"}}) {
    const Ran ran = daemon_->Ctl(words);
    EXPECT_EQ(ran.exit, config::kExitRefused) << words[0];
    EXPECT_THAT(ran.output, HasSubstr("no campaign " + id + "; `stillctl campaigns` lists them"));
  }
  EXPECT_EQ(daemon_->Counter("feedback.unknown_campaign"), 3u);
  EXPECT_EQ(daemon_->Stop(), 0);
  EXPECT_THAT(AuditActions(), ElementsAre("start", "feedback_confirm_refused", "feedback_reject_refused", "feedback_split_refused"));
}

TEST_F(DaemonTest, ErasingAnUnknownAccountIsRefusedAndNotOnRecord) {
  ASSERT_TRUE(daemon_->Start(config_));
  for (const char* account : {"somebody", "00112233445566778899aabbccddeeff"}) {
    const Ran ran = daemon_->Ctl({"erase", account});
    EXPECT_EQ(ran.exit, config::kExitRefused);
    EXPECT_THAT(ran.output, HasSubstr(account));
  }
  EXPECT_EQ(daemon_->Ctl({"erase"}).exit, config::kExitUsage);
  EXPECT_EQ(daemon_->Counter("pipeline.erased"), 0u);
  EXPECT_EQ(daemon_->Stop(), 0);
  EXPECT_THAT(AuditActions(), ElementsAre("start"));
}

// Deployment 2: two terminators, one writes its secrets to a file that the box follows, the other's come by the
// socket when the connection is over.
// The hosts' own kernels make the VXLAN tunnel; the box knows nothing of it but the port.
TEST_F(DaemonTest, LooksIntoTunnels) {
  const auto tunnel = [](const Namespace& host, const std::string& device, const std::string& local, const std::string& remote,
                         const std::string& address) {
    return host.Run("ip link add x0 type vxlan id 5001 dev " + device + " local " + local + " remote " + remote +
                    " dstport 4789 && ip address add " + address + "/24 dev x0 && ip link set x0 up && ethtool -K x0 tx off >/dev/null");
  };
  if (tunnel(lab_->client, "c0", "10.77.0.1", "10.77.0.2", "10.99.0.1") != 0) GTEST_SKIP() << "this kernel has no vxlan";
  ASSERT_EQ(tunnel(lab_->server, "s0", "10.77.0.2", "10.77.0.1", "10.99.0.2"), 0);
  ASSERT_TRUE(daemon_->Start(config_));
  const std::string folder = *daemon_ / "www";
  std::filesystem::create_directory(folder);
  const pid_t server = lab_->server.Spawn({"python3", "-m", "http.server", "8080", "--bind", "10.99.0.2", "--directory", folder});
  const std::string get = "bash -c 'exec 3<>/dev/tcp/10.99.0.2/8080 && printf \"GET / HTTP/1.0\\r\\n\\r\\n\" >&3 && cat <&3 >/dev/null' 2>/dev/null";
  EXPECT_TRUE(WaitFor([&] { return lab_->client.Run(get) == 0; }));
  EXPECT_TRUE(WaitFor([&] { return daemon_->Counter("http.requests") == 1; })) << daemon_->Counter("http.requests");
  EXPECT_TRUE(WaitFor([&] { return daemon_->Counter("http.responses") == 1; }));
  // Off the list the tunnel is the kernel's, from the reload on.
  daemon_->Ask({"reload", daemon_->WriteConfig("none.toml", {"fail_open.interest_udp_ports = []"})});
  const uint64_t left = daemon_->Counter("bypass.not_of_interest");
  EXPECT_EQ(lab_->client.Run(get), 0);
  EXPECT_TRUE(WaitFor([&] { return daemon_->Counter("bypass.not_of_interest") >= left + 8; }));
  EXPECT_EQ(daemon_->Counter("http.requests"), 1u);
  kill(server, SIGKILL);
  waitpid(server, nullptr, 0);
}

TEST_F(DaemonTest, LooksIntoTlsWithSecretsOfTheTerminator) {
  const std::string file = *daemon_ / "keys.txt", late_file = *daemon_ / "late.txt", socket_path = *daemon_ / "feed.sock";
  std::ofstream(file).flush();
  ASSERT_TRUE(daemon_->Start(daemon_->WriteConfig(
      "tls.toml", {"tls.keylog_file = \"" + file + "\"", "tls.keylog_socket = \"" + socket_path + "\""})));
  const std::string pem = *daemon_ / "server.pem";
  ASSERT_EQ(lab_->server.Run("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=terminator -keyout " + pem +
                             ".key -out " + pem + " 2>/dev/null"), 0);
  std::vector<pid_t> servers;
  for (const auto& [port, keys] : {std::pair("8443", file), std::pair("8444", late_file)}) {
    servers.push_back(lab_->server.Spawn({"openssl", "s_server", "-quiet", "-www", "-accept", port, "-cert", pem, "-key",
                                          pem + ".key", "-keylogfile", keys}));
    const std::string get = std::string("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | openssl s_client -quiet -connect 10.77.0.2:") +
                            port + " >/dev/null 2>&1";
      EXPECT_TRUE(WaitFor([&] { return lab_->client.Run(get) == 0; })) << port;
  }
  // Traffic time stands still on a silent wire: somebody else knocks at a closed port meanwhile.
  const auto becomes = [&](const std::string& counter, uint64_t value) {
    return WaitFor([&] {
      lab_->client.Run("bash -c 'exec 3<>/dev/tcp/10.77.0.2/9' 2>/dev/null");
      return daemon_->Counter(counter) == value;
    });
  };
  EXPECT_TRUE(becomes("tls.decrypted", 1));
  EXPECT_TRUE(becomes("tls.client_hellos", 2));
  EXPECT_EQ(daemon_->Counter("tls.secret_never"), 0u);
  const int feed = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket_path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(connect(feed, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const std::string lines = stillwatch::testing::ReadAll(late_file);
  EXPECT_EQ(write(feed, lines.data(), lines.size()), static_cast<ssize_t>(lines.size()));
  close(feed);
  EXPECT_TRUE(becomes("http.requests", 2));
  EXPECT_EQ(daemon_->Counter("tls.decrypted"), 2u);
  EXPECT_EQ(daemon_->Counter("tls.bad_tag"), 0u);
  for (const pid_t server : servers) {
    kill(server, SIGKILL);
    waitpid(server, nullptr, 0);
  }
  EXPECT_EQ(daemon_->Stop(), 0);
}

TEST_F(DaemonTest, WhatAReloadMayNotDoIsRefusedWhole) {
  ASSERT_TRUE(daemon_->Start(config_));
  const auto refused = [&](const std::string& file, int exit, const std::string& why) {
    const Ran ran = daemon_->Ctl({"reload", file});
    EXPECT_EQ(ran.exit, exit) << ran.output;
    EXPECT_THAT(ran.output, HasSubstr(why));
    EXPECT_THAT(ran.output, HasSubstr("generation 1 goes on"));
    ExpectUnchanged(1, "v1");
  };
  // A hot key beside two that need a restart.
  refused(daemon_->WriteConfig("restart.toml", {"policy.version = \"v2\"", "flow.idle_timeout_s = 77", "threads.workers = 2"}),
          config::kExitRefused, "needs a restart with --accept-config: threads.workers (1 -> 2), flow.idle_timeout_s (600 -> 77)");
  const std::string bad = daemon_->WriteConfig("bad.toml", {"policy.versio = \"v2\""});
  const std::string text = stillwatch::testing::ReadAll(bad);
  const auto line = std::count(text.begin(), text.end(), '\n');
  refused(bad, config::kExitBadFile, bad + ":" + std::to_string(line) + ":");
  refused(daemon_->WriteConfig("torn.toml", {"policy.version = \"v2"}), config::kExitBadFile, "torn.toml:" + std::to_string(line));
  refused(daemon_->WriteConfig("range.toml", {"policy.version = \"v2\"", "fail_open.interest_ports = [\"70000\"]"}),
          config::kExitBadFile, "70000");
  refused(*daemon_ / "none.toml", config::kExitBadFile, "none.toml: cannot be read");
  EXPECT_EQ(daemon_->Stop(), 0);
  EXPECT_THAT(AuditActions(), ElementsAre("start", "reload_refused", "reload_refused", "reload_refused", "reload_refused",
                                          "reload_refused"));
}

TEST_F(DaemonTest, AReloadThatIsNotConfirmedInTimeGoesBackByItself) {
  ASSERT_TRUE(daemon_->Start(config_));
  const std::string second = daemon_->WriteConfig("v2.toml", {"policy.version = \"v2\"", "fail_open.heartbeat_timeout_ms = 40"});
  EXPECT_EQ(daemon_->Ctl({"reload", second, "--confirm-within", "soon"}).exit, config::kExitUsage);
  EXPECT_EQ(daemon_->Ctl({"status", "--confirm-within", "5s"}).exit, config::kExitUsage);
  EXPECT_EQ(daemon_->Ctl({"confirm"}).exit, config::kExitRefused);
  EXPECT_EQ(daemon_->Ctl({"rollback"}).exit, config::kExitRefused);
  Probe probe(*lab_, kFramesAMs);
  AwaitProbe(probe, 100);
  // Looked at while it waits: for longer than any machine takes to answer.
  const json answer = daemon_->Ask({"reload", second, "--confirm-within", "1h"});
  EXPECT_EQ(answer["generation"], 2);
  EXPECT_EQ(answer["confirmed"], false);
  const json waits = daemon_->Ask({"status"});
  EXPECT_EQ(waits["policy_version"], "v2");
  EXPECT_EQ(waits["unconfirmed"]["generation"], 2);
  EXPECT_EQ(waits["unconfirmed"]["goes_back_to"], 1);
  EXPECT_THAT(waits["alarms"].dump(), Not(HasSubstr("generation")));
  const Ran another = daemon_->Ctl({"reload", second});
  EXPECT_EQ(another.exit, config::kExitBusy);
  EXPECT_THAT(another.output, HasSubstr("generation 2 waits for its confirmation"));
  // Undone at once by hand.
  EXPECT_EQ(daemon_->Ctl({"rollback"}).exit, 0);
  ExpectUnchanged(1, "v1");
  // By itself; what ran keeps its number.
  EXPECT_EQ(daemon_->Ask({"reload", second, "--confirm-within", "1s"})["generation"], 3);
  EXPECT_TRUE(WaitFor([&] { return daemon_->Ask({"status"})["generation"] == 1; }));
  ExpectUnchanged(1, "v1");
  const json back = daemon_->Ask({"status"});
  EXPECT_EQ(back["unconfirmed"], nullptr);
  EXPECT_EQ(back["rolled_back"]["generation"], 3);
  EXPECT_EQ(back["rolled_back"]["why"], "not confirmed in time");
  EXPECT_TRUE(WaitFor([&] { return daemon_->Ask({"status"})["thread_generation"]["forwarder-0"] == 1; }));
  EXPECT_EQ(daemon_->Ctl({"confirm"}).exit, config::kExitRefused);
  AwaitProbe(probe, 100);
  ExpectNothingLost(probe.Finish());
  EXPECT_EQ(daemon_->Stop(), 0);
  EXPECT_THAT(AuditActions(), ElementsAre("start", "reload", "rollback", "reload", "rollback"));
  EXPECT_THAT(daemon_->Records("audit")[2]["detail"].get<std::string>(), HasSubstr("generation 2 to generation 1; asked for"));
  EXPECT_THAT(daemon_->Records("audit")[4]["detail"].get<std::string>(), HasSubstr("generation 3 to generation 1; not confirmed in time"));
}

TEST_F(DaemonTest, OnlyAConfirmedReloadOutlivesAKill) {
  ASSERT_TRUE(daemon_->Start(config_));
  const std::string second = daemon_->WriteConfig("v2.toml", {"policy.version = \"v2\""});
  EXPECT_EQ(daemon_->Ask({"reload", second, "--confirm-within", "1h"})["generation"], 2);
  daemon_->Kill();
  ASSERT_TRUE(daemon_->Start(config_));
  ExpectUnchanged(1, "v1");
  EXPECT_EQ(daemon_->Ask({"status"})["rolled_back"]["generation"], 2);
  EXPECT_EQ(daemon_->Ask({"reload", second, "--confirm-within", "1h"})["generation"], 3);
  EXPECT_EQ(daemon_->Ctl({"confirm"}).exit, 0);
  EXPECT_EQ(daemon_->Ask({"status"})["unconfirmed"], nullptr);
  daemon_->Kill();
  ASSERT_TRUE(daemon_->Start(config_));
  ExpectUnchanged(3, "v2");
  EXPECT_EQ(daemon_->Ask({"status"})["rolled_back"], nullptr);
  EXPECT_EQ(daemon_->Stop(), 0);
  EXPECT_THAT(AuditActions(), ::testing::IsSupersetOf({"rollback"}));
}

TEST_F(DaemonTest, ASecondReloadIsToldToTryAgain) {
  ASSERT_TRUE(daemon_->Start(config_));
  // The first one reads from a pipe, and so runs until somebody has written.
  const std::string pipe = *daemon_ / "pipe.toml";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  stillwatch::testing::Program first(*daemon_ / "first", {stillwatch::testing::BinPath("stillctl"), "--socket", *daemon_ / "control.sock",
                                                          "reload", pipe});
  ASSERT_TRUE(WaitFor([&] { return daemon_->Ask({"status"})["reloading"] == true; }));
  const Ran second = daemon_->Ctl({"reload", config_});
  EXPECT_EQ(second.exit, config::kExitBusy) << second.output;
  std::ofstream(pipe) << stillwatch::testing::ReadAll(daemon_->WriteConfig("v2.toml", {"policy.version = \"v2\""}));
  EXPECT_EQ(first.Wait(), 0) << stillwatch::testing::ReadAll(*daemon_ / "first");
  ExpectUnchanged(2, "v2");
  EXPECT_EQ(daemon_->Ctl({"reload", config_}).exit, 0);
  EXPECT_EQ(daemon_->Stop(), 0);
}

TEST_F(DaemonTest, AWorkerThatStandsStillFollowsLaterAndCostsNoPacket) {
  ASSERT_TRUE(daemon_->Start(config_));
  const std::string second = daemon_->WriteConfig("v2.toml", {"policy.version = \"v2\""});
  Probe probe(*lab_, kFramesAMs);
  {
    const HeldThread held(daemon_->pid(), "sw-worker-0");
    // More than the ring between forwarder and worker holds: looking stops, forwarding does not.
    AwaitProbe(probe, 1'000);
    const json answer = daemon_->Ask({"reload", second});
    EXPECT_EQ(answer["thread_generation"], json({{"forwarder-0", 2}, {"worker-0", 1}, {"detection", 2}}));
    EXPECT_EQ(answer.value("late", json()), json({"worker-0"}));
    ExpectUnchanged(2, "v2");
  }
  EXPECT_TRUE(WaitFor([&] { return daemon_->Ask({"status"})["thread_generation"]["worker-0"] == 2; }));
  AwaitProbe(probe, 200);
  ExpectNothingLost(probe.Finish());
  EXPECT_GT(daemon_->Counter("engine.worker_ring_full"), 0u);
  EXPECT_EQ(daemon_->Stop(), 0);
  EXPECT_THAT(AuditActions(), ElementsAre("start", "reload"));
}

TEST_F(DaemonTest, AForwarderThatStandsStillUndoesTheReload) {
  ASSERT_TRUE(daemon_->Start(config_));
  const std::string second = daemon_->WriteConfig("v2.toml", {"policy.version = \"v2\""});
  {
    const HeldThread held(daemon_->pid(), "sw-forward");
    const Ran ran = daemon_->Ctl({"reload", second});
    EXPECT_EQ(ran.exit, config::kExitRefused) << ran.output;
    EXPECT_THAT(ran.output, HasSubstr("thread forwarder-0 did not follow within 2 s; the old generation was restored"));
    ExpectUnchanged(1, "v1");
  }
  EXPECT_EQ(daemon_->Ask({"reload", second})["generation"], 2);
  EXPECT_EQ(daemon_->Stop(), 0);
  EXPECT_THAT(AuditActions(), ElementsAre("start", "reload_refused", "reload"));
}

TEST_F(DaemonTest, AnOrderlyStopForwardsAndKeepsEverything) {
  ASSERT_TRUE(daemon_->Start(config_));
  const ChatServer server(*lab_);
  std::vector<std::unique_ptr<ChatClient>> clients;
  for (const std::string key : {"sk-one", "sk-two", "sk-three"}) clients.push_back(std::make_unique<ChatClient>(*lab_, key));
  Probe probe(*lab_, kFramesAMs);
  for (int i = 0; i < 10; ++i) {
    for (auto& client : clients) client->Ask("What is the capital of country number " + std::to_string(i) + ", please?");
  }
  clients[0]->Send("a question that gets no answer before the end");
  AwaitProbe(probe, 200);
  EXPECT_EQ(daemon_->Stop(), 0);
  const uint64_t at_stop = probe.sent();
  ASSERT_TRUE(WaitFor([&] { return probe.sent() > at_stop + 200; }));
  const ProbeResult result = probe.Finish();

  const std::vector<json> statuses = daemon_->Records("box-status");
  ASSERT_FALSE(statuses.empty());
  const json& last = statuses.back();
  ExpectNothingLost(result, last["counters"]["forward.stale"].get<uint64_t>() + last["counters"]["device.missed"].get<uint64_t>());
  // 30 answered exchanges and the open one, which the end of its flow completed.
  EXPECT_EQ(last["counters"]["pipeline.exchanges"], 31);
  EXPECT_EQ(last["counters"]["engine.exchange_dropped"], 0);
  std::map<std::string, int> by_account;
  for (const json& record : daemon_->Records("request-sketch")) ++by_account[record["account"]];
  EXPECT_EQ(by_account.size(), 3u);
  int sketches = 0;
  for (const auto& [account, count] : by_account) sketches += count;
  EXPECT_EQ(sketches, 31);
  std::map<std::string, uint64_t> profiles;  // the last record of each account counts
  for (const json& record : daemon_->Records("account-profile")) profiles[record["account"]] = record["exchanges"];
  EXPECT_EQ(profiles.size(), 3u);
  uint64_t exchanges = 0;
  for (const auto& [account, count] : profiles) exchanges += count;
  EXPECT_EQ(exchanges, 31u);
  // And the connection lives on without us.
  clients[1]->Ask("Are you still there?");
}

TEST_F(DaemonTest, AfterAKillItGoesOnWithTheLastConfirmedConfiguration) {
  ASSERT_TRUE(daemon_->Start(config_));
  TcpLoad load(*lab_);
  const std::string second = daemon_->WriteConfig("v2.toml", {"policy.version = \"v2\""});
  ASSERT_EQ(daemon_->Ctl({"reload", second}).exit, 0);
  // What was acknowledged is on disk at once.
  EXPECT_TRUE(WaitFor([&] { return AuditActions().size() == 2; }));
  daemon_->Kill();
  const uint64_t at_kill = load.received();
  EXPECT_TRUE(WaitFor([&] { return load.received() > at_kill + 2'000'000; })) << "no traffic without the daemon";

  // Started with the first file; v2 was confirmed last.
  ASSERT_TRUE(daemon_->Start(config_));
  ExpectUnchanged(2, "v2");
  EXPECT_EQ(daemon_->Ask({"status"})["thread_generation"]["forwarder-0"], 2);
  EXPECT_THAT(daemon_->log(), HasSubstr("differs from confirmed generation"));
  const uint64_t packets = daemon_->Counter("forward.received_a");
  EXPECT_TRUE(WaitFor([&] { return daemon_->Counter("forward.received_a") > packets + 500; })) << "it does not look";
  EXPECT_EQ(load.Finish(), "");
  EXPECT_EQ(daemon_->Stop(), 0);
  // A kill may have events written twice: then with the same id and the same content.
  std::map<std::string, json> by_id;
  for (const std::string topic : {"audit", "box-status", "request-sketch", "account-profile"}) {
    for (const json& record : daemon_->Records(topic)) {
      const auto [at, fresh] = by_id.emplace(record["event_id"], record);
      EXPECT_TRUE(fresh || at->second == record) << record;
    }
  }
  std::vector<std::string> actions;
  std::vector<uint64_t> epochs;
  std::set<std::string> seen;
  for (const json& record : daemon_->Records("audit")) {
    if (!seen.insert(record["event_id"]).second) continue;
    actions.push_back(record["action"]);
    epochs.push_back(EpochOf(record));
  }
  ASSERT_THAT(actions, ElementsAre("start", "reload", "start"));
  EXPECT_EQ(epochs[0], epochs[1]);
  EXPECT_GT(epochs[2], epochs[1]);

  ASSERT_TRUE(daemon_->Start(config_, {"--accept-config"}));
  ExpectUnchanged(3, "v1");
  EXPECT_EQ(daemon_->Stop(), 0);
}

TEST_F(DaemonTest, AfterAKillItRemembersTheAccountsOfTheLastSnapshot) {
  const std::string config = daemon_->WriteConfig("v1.toml", {"snapshot.interval_s = 1"});
  ASSERT_TRUE(daemon_->Start(config));
  EXPECT_EQ(daemon_->Ask({"status"})["snapshot"]["age_s"], nullptr);
  const ChatServer server(*lab_);
  std::vector<std::unique_ptr<ChatClient>> clients;
  for (const std::string key : {"sk-one", "sk-two", "sk-three"}) clients.push_back(std::make_unique<ChatClient>(*lab_, key));
  uint64_t asked = 0;
  const auto ask = [&] {
    for (auto& client : clients) client->Ask("What is the capital of country number " + std::to_string(++asked) + ", please?");
  };
  const auto snapshots = [&] { return daemon_->Counter("snapshot.written"); };
  // The second one holds all three accounts: each asked before the first.
  ASSERT_TRUE(WaitFor([&] { ask(); return snapshots() >= 2; }));
  const json before = daemon_->Ask({"status"})["snapshot"];
  EXPECT_GE(before["age_s"], 0);
  EXPECT_GT(before["bytes"], 0);
  daemon_->Kill();

  ASSERT_TRUE(daemon_->Start(config));
  const json after = daemon_->Ask({"status"})["snapshot"];
  EXPECT_EQ(after["restored_accounts"], 3);
  EXPECT_EQ(after["restored_from"], "snapshot");
  EXPECT_GE(after["age_s"], 0);
  EXPECT_EQ(daemon_->Stop(), 0);  // writes one more

  const std::string path = *daemon_ / "state/memory.snapshot", good = stillwatch::testing::ReadAll(path);
  for (const char* key : {"sk-one", "sk-two", "sk-three"}) EXPECT_EQ(good.find(key), std::string::npos);
  const auto refused = [&](const std::string& bytes, const std::string& why, const std::vector<std::string>& words = {}) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    ExpectNoStart(config, words, 2, why);
    EXPECT_THAT(daemon_->log(), HasSubstr("--start-empty"));
  };
  refused(good.substr(0, good.size() / 2), "memory.snapshot: is cut short");
  refused("", "memory.snapshot: is no snapshot");
  refused(good, "another privacy.salt", {"--accept-config", "--set", "privacy.salt=hex:0000000000000008"});
  ASSERT_TRUE(daemon_->Start(config, {"--accept-config", "--start-empty"}));
  EXPECT_EQ(daemon_->Ask({"status"})["snapshot"]["restored_accounts"], 0);
  EXPECT_EQ(daemon_->Stop(), 0);
}

TEST_F(DaemonTest, BypassIsTheOperatorsSwitch) {
  ASSERT_TRUE(daemon_->Start(config_));
  const ChatServer server(*lab_);
  ChatClient client(*lab_, "sk-one");
  client.Ask("seen");
  EXPECT_TRUE(WaitFor([&] { return daemon_->Counter("engine.exchanges") == 1; }));
  EXPECT_EQ(daemon_->Ctl({"bypass", "on"}).exit, 0);
  EXPECT_EQ(daemon_->Ask({"status"})["bypass"], true);
  client.Ask("not seen");
  EXPECT_TRUE(WaitFor([&] { return daemon_->Counter("bypass.switched_on") >= 2; }));
  EXPECT_EQ(daemon_->Counter("engine.exchanges"), 1u);
  EXPECT_EQ(daemon_->Ctl({"bypass", "off"}).exit, 0);
  EXPECT_EQ(daemon_->Ask({"status"})["bypass"], false);
  ChatClient other(*lab_, "sk-two");
  other.Ask("seen again");
  EXPECT_TRUE(WaitFor([&] { return daemon_->Counter("engine.exchanges") >= 2; }));
  EXPECT_EQ(daemon_->Ctl({"bypass", "maybe"}).exit, config::kExitUsage);
  EXPECT_EQ(daemon_->Stop(), 0);
  EXPECT_THAT(AuditActions(), ElementsAre("start", "bypass", "bypass"));
}

TEST_F(DaemonTest, ABypassForATimeIsShownAuditedAndOutlivesARestart) {
  ASSERT_TRUE(daemon_->Start(config_));
  EXPECT_EQ(daemon_->Ctl({"bypass", "on", "--for", "soon"}).exit, config::kExitUsage);
  EXPECT_EQ(daemon_->Ctl({"bypass", "on", "--for", "31d"}).exit, config::kExitUsage);
  EXPECT_EQ(daemon_->Ctl({"bypass", "on", "--reason", std::string(128, 'x')}).exit, config::kExitUsage);
  EXPECT_EQ(daemon_->Ctl({"bypass", "off", "--for", "1m"}).exit, config::kExitUsage);
  EXPECT_EQ(daemon_->Ask({"status"})["bypass"], false);
  ASSERT_EQ(daemon_->Ctl({"bypass", "on", "--for", "1h", "--reason", "line card swap"}).exit, 0);
  EXPECT_EQ(daemon_->Stop(), 0);
  ASSERT_TRUE(daemon_->Start(config_));
  const json status = daemon_->Ask({"status"});
  EXPECT_EQ(status["bypass"], true);
  ASSERT_EQ(status["alarms"].size(), 1u) << status;
  EXPECT_THAT(status["alarms"][0].get<std::string>(), ::testing::MatchesRegex("bypass is on until 20.*Z: line card swap"));
  EXPECT_THAT(daemon_->log(), HasSubstr("line card swap"));
  // A new time takes the place of the old one, and runs out with nobody's help.
  ASSERT_EQ(daemon_->Ctl({"bypass", "on", "--for", "1s"}).exit, 0);
  EXPECT_TRUE(WaitFor([&] { return daemon_->Ask({"status"})["bypass"] == false; }));
  EXPECT_EQ(daemon_->Ask({"status"})["alarms"], json::array());
  EXPECT_TRUE(WaitFor([&] { return AuditActions().size() == 5; }));
  EXPECT_EQ(daemon_->Stop(), 0);
  EXPECT_THAT(AuditActions(), ElementsAre("start", "bypass", "start", "bypass", "bypass"));
  const std::vector<json> audit = daemon_->Records("audit");
  EXPECT_THAT(audit[1]["detail"].get<std::string>(), HasSubstr("line card swap"));
  EXPECT_THAT(audit[4]["detail"].get<std::string>(), HasSubstr("its time has run out"));
  bool alarmed = false;
  for (const json& record : daemon_->Records("box-status")) {
    alarmed = alarmed || (record["bypass"] == true && record["alarms"].size() == 1 && record["degraded"] == true);
  }
  EXPECT_TRUE(alarmed);
}

// A forwarder that gets far too little of its processor: first frames are lost, then the box says so and steps aside.
TEST_F(DaemonTest, AnOverloadedForwarderStepsAsideAndSaysSo) {
  ASSERT_TRUE(daemon_->Start(config_));
  Probe probe(*lab_, 5);
  AwaitProbe(probe, 200);
  const auto overload = [&] { return daemon_->Ask({"status"})["overload"].get<std::string>(); };
  EXPECT_EQ(overload(), "none");
  EXPECT_TRUE(WaitFor([&] {
    for (int i = 0; i < 5; ++i) {
      {
        const HeldThread held(daemon_->pid(), "sw-forward");
        usleep(60'000);
      }
      usleep(10'000);
    }
    return overload() == "forwarding";
  }));
  const json status = daemon_->Ask({"status"});
  EXPECT_EQ(status["bypass"], true);
  ASSERT_EQ(status["alarms"].size(), 1u) << status;
  EXPECT_THAT(status["alarms"][0].get<std::string>(), HasSubstr("overload of forwarding"));
  // While it stands aside a forwarder that stands still costs nothing.
  const uint64_t stale = daemon_->Counter("forward.stale"), aside = daemon_->Counter("bypass.overloaded");
  {
    const HeldThread held(daemon_->pid(), "sw-forward");
    AwaitProbe(probe, 500);
  }
  EXPECT_TRUE(WaitFor([&] { return daemon_->Counter("bypass.overloaded") >= aside + 500; }));
  EXPECT_EQ(daemon_->Counter("forward.stale"), stale);
  // It ends by itself, and frames are looked at again.
  const uint64_t forwarded = daemon_->Counter("forward.received_a");
  EXPECT_TRUE(WaitFor([&] { return overload() == "none"; }));
  EXPECT_TRUE(WaitFor([&] { return daemon_->Counter("forward.received_a") > forwarded + 200; }));
  EXPECT_EQ(daemon_->Counter("watch.overload_forwarding"), 1u);
  EXPECT_EQ(probe.Finish().doubled, 0u);
  EXPECT_EQ(daemon_->Stop(), 0);
  EXPECT_THAT(AuditActions(), ElementsAre("start", "overload", "overload"));
  bool degraded = false;
  for (const json& record : daemon_->Records("box-status")) {
    degraded = degraded || (record["degraded"] == true && record["alarms"].size() == 1);
  }
  EXPECT_TRUE(degraded);
}

TEST_F(DaemonTest, ALostLinkIsAnAlarmAndForwardedWhereAskedFor) {
  ASSERT_TRUE(daemon_->Start(config_));
  const auto link = [&](const char* port) { return daemon_->Ask({"status"})["links"][port].get<std::string>(); };
  const auto carrier = [&] { return lab_->server.Run("ip link show s0 | grep -q 'state UP'") == 0; };
  EXPECT_EQ(link("a"), "up");
  ASSERT_EQ(lab_->client.Run("ip link set c0 down"), 0);
  EXPECT_TRUE(WaitFor([&] { return link("a") == "down"; }));
  EXPECT_EQ(link("b"), "up");
  EXPECT_TRUE(carrier());
  EXPECT_THAT(daemon_->Ask({"status"})["alarms"][0].get<std::string>(), HasSubstr("ports.a: a0 is down"));
  // Asked for by a reload, while the link is down.
  ASSERT_EQ(daemon_->Ctl({"reload", daemon_->WriteConfig("v2.toml", {"policy.version = \"v1\"", "ports.link_loss_forwarding = true"})}).exit, 0);
  EXPECT_TRUE(WaitFor([&] { return !carrier(); })) << "the server does not see it";
  EXPECT_TRUE(WaitFor([&] { return link("b") == "held_down"; }));
  ASSERT_EQ(lab_->client.Run("ip link set c0 up"), 0);
  EXPECT_TRUE(WaitFor([&] { return carrier() && link("a") == "up" && link("b") == "up"; }));
  // And the ports look and forward as before.
  const uint64_t before = daemon_->Counter("forward.sent_b");
  Probe probe(*lab_, kFramesAMs);
  AwaitProbe(probe, 200);
  EXPECT_EQ(probe.Finish().doubled, 0u);
  EXPECT_GT(daemon_->Counter("forward.sent_b"), before + 100);
  EXPECT_EQ(daemon_->Counter("watch.link_forwarded"), 1u);
  // A stop while it is held down gives it back.
  ASSERT_EQ(lab_->client.Run("ip link set c0 down"), 0);
  EXPECT_TRUE(WaitFor([&] { return !carrier(); }));
  EXPECT_EQ(daemon_->Stop(), 0);
  EXPECT_TRUE(carrier());
}

TEST_F(DaemonTest, APortThatIsGoneIsAnAlarm) {
  ASSERT_TRUE(daemon_->Start(config_));
  ASSERT_EQ(lab_->appliance.Run("ip link delete b0"), 0);
  EXPECT_TRUE(WaitFor([&] { return daemon_->Ask({"status"})["links"]["b"] == "missing"; }));
  EXPECT_THAT(daemon_->Ask({"status"})["alarms"].dump(), HasSubstr("ports.b: b0 is missing"));
  RawSocket client(lab_->client, "c0"), host(lab_->appliance, "a0");
  for (int i = 0; i < 200; ++i) client.Send(TcpFrame(443, "nowhere to go"));
  EXPECT_EQ(host.Receive(300), "");
  EXPECT_EQ(daemon_->Ask({"status"})["overload"], "none");
  EXPECT_EQ(daemon_->Stop(), 0);
  EXPECT_THAT(AuditActions(), ::testing::Contains("link"));  // what the watch noted is on file by the end, not at once
}

// Back alone, while the other port is gone: nothing of it goes to the host, and both are used once both are there.
TEST_F(DaemonTest, APortThatComesBackAloneIsNoLeakIntoTheHost) {
  ASSERT_TRUE(daemon_->Start(config_));
  ASSERT_EQ(lab_->appliance.Run("ip link delete a0; ip link delete b0"), 0);
  const auto link = [&](const char* port) { return daemon_->Ask({"status"})["links"][port]; };
  ASSERT_TRUE(WaitFor([&] { return link("a") == "missing" && link("b") == "missing"; }));
  const auto add = [&](Namespace& host, const std::string& name, const std::string& port) {
    return host.Run("ip link add " + name + " type veth peer name " + port + " netns " + std::to_string(lab_->appliance.pid()) +
                    " && ip link set " + name + " addrgenmode none up && ethtool -K " + name + " tx off gro on >/dev/null") == 0 &&
           lab_->appliance.Run("ip link set " + port + " addrgenmode none arp off up") == 0;
  };
  ASSERT_TRUE(add(lab_->server, "s0", "b0"));
  RawSocket server(lab_->server, "s0"), host(lab_->appliance, "b0");
  const auto decided = [&] { return daemon_->Counter("bypass.no_peer") + daemon_->Counter("bypass.to_process"); };
  const uint64_t before = decided();
  ASSERT_TRUE(WaitFor([&] {
    server.Send(TcpFrame(443, "nowhere to go"));
    return decided() != before;
  })) << daemon_->Ask({"status"})["alarms"];
  while (!host.Receive(300).empty()) {
  }
  for (int i = 0; i < 200; ++i) server.Send(TcpFrame(443, "nowhere to go"));
  EXPECT_EQ(host.Receive(300), "");
  ASSERT_TRUE(add(lab_->client, "c0", "a0"));
  ASSERT_TRUE(WaitFor([&] { return daemon_->Counter("watch.reopened") == 1; }));
  RawSocket client(lab_->client, "c0");
  const uint64_t sent = daemon_->Counter("forward.sent_a");
  ASSERT_TRUE(WaitFor([&] {
    server.Send(TcpFrame(443, "to the client"));
    return client.Receive(50) == TcpFrame(443, "to the client") && daemon_->Counter("forward.sent_a") > sent;
  }));
  EXPECT_EQ(daemon_->Stop(), 0);
}

TEST_F(DaemonTest, APortThatComesBackIsUsedAgain) {
  ASSERT_TRUE(daemon_->Start(config_));
  ASSERT_EQ(lab_->appliance.Run("ip link delete b0"), 0);
  ASSERT_TRUE(WaitFor([&] { return daemon_->Ask({"status"})["links"]["b"] == "missing"; }));
  // The same name, another interface; at first with an MTU that the ports do not carry.
  const std::string appliance = std::to_string(lab_->appliance.pid());
  ASSERT_EQ(lab_->server.Run("ip link add s0 mtu 3000 address 02:00:00:00:00:50 type veth peer name b0 mtu 3000 netns " + appliance +
                             " && ip link set s0 addrgenmode none up && ethtool -K s0 tx off gro on >/dev/null"), 0);
  ASSERT_EQ(lab_->appliance.Run("ip link set b0 addrgenmode none arp off up"), 0);
  const auto alarms = [&] { return daemon_->Ask({"status"})["alarms"].dump(); };
  ASSERT_TRUE(WaitFor([&] { return alarms().find("ports.mtu") != std::string::npos; })) << alarms();
  // The kernel forwards meanwhile.
  {
    Probe probe(*lab_, kFramesAMs);
    AwaitProbe(probe, 100);
  }
  ASSERT_EQ(lab_->appliance.Run("ip link set b0 mtu 1500"), 0);
  ASSERT_TRUE(WaitFor([&] { return daemon_->Counter("watch.reopened") == 1; }));
  EXPECT_TRUE(WaitFor([&] { return daemon_->Ask({"status"})["alarms"] == json::array(); }));
  // Both ways through the process, byte by byte, and looked at.
  const uint64_t sent_a = daemon_->Counter("forward.sent_a"), sent_b = daemon_->Counter("forward.sent_b");
  Probe there(*lab_, kFramesAMs), back(*lab_, kFramesAMs, Probe::Way::kToClient);
  AwaitProbe(there, 200);
  AwaitProbe(back, 200);
  EXPECT_TRUE(WaitFor([&] { return daemon_->Counter("forward.sent_a") > sent_a + 200 && daemon_->Counter("forward.sent_b") > sent_b + 200; }));
  // And the kernel forwards again when the process is killed.
  daemon_->Kill();
  AwaitProbe(there, 200);
  AwaitProbe(back, 200);
  EXPECT_EQ(there.Finish().doubled, 0u);
  EXPECT_EQ(back.Finish().doubled, 0u);
  EXPECT_THAT(AuditActions(), ::testing::IsSupersetOf({"link", "ports"}));
}

// A connection of no interest moves to the kernel; a reload asks anew what is of interest.
TEST_F(DaemonTest, AConnectionOfNoInterestStaysInTheKernel) {
  ASSERT_TRUE(daemon_->Start(config_));
  TcpLoad load(*lab_, 15);
  ASSERT_TRUE(WaitFor([&] { return daemon_->Counter("bypass.passed") > 500; }));
  EXPECT_GE(daemon_->Counter("flow.passed"), 1u);
  EXPECT_TRUE(WaitFor([&] { return daemon_->Counter("watch.flows_passed") == daemon_->Counter("flow.passed"); }));
  const uint64_t to_process = daemon_->Counter("bypass.to_process");
  daemon_->Ask({"reload"});
  EXPECT_TRUE(WaitFor([&] { return daemon_->Counter("bypass.to_process") > to_process + 100; }));
  EXPECT_EQ(load.Finish(), "");
  const uint64_t passed = daemon_->Counter("bypass.passed");  // the kernel goes on counting
  EXPECT_EQ(daemon_->Stop(), 0);
  // And none where it is switched off.
  ASSERT_TRUE(daemon_->Start(config_, {"--accept-config", "--set", "fail_open.passed_flows_max=0"}));
  TcpLoad again(*lab_, 15);
  ASSERT_TRUE(WaitFor([&] { return again.received() > 2'000'000; }));
  EXPECT_EQ(again.Finish(), "");
  EXPECT_EQ(daemon_->Counter("flow.passed"), 0u);
  EXPECT_LE(daemon_->Counter("bypass.passed"), passed + 10);  // the last acknowledgements of before
  EXPECT_EQ(daemon_->Stop(), 0);
}

TEST_F(DaemonTest, AfPacketIsRefusedWhereItAltersFramesAndSaysSoWhereItIsTaken) {
  const std::string packet = daemon_->WriteConfig("packet.toml", {});
  ASSERT_FALSE(daemon_->Start(packet, {"--set", "ports.driver=af_packet"}));
  EXPECT_EQ(daemon_->Wait(), 2);
  EXPECT_THAT(daemon_->log(), HasSubstr("packet.toml: ports.driver \"af_packet\" alone alters frames"));
  EXPECT_THAT(daemon_->log(), HasSubstr("set fail_open.traffic_control = true"));
  ASSERT_TRUE(daemon_->Start(packet, {"--set", "ports.driver=af_packet", "--set", "ports.accept_altered_frames=true"}));
  RawSocket client(lab_->client, "c0");
  ASSERT_TRUE(client.Send(TcpFrame(443, "802.1Q", 5)));
  std::string tagged = TcpFrame(443, "802.1ad", 5);
  tagged.replace(12, 2, "\x88\xa8");
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(client.Send(tagged));
  EXPECT_TRUE(WaitFor([&] { return daemon_->Counter("watch.tag_changed") == 3; }));
  EXPECT_THAT(daemon_->Ask({"status"})["alarms"][0].get<std::string>(), HasSubstr("changed the 802.1ad tag of 3 frames"));
  EXPECT_EQ(daemon_->Stop(), 0);
}

TEST_F(DaemonTest, AMirrorLooksAtEachPacketOnceAndNeverSends) {
  const auto send = [&](uint8_t identification) {
    std::string frame = TcpFrame(443, "seen twice");
    frame[19] = static_cast<char>(identification);
    frame[25] = static_cast<char>(frame[25] - identification + 1);  // the header's checksum
    RawSocket client(lab_->client, "c0"), server(lab_->server, "s0");
    for (RawSocket* host : {&client, &client, &server}) ASSERT_TRUE(host->Send(frame));
  };
  ASSERT_TRUE(daemon_->Start(daemon_->WriteConfig("mirror.toml", {}), {"--set", "ports.mode=mirror", "--set", "ports.driver=af_packet",
                                                                       "--set", "ports.duplicate_window_ms=1000"}));
  RawSocket client(lab_->client, "c0"), server(lab_->server, "s0");
  send(1);
  EXPECT_TRUE(WaitFor([&] { return daemon_->Counter("mirror.duplicates") == 2; }));
  send(2);
  EXPECT_TRUE(WaitFor([&] { return daemon_->Counter("mirror.duplicates") == 4; }));
  EXPECT_EQ(daemon_->Counter("packet.seen"), 2u);
  EXPECT_EQ(daemon_->Counter("engine.frames"), 6u);
  EXPECT_EQ(daemon_->Counter("packet.bad_ip_checksum"), 0u);
  EXPECT_EQ(client.Receive(200), "");
  EXPECT_EQ(server.Receive(200), "");
  EXPECT_EQ(daemon_->Stop(), 0);
  // Inline the same frames are all forwarded, and all looked at.
  ASSERT_TRUE(daemon_->Start(config_, {"--accept-config", "--set", "ports.duplicate_window_ms=1000"}));
  send(1);
  EXPECT_TRUE(WaitFor([&] { return daemon_->Counter("packet.seen") == 3; }));
  for (int i = 0; i < 2; ++i) EXPECT_NE(server.Receive(1'000), "");
  EXPECT_NE(client.Receive(1'000), "");
  EXPECT_EQ(daemon_->Ask({"counters", "mirror."}), json::object());
  EXPECT_EQ(daemon_->Stop(), 0);
}

TEST_F(DaemonTest, OnTrafficControlTheKernelForwardsWhenItIsGone) {
  const std::vector<std::string> words{"--set", "ports.driver=af_packet", "--set", "fail_open.traffic_control=true"};
  ASSERT_TRUE(daemon_->Start(config_, words));
  Probe there(*lab_, kFramesAMs), back(*lab_, kFramesAMs, Probe::Way::kToClient);
  AwaitProbe(there, 300);
  AwaitProbe(back, 300);
  EXPECT_GT(daemon_->Counter("bypass.to_process"), 300u);
  EXPECT_GT(daemon_->Counter("forward.sent_a"), 100u);
  // A tag that AF_PACKET would change passes as it is.
  RawSocket client(lab_->client, "c0"), server(lab_->server, "s0");
  std::string tagged = TcpFrame(443, "802.1ad", 5);
  tagged.replace(12, 2, "\x88\xa8");
  ASSERT_TRUE(client.Send(tagged));
  EXPECT_TRUE(WaitFor([&] { return server.Receive(100) == tagged; }));
  EXPECT_EQ(daemon_->Ask({"status"})["alarms"], json::array());
  EXPECT_EQ(daemon_->Ctl({"bypass", "on"}).exit, 0);
  AwaitProbe(there, 100);
  EXPECT_TRUE(WaitFor([&] { return daemon_->Counter("bypass.switched_on") >= 100; }));
  EXPECT_EQ(daemon_->Ctl({"bypass", "off"}).exit, 0);
  daemon_->Kill();
  AwaitProbe(there, 300);
  AwaitProbe(back, 300);
  ASSERT_TRUE(daemon_->Start(config_, words));
  AwaitProbe(there, 300);
  EXPECT_TRUE(WaitFor([&] { return daemon_->Counter("forward.sent_b") > 100; }));
  EXPECT_EQ(there.Finish().doubled, 0u);
  EXPECT_EQ(back.Finish().doubled, 0u);
  EXPECT_EQ(daemon_->Stop(), 0);
}

TEST_F(DaemonTest, AFileThatDidNotStartIsNotConfirmed) {
  ExpectNoStart(daemon_->WriteConfig("box.toml", {"sketch.rarity_table = \"/nowhere\""}), {}, 1, "/nowhere");
  ASSERT_TRUE(daemon_->Start(daemon_->WriteConfig("box.toml", {"policy.version = \"mended\""})));
  ExpectUnchanged(1, "mended");
  EXPECT_EQ(daemon_->Stop(), 0);
}

TEST_F(DaemonTest, ARestartOnlyKeyChangesTheWayTheMessagesSay) {
  ASSERT_TRUE(daemon_->Start(config_));
  daemon_->WriteConfig("v1.toml", {"policy.version = \"v2\"", "flow.idle_timeout_s = 77"});
  EXPECT_THAT(daemon_->Ctl({"reload"}).output, HasSubstr("needs a restart with --accept-config: flow.idle_timeout_s (600 -> 77)"));
  EXPECT_EQ(daemon_->Stop(), 0);
  ASSERT_TRUE(daemon_->Start(config_));
  EXPECT_THAT(daemon_->log(), HasSubstr("differs from confirmed generation 1, which is taken; needs a restart with --accept-config"));
  EXPECT_THAT(daemon_->log(), ::testing::Not(HasSubstr("stillctl reload")));
  ExpectUnchanged(1, "v1");
  EXPECT_EQ(daemon_->Stop(), 0);
  ASSERT_TRUE(daemon_->Start(config_, {"--accept-config"}));
  ExpectUnchanged(2, "v2");
  EXPECT_EQ(daemon_->Stop(), 0);
}

TEST_F(DaemonTest, MissingCapabilitiesAreNamedInOneLine) {
  const Ran ran = stillwatch::testing::RunProgram({"setpriv", "--bounding-set=-net_raw", stillwatch::testing::BinPath("stillwatch"), "run", "--config", config_});
  EXPECT_EQ(ran.exit, 1);
  EXPECT_THAT(ran.output, HasSubstr("setcap cap_net_raw+ep"));
  EXPECT_EQ(std::count(ran.output.begin(), ran.output.end(), '\n'), 1) << ran.output;
}

TEST_F(DaemonTest, ThreadsRunWhereTheyArePinned) {
  ASSERT_TRUE(daemon_->Start(daemon_->WriteConfig("pinned.toml", {"threads.cpus = [\"0\", \"0\", \"0\"]"})));
  EXPECT_THAT(stillwatch::testing::ReadAll("/proc/" + std::to_string(daemon_->pid()) + "/status"), HasSubstr("Cpus_allowed_list:\t0\n"));
  EXPECT_EQ(daemon_->Stop(), 0);
}

TEST_F(DaemonTest, AStartThatCannotWorkSaysWhy) {
  ExpectNoStart(config_, {"--set", "ports.b="}, 2, "ports.b names no interface");
  ExpectNoStart(config_, {"--set", "privacy.salt="}, 2, "privacy.salt is empty");
  ExpectNoStart(config_, {"--set", "ports.b=nowhere0"}, 1, "nowhere0");
  ExpectNoStart(config_, {"--set", "memory.max_mib=64"}, 1, "memory.max_mib: the configured pools add up to");
  ExpectNoStart(config_, {"surplus"}, 64, "run --config FILE");
  ASSERT_TRUE(daemon_->Start(config_));
  // A second one on the same ports, with a state and a socket of its own.
  const auto second = lab_->appliance.Spawn(
      {"/bin/sh", "-c", "exec " + stillwatch::testing::BinPath("stillwatch") + " run --config " + config_ + " --set box.state_dir=" +
                            (*daemon_ / "state2") + " --set control.socket=" + (*daemon_ / "second.sock") + " 2>" + (*daemon_ / "second")});
  int status = 0;
  waitpid(second, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_THAT(stillwatch::testing::ReadAll(*daemon_ / "second"), HasSubstr("another process"));
  EXPECT_EQ(daemon_->Stop(), 0);
}

}  // namespace
}  // namespace stillwatch::e2e
