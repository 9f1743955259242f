#include "tools/stillwatch/machine_facts.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "dataplane/bypass/bpffs.h"
#include "dataplane/dpdk/eal.h"

namespace stillwatch {

namespace {

// One line of a /proc file: the text after `name`.
std::string LineOf(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name)) return line.substr(name.size());
  }
  return "";
}

class InterfaceAsker {
 public:
  explicit InterfaceAsker(const std::string& name)
      : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    std::strncpy(request_.ifr_name, name.c_str(), IFNAMSIZ - 1);
  }
  ~InterfaceAsker() {
    if (fd_ >= 0) close(fd_);
  }
  bool Ask(unsigned long what) { return fd_ >= 0 && ioctl(fd_, what, &request_) == 0; }
  // An ethtool question; `answer` begins with its command.
  bool AskEthtool(void* answer) {
    request_.ifr_data = static_cast<char*>(answer);
    return Ask(SIOCETHTOOL);
  }
  uint32_t EthtoolValue(uint32_t command) {
    ethtool_value value{command, 0};
    return AskEthtool(&value) ? value.data : 0;
  }
  const ifreq& request() const { return request_; }

 private:
  int fd_;
  ifreq request_{};
};

std::vector<std::string> AddressesOf(const std::string& name) {
  std::vector<std::string> found;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return found;
  for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr || name != at->ifa_name) continue;
    char text[INET6_ADDRSTRLEN] = "";
    if (at->ifa_addr->sa_family == AF_INET) {
      inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(at->ifa_addr)->sin_addr, text,
                sizeof text);
    } else if (at->ifa_addr->sa_family == AF_INET6) {
      inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6*>(at->ifa_addr)->sin6_addr, text,
                sizeof text);
    }
    if (text[0] != '\0') found.emplace_back(text);
  }
  freeifaddrs(list);
  return found;
}

InterfaceFacts ReadInterface(const std::string& name) {
  InterfaceFacts facts;
  facts.exists = if_nametoindex(name.c_str()) != 0;
  if (!facts.exists) return facts;
  InterfaceAsker asker(name);
  if (asker.Ask(SIOCGIFFLAGS)) {
    facts.up = (asker.request().ifr_flags & IFF_UP) != 0;
    facts.carrier = (asker.request().ifr_flags & IFF_RUNNING) != 0;
  }
  if (asker.Ask(SIOCGIFMTU)) facts.mtu = static_cast<uint32_t>(asker.request().ifr_mtu);
  ethtool_drvinfo driver{};
  driver.cmd = ETHTOOL_GDRVINFO;
  if (asker.AskEthtool(&driver)) facts.driver = driver.driver;
  facts.gro = asker.EthtoolValue(ETHTOOL_GGRO) != 0;
  const uint32_t flags = asker.EthtoolValue(ETHTOOL_GFLAGS);
  facts.lro = (flags & ETH_FLAG_LRO) != 0;
  facts.vlan_strip = (flags & ETH_FLAG_RXVLAN) != 0;
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  if (asker.AskEthtool(&channels))
    facts.combined_queues = std::max(channels.combined_count, channels.rx_count);
  facts.addresses = AddressesOf(name);
  return facts;
}

// Why `folder` is no folder that we can write, or make below its nearest parent; "" if it is.
std::string WhyUnwritable(std::filesystem::path folder) {
  std::error_code none;
  while (!std::filesystem::exists(folder, none) && folder.has_relative_path()) folder = folder.parent_path();
  if (folder.empty()) folder = ".";
  if (!std::filesystem::is_directory(folder, none)) return folder.string() + " is no folder";
  return access(folder.c_str(), W_OK | X_OK) == 0 ? "" : folder.string() + ": " + std::strerror(errno);
}

}  // namespace

uint64_t EffectiveCapabilities() {
  return std::strtoull(LineOf("/proc/self/status", "CapEff:").c_str(), nullptr, 16);
}

MachineFacts ReadMachine(const config::Config& config) {
  MachineFacts facts;
  facts.capabilities = EffectiveCapabilities();
  rlimit memlock{};
  getrlimit(RLIMIT_MEMLOCK, &memlock);
  facts.memlock_bytes = memlock.rlim_cur == RLIM_INFINITY ? ~0ull : memlock.rlim_cur;
  facts.memory_free_mib =
      std::strtoull(LineOf("/proc/meminfo", "MemAvailable:").c_str(), nullptr, 10) / 1024;
  facts.huge_free_mib = dataplane::FreeHugePagesMib();
  facts.processors = static_cast<uint32_t>(sysconf(_SC_NPROCESSORS_ONLN));
  facts.bpf_filesystem =
      !LineOf("/proc/filesystems", "nodev\tbpf").empty() || std::filesystem::exists("/sys/fs/bpf");
  facts.bpffs_mounted = dataplane::OnBpffs(config.fail_open.bpffs);
  const auto must_write = [&](const std::string& key, const std::filesystem::path& folder) {
    const std::string why = WhyUnwritable(folder);
    if (!why.empty()) facts.unwritable[key] = {folder, why};
  };
  must_write("box.state_dir", config.box.state_dir);
  must_write("control.socket", std::filesystem::path(config.control.socket).parent_path());
  if (config.output.ndjson) must_write("output.dir", config.output.dir);
  for (const std::string& name : {config.ports.a, config.ports.b}) {
    if (name.empty()) continue;
    if (config.ports.driver != "ethdev") {
      facts.interfaces[name] = ReadInterface(name);
      continue;
    }
    const std::filesystem::path device = "/sys/bus/pci/devices/" + name;
    if (!std::filesystem::exists(device)) continue;
    std::error_code none;
    facts.pci_drivers[name] = std::filesystem::read_symlink(device / "driver", none).filename();
  }
  return facts;
}

}  // namespace stillwatch
