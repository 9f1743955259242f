#include "tools/stillwatch/doctor.h"

#include <algorithm>
#include <array>
#include <bit>
#include <string_view>

#include "config/load.h"
#include "tools/stillwatch/memory_table.h"
#include "tools/stillwatch/settings.h"

namespace stillwatch {

namespace {

using Findings = std::vector<Finding>;

constexpr int64_t kMib = 1 << 20;

struct Capability {
  int number;  // linux/capability.h
  std::string_view name;
};
constexpr Capability kNetAdmin{12, "cap_net_admin"}, kNetRaw{13, "cap_net_raw"},
    kIpcLock{14, "cap_ipc_lock"}, kSysRawIo{17, "cap_sys_rawio"}, kSysAdmin{21, "cap_sys_admin"},
    kBpf{39, "cap_bpf"};

// Drivers that run XDP themselves; others get the kernel's generic, slower place.
constexpr std::string_view kXdpDrivers[] = {
    "veth",  "virtio_net", "ixgbe",     "ixgbevf",   "i40e",    "ice",      "igb",
    "igc",   "mlx4_en",    "mlx5_core", "bnxt_en",   "ena",     "gve",      "nfp",
    "qede",  "sfc",        "tun",       "hv_netvsc", "mvneta",  "mvpp2",    "stmmac",
    "tsnep", "enetc",      "fec",       "vmxnet3",   "thunder", "octeontx2"};

bool HasXdp(const std::string& driver) {
  return std::any_of(std::begin(kXdpDrivers), std::end(kXdpDrivers),
                     [&](std::string_view known) { return driver.starts_with(known); });
}

std::vector<std::pair<std::string, std::string>> NamedPorts(const config::Config& config) {
  std::vector<std::pair<std::string, std::string>> ports;
  if (!config.ports.a.empty()) ports.emplace_back("ports.a", config.ports.a);
  if (!config.ports.b.empty()) ports.emplace_back("ports.b", config.ports.b);
  return ports;
}

void CheckCapabilities(const config::Config& config, const MachineFacts& machine, Findings* out) {
  const std::string missing = MissingCapabilities(config, machine.capabilities);
  if (missing.empty()) return;
  out->push_back({Severity::kError, "capabilities",
                  "missing for ports.driver = \"" + config.ports.driver + "\": " + missing,
                  CapabilitiesMend(missing)});
}

void CheckFolders(const MachineFacts& machine, Findings* out) {
  for (const auto& [key, folder] : machine.unwritable) {
    out->push_back({Severity::kError, key, folder.path + " cannot be made or written: " + folder.why,
                    "mkdir -p " + folder.path + ", writable for the daemon's user, or set " + key});
  }
}

void CheckInterface(const config::Config& config, const std::string& key, const std::string& name,
                    const InterfaceFacts& facts, Findings* out) {
  const bool xdp = config.ports.driver == "af_xdp";
  if (!facts.exists) {
    out->push_back({Severity::kError, key, name + ": no such interface in this network namespace",
                    "`ip link` shows which there are"});
    return;
  }
  if (!facts.up) {
    out->push_back({Severity::kError, name, "is down", "ip link set dev " + name + " up"});
  } else if (!facts.carrier) {
    out->push_back(
        {Severity::kWarning, name, "has no carrier: cable, or the other end is down", ""});
  }
  if (facts.mtu > static_cast<uint64_t>(config.ports.mtu)) {
    out->push_back({Severity::kError, name,
                    "its MTU is " + std::to_string(facts.mtu) + ", larger than ports.mtu (" +
                        std::to_string(config.ports.mtu) + "): larger frames would be cut",
                    "ip link set dev " + name + " mtu " + std::to_string(config.ports.mtu) +
                        ", or ports.mtu = " + std::to_string(facts.mtu)});
  }
  if (xdp && !HasXdp(facts.driver)) {
    out->push_back({Severity::kWarning, name,
                    "its driver (" + (facts.driver.empty() ? "unknown" : facts.driver) +
                        ") is not known to run XDP: the kernel's generic place is slower",
                    "ports.driver = \"af_packet\" with fail_open.traffic_control = true works everywhere"});
  }
  const std::string off = "ethtool -K " + name + " ";
  if (facts.lro) {
    out->push_back({Severity::kError, name,
                    "merges received frames (LRO), which cannot be sent on as they came",
                    off + "lro off"});
  }
  if (facts.gro && !xdp) {
    out->push_back({Severity::kError, name,
                    "merges received frames (GRO), which cannot be sent on as they came",
                    off + "gro off"});
  }
  if (facts.vlan_strip && xdp && facts.driver != "veth") {
    out->push_back({Severity::kError, name,
                    "takes VLAN tags off on reception: AF_XDP would forward frames without them",
                    off + "rxvlan off"});
  }
  const auto queues = static_cast<uint64_t>(config.ports.queues);
  if (facts.combined_queues > queues) {
    out->push_back({Severity::kError, name,
                    "spreads frames over " + std::to_string(facts.combined_queues) +
                        " receive queues, ports.queues is " + std::to_string(queues) +
                        ": the other queues' frames are not looked at",
                    "ethtool -L " + name + " combined " + std::to_string(queues)});
  }
  if (!facts.addresses.empty() && config.ports.mode == "inline") {
    out->push_back({Severity::kWarning, name,
                    "the host has the address " + facts.addresses.front() +
                        " there and may answer what only passes by",
                    "ip address flush dev " + name + "; ip link set dev " + name +
                        " addrgenmode none arp off"});
  }
  if (facts.driver == "veth") {
    out->push_back({Severity::kNotice, name,
                    "is one end of a veth pair: its far end must not leave checksums to a device" +
                        std::string(xdp ? ", and needs NAPI to take redirected frames" : ""),
                    "at the far end: ethtool -K PEER tx off" + std::string(xdp ? " gro on" : "")});
  }
}

void CheckPci(const config::Config& config, const MachineFacts& machine, Findings* out) {
  for (const auto& [key, address] : NamedPorts(config)) {
    const auto at = machine.pci_drivers.find(address);
    if (at == machine.pci_drivers.end()) {
      out->push_back({Severity::kError, key, address + ": no such PCI device",
                      "dpdk-devbind.py --status shows which there are"});
    } else if (at->second != "vfio-pci" && at->second != "uio_pci_generic" &&
               at->second != "igb_uio" && at->second != "mlx5_core") {
      out->push_back({Severity::kError, key,
                      address + " belongs to the kernel driver \"" + at->second + "\"",
                      "modprobe vfio-pci && dpdk-devbind.py -b vfio-pci " + address});
    }
  }
  if (config.ports.mode == "inline") {
    out->push_back({Severity::kWarning, "ports.driver",
                    "ethdev has no bypass in the kernel: when the process stops, the link is cut",
                    "use a bypass NIC or the switch's bypass, or ports.driver = \"af_xdp\""});
  }
}

void CheckKernel(const config::Config& config, const MachineFacts& machine, Findings* out) {
  const bool xdp = config.ports.driver == "af_xdp";
  if (xdp && !machine.bpf_filesystem) {
    out->push_back({Severity::kError, "fail_open.bpffs", "the kernel has no BPF file system",
                    "a kernel with CONFIG_BPF_SYSCALL"});
  } else if (xdp && !machine.bpffs_mounted) {
    out->push_back({Severity::kNotice, "fail_open.bpffs",
                    "no BPF file system is mounted at " + config.fail_open.bpffs +
                        "; the daemon will mount one",
                    ""});
  }
  const bool may_lock = machine.capabilities >> kIpcLock.number & 1;
  const auto locked = static_cast<uint64_t>(config.ports.mbufs) * 2368;
  if (xdp && !may_lock && machine.memlock_bytes < locked) {
    out->push_back({Severity::kError, "memlock",
                    std::to_string(machine.memlock_bytes / 1024) +
                        " KiB may be locked, the packet buffers are " +
                        std::to_string(locked / 1024) + " KiB",
                    "ulimit -l unlimited, or LimitMEMLOCK=infinity in the unit, or cap_ipc_lock"});
  }
  const auto memory = static_cast<uint64_t>(config.eal.memory_mib);
  if (config.eal.huge_pages == "auto" && machine.huge_free_mib < memory) {
    out->push_back({Severity::kNotice, "eal.huge_pages",
                    std::to_string(machine.huge_free_mib) + " MiB are free in huge pages, " +
                        std::to_string(memory) + " are wanted: ordinary pages are used",
                    "echo " + std::to_string((memory + 1) / 2) +
                        " > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"});
  }
  // Where it is not accepted it is an error already.
  if (config.ports.mode == "inline" && config.ports.driver == "af_packet" && !FailsOpenOnTrafficControl(config) &&
      config.ports.accept_altered_frames) {
    out->push_back(
        {Severity::kWarning, "ports.driver",
         "af_packet has no bypass in the kernel: when the process stops, the link is cut",
         "ports.driver = \"af_xdp\" where the interfaces carry XDP, else fail_open.traffic_control = true"});
    out->push_back({Severity::kWarning, "ports.driver",
                    "af_packet sends 802.1ad tags (QinQ, 0x88a8) on as 802.1Q; the daemon raises an alarm when one comes",
                    "ports.driver = \"af_xdp\" where the wire carries QinQ"});
    out->push_back({Severity::kWarning, "ports.driver",
                    "af_packet holds IPv4 fragments and sends the datagram on whole: larger than the MTU, so that it may be lost",
                    "ports.driver = \"af_xdp\", or fail_open.traffic_control = true: the kernel then sends fragments on as they are"});
  }
}

void CheckThreads(const config::Config& config, const MachineFacts& machine, Findings* out) {
  for (const std::string& cpu : config.threads.cpus) {
    if (std::strtoul(cpu.c_str(), nullptr, 10) < machine.processors) continue;
    out->push_back(
        {Severity::kError, "threads.cpus",
         "processor " + cpu + " is not there (" + std::to_string(machine.processors) + " are)",
         "`nproc --all`"});
  }
  if (config.threads.cpus.empty() && config.fail_open.heartbeat_timeout_ms < 10 &&
      config.ports.driver == "af_xdp") {
    out->push_back(
        {Severity::kWarning, "fail_open.heartbeat_timeout_ms",
         "below 10 ms the kernel bypasses a forwarder that merely waits for a shared processor",
         "pin the forwarder (threads.cpus), or raise it to 20"});
  }
  const auto workers = static_cast<uint64_t>(config.threads.workers), forwarders = static_cast<uint64_t>(config.ports.queues);
  if (workers + forwarders > machine.processors) {
    const bool more_queues = forwarders > 1 && forwarders >= machine.processors;
    out->push_back({Severity::kWarning, more_queues ? "ports.queues" : "threads.workers",
                    std::to_string(workers) + " workers and " + (forwarders == 1 ? "a forwarder" : std::to_string(forwarders) + " forwarders") +
                        " share " + std::to_string(machine.processors) + " processors",
                    more_queues ? "ports.queues = 1"
                                : "threads.workers = " + std::to_string(machine.processors > forwarders ? machine.processors - forwarders : 0)});
  }
}

void CheckMachineMemory(const config::Config& config, const MachineFacts& machine, Findings* out) {
  const uint64_t need_mib = (TotalBytes(MemoryTable(config)) + kMib - 1) / kMib;
  if (const Status memory = CheckMemory(config); !memory.ok()) {
    const std::string text = memory.message().substr(std::string_view("memory.max_mib: ").size());
    const size_t mend = text.find("; ");
    out->push_back({Severity::kError, "memory.max_mib", text.substr(0, mend), text.substr(mend + 2)});
  }
  if (const Status budget = CheckDeviceBudget(config); !budget.ok()) {
    const size_t mend = budget.message().find("; ");  // a table file that cannot be read says no mend
    out->push_back({Severity::kError, "sketch.device_mib", budget.message().substr(0, mend),
                    mend == std::string::npos ? "" : budget.message().substr(mend + 2)});
  }
  if (need_mib > machine.memory_free_mib) {
    out->push_back({Severity::kError, "memory",
                    "the configured pools add up to " + std::to_string(need_mib) + " MiB, " +
                        std::to_string(machine.memory_free_mib) + " are free",
                    "lower the largest pools of the table"});
  }
  if (config.ports.mode == "replay") return;
  const uint64_t mbuf_mib = static_cast<uint64_t>(config.ports.mbufs) *
                            (static_cast<uint64_t>(config.ports.mtu) + 1'000) / kMib;
  if (mbuf_mib > static_cast<uint64_t>(config.eal.memory_mib)) {
    out->push_back(
        {Severity::kError, "eal.memory_mib",
         "about " + std::to_string(mbuf_mib) + " MiB of packet buffers do not fit into it",
         "eal.memory_mib = " + std::to_string(std::bit_ceil(mbuf_mib + 32))});
  }
}

}  // namespace

std::string MissingCapabilities(const config::Config& config, uint64_t effective) {
  std::vector<Capability> needed{kNetRaw, kNetAdmin};
  if (config.ports.driver == "af_xdp") needed.insert(needed.end(), {kBpf, kSysAdmin, kIpcLock});
  if (FailsOpenOnTrafficControl(config)) needed.insert(needed.end(), {kBpf, kSysAdmin});
  if (config.ports.driver == "ethdev") needed = {kIpcLock, kSysRawIo, kSysAdmin};
  std::string missing;
  for (const Capability& capability : needed) {
    if (effective >> capability.number & 1) continue;
    missing += (missing.empty() ? "" : ",") + std::string(capability.name);
  }
  return missing;
}

std::string CapabilitiesMend(const std::string& missing) {
  return "run as root, or: setcap " + missing + "+ep $(command -v stillwatch)";
}

std::vector<Finding> DoctorChecks(const DoctorOptions& options) {
  const config::Config& config = options.config;
  const MachineFacts& machine = options.machine;
  Findings findings;
  CheckMachineMemory(config, machine, &findings);
  if (config.ports.mode != "replay") {
    for (const config::Problem& problem : config::LiveProblems(config)) {
      findings.push_back({Severity::kError, std::string(problem.key), problem.what, problem.mend});
    }
    CheckCapabilities(config, machine, &findings);
    if (config.ports.driver == "ethdev") {
      CheckPci(config, machine, &findings);
    } else {
      for (const auto& [key, name] : NamedPorts(config)) {
        const auto at = machine.interfaces.find(name);
        CheckInterface(config, key, name,
                       at == machine.interfaces.end() ? InterfaceFacts{} : at->second, &findings);
      }
    }
    CheckKernel(config, machine, &findings);
    CheckThreads(config, machine, &findings);
    CheckFolders(machine, &findings);
  }
  if (!machine.kafka_problem.empty()) findings.push_back({Severity::kError, "kafka", machine.kafka_problem, ""});
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.severity < b.severity; });
  return findings;
}

bool HasErrors(const std::vector<Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& f) { return f.severity == Severity::kError; });
}

std::string PrintFindings(const std::vector<Finding>& findings) {
  static constexpr std::string_view kNames[] = {"error  ", "warning", "notice "};
  std::array<size_t, 3> counts{};
  std::string out;
  for (const Finding& finding : findings) {
    const auto severity = static_cast<size_t>(finding.severity);
    ++counts[severity];
    out += std::string(kNames[severity]) + "  " + finding.where + ": " + finding.what + "\n";
    if (!finding.mend.empty()) out += "         mend: " + finding.mend + "\n";
  }
  out += std::to_string(counts[0]) + " errors, " + std::to_string(counts[1]) + " warnings, " +
         std::to_string(counts[2]) + " notices";
  return out + (counts[0] == 0 ? ": ready\n" : ": not ready\n");
}

}  // namespace stillwatch
