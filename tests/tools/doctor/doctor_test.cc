#include "tools/stillwatch/doctor.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "config/load.h"
#include "config/schema.h"
#include "tools/stillwatch/memory_table.h"

namespace stillwatch {
namespace {

constexpr uint64_t kRoot = ~0ull;

InterfaceFacts GoodInterface() {
  InterfaceFacts facts;
  facts.exists = facts.up = facts.carrier = true;
  facts.mtu = 1500;
  facts.driver = "ice";
  facts.combined_queues = 1;
  return facts;
}

DoctorOptions Healthy(std::vector<std::string> sets = {}) {
  std::vector<std::string> all{"ports.mode=inline", "ports.driver=af_xdp", "ports.a=left0",
                               "ports.b=right0", "privacy.account_key=hex:" + std::string(32, '1'),
                               "privacy.salt=hex:" + std::string(16, '1')};
  all.insert(all.end(), sets.begin(), sets.end());
  auto config = config::LoadConfig("", all);
  EXPECT_TRUE(config.ok()) << config.message();
  DoctorOptions options;
  options.config = config.value();
  options.machine.capabilities = kRoot;
  options.machine.memlock_bytes = ~0ull;
  options.machine.memory_free_mib = 16'384;
  options.machine.huge_free_mib = 1'024;
  options.machine.processors = 8;
  options.machine.bpf_filesystem = options.machine.bpffs_mounted = true;
  options.machine.interfaces = {{"left0", GoodInterface()}, {"right0", GoodInterface()}};
  return options;
}

// The findings about `where`, as "what | mend".
std::string About(const DoctorOptions& options, const std::string& where) {
  std::string text;
  for (const Finding& finding : DoctorChecks(options)) {
    if (finding.where == where) text += finding.what + " | " + finding.mend + "\n";
  }
  return text;
}

TEST(DoctorTest, AHealthyMachineHasNoFinding) {
  EXPECT_EQ(PrintFindings(DoctorChecks(Healthy())), "0 errors, 0 warnings, 0 notices: ready\n");
}

TEST(DoctorTest, EveryFaultOfAnInterfaceIsNamedWithItsMend) {
  const auto left = [](auto change, std::vector<std::string> sets = {}) {
    DoctorOptions options = Healthy(std::move(sets));
    change(options.machine.interfaces["left0"]);
    EXPECT_FALSE(DoctorChecks(options).empty());
    return About(options, "left0") + About(options, "ports.a");
  };
  EXPECT_NE(left([](auto& f) { f.exists = false; }).find("no such interface"), std::string::npos);
  EXPECT_NE(left([](auto& f) { f.up = false; }).find("ip link set dev left0 up"),
            std::string::npos);
  EXPECT_NE(left([](auto& f) { f.carrier = false; }).find("no carrier"), std::string::npos);
  EXPECT_NE(left([](auto& f) { f.mtu = 9'000; }).find("ip link set dev left0 mtu 1500"),
            std::string::npos);
  EXPECT_NE(left([](auto& f) { f.lro = true; }).find("ethtool -K left0 lro off"),
            std::string::npos);
  EXPECT_NE(left([](auto& f) { f.gro = true; }, {"ports.driver=af_packet"})
                .find("ethtool -K left0 gro off"),
            std::string::npos);
  EXPECT_NE(left([](auto& f) { f.vlan_strip = true; }).find("ethtool -K left0 rxvlan off"),
            std::string::npos);
  EXPECT_NE(left([](auto& f) { f.combined_queues = 16; }).find("ethtool -L left0 combined 1"),
            std::string::npos);
  EXPECT_NE(left([](auto& f) { f.addresses = {"192.0.2.1"}; }).find("ip address flush dev left0"),
            std::string::npos);
  EXPECT_NE(left([](auto& f) { f.driver = "e1000"; }).find("not known to run XDP"),
            std::string::npos);
  EXPECT_NE(left([](auto& f) { f.driver = "veth"; }).find("ethtool -K PEER tx off gro on"),
            std::string::npos);
}

TEST(DoctorTest, FaultsOfTheSystem) {
  DoctorOptions options = Healthy();
  options.machine.capabilities = 1ull << 12 | 1ull << 13;
  EXPECT_NE(About(options, "capabilities").find("setcap cap_bpf,cap_sys_admin,cap_ipc_lock+ep"),
            std::string::npos);
  options.machine.memlock_bytes = 8 << 20;
  EXPECT_NE(About(options, "memlock").find("LimitMEMLOCK=infinity"), std::string::npos);

  options = Healthy();
  options.machine.huge_free_mib = 0;
  EXPECT_NE(About(options, "eal.huge_pages").find("echo 128 > "), std::string::npos);
  EXPECT_FALSE(HasErrors(DoctorChecks(options)));

  options = Healthy();
  options.machine.bpf_filesystem = false;
  EXPECT_NE(About(options, "fail_open.bpffs").find("no BPF file system"), std::string::npos);

  EXPECT_NE(About(Healthy({"ports.b=left0"}), "ports.b").find("same as ports.a"),
            std::string::npos);
  EXPECT_NE(About(Healthy({"threads.cpus=[\"1\",\"64\"]"}), "threads.cpus").find("processor 64"),
            std::string::npos);
  EXPECT_NE(About(Healthy({"fail_open.heartbeat_timeout_ms=2"}), "fail_open.heartbeat_timeout_ms")
                .find("raise it to 20"),
            std::string::npos);
  // What alters frames is refused, and taken only by a word of its own.
  for (const char* of_af_packet : {"802.1ad", "IPv4 fragments", "fail_open.traffic_control = true", "accept_altered_frames"}) {
    EXPECT_NE(About(Healthy({"ports.driver=af_packet"}), "ports.driver").find(of_af_packet), std::string::npos);
  }
  EXPECT_TRUE(HasErrors(DoctorChecks(Healthy({"ports.driver=af_packet"}))));
  const DoctorOptions accepted = Healthy({"ports.driver=af_packet", "ports.accept_altered_frames=true"});
  for (const char* of_af_packet : {"no bypass", "802.1ad", "IPv4 fragments"}) {
    EXPECT_NE(About(accepted, "ports.driver").find(of_af_packet), std::string::npos);
  }
  EXPECT_FALSE(HasErrors(DoctorChecks(accepted)));
  EXPECT_FALSE(HasErrors(DoctorChecks(Healthy({"ports.driver=af_packet", "fail_open.traffic_control=true"}))));
  EXPECT_NE(About(Healthy({"ports.mbufs=1048575"}), "eal.memory_mib").find("eal.memory_mib = 4096"),
            std::string::npos);
}

TEST(DoctorTest, SecretsThatCannotBeUsed) {
  EXPECT_NE(About(Healthy({"privacy.account_key=file:/nowhere/account.key"}), "privacy.account_key")
                .find("/nowhere/account.key cannot be read"),
            std::string::npos);
  EXPECT_NE(About(Healthy({"privacy.salt=hex:00"}), "privacy.salt").find("openssl rand -hex 8"),
            std::string::npos);
}

TEST(DoctorTest, FoldersAndBrokersThatCannotBeUsed) {
  DoctorOptions options = Healthy({"box.state_dir=/proc/nowhere", "control.socket=/dev/null/c.sock"});
  options.machine.unwritable = ReadMachine(options.config).unwritable;
  EXPECT_NE(About(options, "control.socket").find("/dev/null is no folder"), std::string::npos) << About(options, "control.socket");
  options.machine.unwritable = {{"box.state_dir", {"/srv/x", "/srv: Permission denied"}}};
  EXPECT_NE(About(options, "box.state_dir").find("mkdir -p /srv/x"), std::string::npos);
  options.machine.kafka_problem = "no broker answers";
  EXPECT_NE(About(options, "kafka").find("no broker answers"), std::string::npos);
}

TEST(DoctorTest, PciDevices) {
  DoctorOptions options =
      Healthy({"ports.driver=ethdev", "ports.a=0000:01:00.0", "ports.b=0000:01:00.1"});
  options.machine.pci_drivers = {{"0000:01:00.0", "ixgbe"}};
  EXPECT_NE(About(options, "ports.a").find("dpdk-devbind.py -b vfio-pci 0000:01:00.0"),
            std::string::npos);
  EXPECT_NE(About(options, "ports.b").find("no such PCI device"), std::string::npos);
  options.machine.pci_drivers = {{"0000:01:00.0", "vfio-pci"}, {"0000:01:00.1", "vfio-pci"}};
  EXPECT_FALSE(HasErrors(DoctorChecks(options)));
}

TEST(DoctorTest, MemoryAboveTheLimitIsRefused) {
  EXPECT_EQ(About(Healthy(), "memory.max_mib"), "");
  EXPECT_NE(About(Healthy({"sketch.window_mib=16384"}), "memory.max_mib").find("the limit is 8192"),
            std::string::npos);
  DoctorOptions options = Healthy();
  options.machine.memory_free_mib = 256;
  EXPECT_TRUE(HasErrors(DoctorChecks(options)));
}

TEST(DoctorTest, ABudgetOfDeviceMemoryThatDoesNotFit) {
  EXPECT_EQ(About(Healthy(), "sketch.device_mib"), "");
  const std::string found = About(Healthy({"sketch.device_mib=200"}), "sketch.device_mib");
  const size_t at = found.find("sketch.device_mib = ");
  ASSERT_NE(at, std::string::npos) << found;
  const int64_t fits = std::stoll(found.substr(at + 20));
  EXPECT_EQ(About(Healthy({"sketch.device_mib=" + std::to_string(fits)}), "sketch.device_mib"), "");
  EXPECT_NE(About(Healthy({"sketch.device_mib=" + std::to_string(fits - 1)}), "sketch.device_mib"), "");
  const size_t window = found.find("sketch.window_mib = ");
  ASSERT_NE(window, std::string::npos) << found;
  EXPECT_EQ(About(Healthy({"sketch.device_mib=200", "sketch.window_mib=" + std::to_string(std::stoll(found.substr(window + 20)))}),
                  "sketch.device_mib"), "") << "what it says is true";
  EXPECT_EQ(About(Healthy({"sketch.device_mib=200", "sketch.gpu=cpu"}), "sketch.device_mib"), "");
}

TEST(DoctorTest, ReplayNeedsNoPorts) {
  DoctorOptions options = Healthy({"ports.mode=replay", "ports.a=", "ports.b="});
  options.machine.capabilities = 0;
  EXPECT_TRUE(DoctorChecks(options).empty());
}

TEST(DoctorTest, ErrorsComeFirstAndAreCounted) {
  DoctorOptions options = Healthy();
  options.machine.interfaces["left0"].carrier = false;
  options.machine.interfaces["right0"].up = false;
  EXPECT_EQ(PrintFindings(DoctorChecks(options)),
            "error    right0: is down\n         mend: ip link set dev right0 up\n"
            "warning  left0: has no carrier: cable, or the other end is down\n"
            "1 errors, 1 warnings, 0 notices: not ready\n");
}

// The real machine: whatever it has, the loopback interface is there and up.
TEST(MachineFactsTest, ReadsThisMachine) {
  const auto config =
      config::LoadConfig("", std::vector<std::string>{"ports.a=lo", "ports.b=no-such-if"});
  ASSERT_TRUE(config.ok());
  const MachineFacts facts = ReadMachine(config.value());
  EXPECT_TRUE(facts.interfaces.at("lo").exists);
  EXPECT_GE(facts.interfaces.at("lo").mtu, 1'500u);
  EXPECT_FALSE(facts.interfaces.at("no-such-if").exists);
  EXPECT_GE(facts.processors, 1u);
  EXPECT_GT(facts.memory_free_mib, 0u);
}

TEST(MemoryTableTest, EveryRowNamesAKeyThatChangesIt) {
  const std::vector<std::string> live{"ports.mode=inline"};
  const config::Config small = config::LoadConfig("", live).value();
  for (const MemoryPool& pool : MemoryTable(small)) {
    EXPECT_FALSE(pool.degrades.empty());
    const config::Key* const key = config::FindKey(pool.key);
    if (key == nullptr) continue;
    const auto doubled = config::LoadConfig(
        "", std::vector<std::string>{"ports.mode=inline", std::string(pool.key) + "=" +
                                                              std::to_string(2 * std::stoll(Print(*key, small)))});
    ASSERT_TRUE(doubled.ok()) << doubled.message();
    EXPECT_GT(TotalBytes(MemoryTable(doubled.value())), TotalBytes(MemoryTable(small))) << pool.key;
  }
  EXPECT_NE(PrintMemoryTable(MemoryTable(small)).find("account profiles"), std::string::npos);
}

TEST(MemoryTableTest, ReferencePageIsThatOfTheTable) {
  std::ifstream file(STILLWATCH_SOURCE_DIR "/docs/memory.md");
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), MemoryMarkdown(config::LoadConfig("", std::vector<std::string>{"ports.mode=inline"}).value()))
      << "run: stillwatch memory-reference > docs/memory.md";
}

TEST(MemoryTableTest, TheGpusOwnMemoryIsTold) {
  const auto large = config::LoadConfig("", std::vector<std::string>{"sketch.window_mib=1024"});
  EXPECT_NE(DeviceMemoryText(large.value()).find("(1024.0 window, 8.0 representatives, "), std::string::npos)
      << DeviceMemoryText(large.value());
  EXPECT_EQ(DeviceMemoryText(config::LoadConfig("", std::vector<std::string>{"sketch.gpu=cpu"}).value()), "");
}

TEST(MemoryTableTest, TheKeyToLowerIsNamed) {
  const auto config = config::LoadConfig("", std::vector<std::string>{"http.parsers_max=10000000"});
  EXPECT_NE(CheckMemory(config.value()).message().find("http.parsers_max, 87890 MiB"), std::string::npos)
      << CheckMemory(config.value()).message();
}

}  // namespace
}  // namespace stillwatch
