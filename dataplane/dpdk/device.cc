#include "dataplane/dpdk/device.h"

#include <net/if.h>
#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <vector>

namespace stillwatch::dataplane {

namespace {

constexpr uint32_t kL2Overhead = 14 + 2 * 4 + 4;  // Ethernet, two VLAN tags, frame check sequence
constexpr uint32_t kAfPacketOverhead = 66;  // the kernel's header before each frame in its ring
constexpr uint32_t kAfXdpMtuMax = 3'400;    // one page a frame, less headroom
constexpr uint32_t kCacheBuffers = 256;     // of each thread

Error Failed(const std::string& device, const std::string& what, int reason) {
  return Error{device + ": " + what + " failed: " + rte_strerror(reason < 0 ? -reason : reason)};
}

uint32_t AfPacketFrameSize(uint32_t mtu) {
  return std::bit_ceil(std::max(mtu + kL2Overhead + kAfPacketOverhead, 2048u));
}

// Device arguments of the virtual driver over a kernel interface.
std::string DriverArguments(const InlinePairOptions& options, const std::string& interface) {
  const std::string queues = std::to_string(options.queues);
  if (options.driver == PortDriver::kAfXdp)
    return "iface=" + interface + ",start_queue=0,queue_count=" + queues + ",busy_budget=0";
  const uint32_t frame = AfPacketFrameSize(options.mtu);
  const uint32_t count = std::max(16u * 1024 * 1024 / frame, 512u);
  return "iface=" + interface + ",framesz=" + std::to_string(frame) +
         ",blocksz=65536,framecnt=" + std::to_string(count) + ",qpairs=" + queues;
}

Status CheckInterface(const InlinePairOptions& options, const std::string& key,
                      const std::string& interface) {
  if (if_nametoindex(interface.c_str()) == 0) {
    return Error{key + ": " + interface +
                 ": no such interface in this network namespace; `ip link` shows which there are"};
  }
  ifreq request{};
  std::strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const bool known = fd >= 0 && ioctl(fd, SIOCGIFMTU, &request) == 0;
  if (fd >= 0) close(fd);
  const auto mtu = static_cast<uint32_t>(request.ifr_mtu);
  if (known && mtu > options.mtu) {
    // A driver with smaller frames would cut them without a word.
    return Error{interface + ": its MTU is " + std::to_string(mtu) + ", larger than ports.mtu (" +
                 std::to_string(options.mtu) + "); raise ports.mtu, or: ip link set dev " +
                 interface + " mtu " + std::to_string(options.mtu)};
  }
  if (options.driver == PortDriver::kAfXdp && options.mtu > kAfXdpMtuMax) {
    return Error{"ports.mtu: af_xdp carries at most " + std::to_string(kAfXdpMtuMax) +
                 "; use ports.driver = \"af_packet\" for larger frames"};
  }
  return {};
}

}  // namespace

uint16_t DataRoomOf(PortDriver driver, uint32_t mtu) {
  const uint32_t data = driver == PortDriver::kAfPacket ? AfPacketFrameSize(mtu)
                                                        : std::max(mtu + kL2Overhead + 30, 2048u);
  return static_cast<uint16_t>(std::min(data + RTE_PKTMBUF_HEADROOM, 65'535u));
}

Result<Pool> MakePool(const InlinePairOptions& options) {
  // The AF_XDP driver registers "number of buffers times size of one" bytes with the kernel. Laid
  // out the usual way, buffers do not cross pages and take more: the kernel would silently refuse
  // those that lie past the end, one by one, until the port stands still. Without the flag for
  // contiguous I/O addresses they lie densely. NICs that read memory themselves need the usual
  // layout.
  const unsigned flags = options.driver == PortDriver::kEthdev ? 0 : RTE_MEMPOOL_F_NO_IOVA_CONTIG;
  const uint16_t room = DataRoomOf(options.driver, options.mtu);
  const auto element = static_cast<unsigned>(sizeof(rte_mbuf) + room);
  rte_pktmbuf_pool_private sizes{};
  sizes.mbuf_data_room_size = room;
  Pool pool(rte_mempool_create_empty("stillwatch", options.mbufs, element, kCacheBuffers,
                                     sizeof sizes, SOCKET_ID_ANY, flags));
  if (pool != nullptr) rte_pktmbuf_pool_init(pool.get(), &sizes);
  const int populated = pool == nullptr ? -rte_errno : rte_mempool_populate_default(pool.get());
  if (populated < 0) {
    return Error{"ports.mbufs: no memory for " + std::to_string(options.mbufs) +
                 " packet buffers of " + std::to_string(element) +
                 " bytes: " + rte_strerror(-populated) + "; raise eal.memory_mib"};
  }
  rte_mempool_obj_iter(pool.get(), rte_pktmbuf_init, nullptr);

  if (options.driver == PortDriver::kAfXdp) {
    uintptr_t end = 0;
    rte_mempool_obj_iter(
        pool.get(),
        [](rte_mempool* of, void* last, void* object, unsigned) {
          auto& at = *static_cast<uintptr_t*>(last);
          at = std::max(at, reinterpret_cast<uintptr_t>(object) + of->elt_size + of->trailer_size);
        },
        &end);
    const size_t registered =
        size_t{options.mbufs} * rte_mempool_calc_obj_size(element, pool->flags, nullptr);
    const auto begin = reinterpret_cast<uintptr_t>(STAILQ_FIRST(&pool->mem_list)->addr);
    if (pool->nb_mem_chunks != 1 || end > begin + registered) {
      return Error{
          "ports.mbufs: the packet buffers do not lie in one piece, which AF_XDP needs; set "
          "eal.huge_pages = \"off\""};
    }
  }
  return pool;
}

Status CheckPoolSize(const InlinePairOptions& options, size_t devices) {
  const size_t rings = devices * options.queues * 2 * std::max<size_t>(options.descriptors, 2048);
  const size_t need = rings + options.lent_max + (1 + options.queues) * kCacheBuffers;
  if (options.mbufs >= need) return {};
  return Error{"ports.mbufs: " + std::to_string(options.mbufs) +
               " packet buffers are too few: the ports' rings hold " + std::to_string(rings) +
               ", the workers' rings " + std::to_string(options.lent_max) + "; set ports.mbufs = " +
               std::to_string(std::bit_ceil(need + 1) - 1) + " (and eal.memory_mib to hold them)"};
}

void CloseLeftSockets() {
  std::vector<int> left;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", failed)) {
    const int fd = std::atoi(entry.path().filename().c_str());
    int domain = 0;
    socklen_t size = sizeof domain;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_XDP) left.push_back(fd);
  }
  for (const int fd : left) close(fd);
}

Result<std::unique_ptr<Device>> Device::Open(const InlinePairOptions& options, char letter,
                                             rte_mempool* pool) {
  std::unique_ptr<Device> device(new Device);
  device->name_ = letter == 'a' ? options.a : options.b;
  const std::string key = std::string("ports.") + letter;
  if (device->name_.empty()) return Error{key + ": is empty; name the interface"};
  std::string dpdk_name = device->name_;
  if (options.driver != PortDriver::kEthdev) {
    std::string arguments;
    if (options.driver == PortDriver::kVirtual) {
      const size_t comma = device->name_.find(',');
      dpdk_name = device->name_.substr(0, comma);
      arguments = comma == std::string::npos ? "" : device->name_.substr(comma + 1);
    } else {
      if (Status s = CheckInterface(options, key, device->name_); !s.ok())
        return Error{s.message()};
      dpdk_name = (options.driver == PortDriver::kAfXdp ? "net_af_xdp_" : "net_af_packet_") +
                  std::string(1, letter);
      arguments = DriverArguments(options, device->name_);
    }
    const int failed = rte_eal_hotplug_add("vdev", dpdk_name.c_str(), arguments.c_str());
    if (failed != 0)
      return Failed(key + ": " + device->name_, "opening it (" + dpdk_name + "," + arguments + ")",
                    failed);
    device->vdev_ = dpdk_name;
  }
  if (rte_eth_dev_get_port_by_name(dpdk_name.c_str(), &device->id_) != 0) {
    return Error{
        key + ": " + device->name_ +
        " is no device that DPDK knows; bind it to a userspace driver: dpdk-devbind.py --status"};
  }
  device->found_ = true;
  if (Status s = device->Configure(options, pool); !s.ok()) return Error{s.message()};
  return device;
}

Status Device::Configure(const InlinePairOptions& options, rte_mempool* pool) {
  rte_eth_dev_info info{};
  int failed = rte_eth_dev_info_get(id_, &info);
  if (failed != 0) return Failed(name_, "reading its abilities", failed);
  rte_eth_conf conf{};
  if (info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS)
    conf.txmode.offloads |= RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
  sends_chains_ = conf.txmode.offloads != 0;
  if (options.queues > std::min(info.max_rx_queues, info.max_tx_queues)) {
    return Error{"ports.queues: " + name_ + " has " + std::to_string(std::min(info.max_rx_queues, info.max_tx_queues)) +
                 " queues, fewer than " + std::to_string(options.queues) +
                 "; ethtool -L " + name_ + " combined N gives a NIC more"};
  }
  if (options.queues > 1 && info.flow_type_rss_offloads != 0) {
    // By whatever addresses and ports the device can: only load is spread by it, workers are chosen by our own hash.
    conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf.rx_adv_conf.rss_conf.rss_hf = info.flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP);
  }
  failed = rte_eth_dev_configure(id_, options.queues, options.queues, &conf);
  if (failed != 0) return Failed(name_, "configuring it", failed);
  uint16_t rx = options.descriptors, tx = options.descriptors;
  failed = rte_eth_dev_adjust_nb_rx_tx_desc(id_, &rx, &tx);
  if (failed != 0) return Failed(name_, "adjusting its ring sizes", failed);
  const int node = rte_eth_dev_socket_id(id_);
  const auto socket = node < 0 ? static_cast<unsigned>(SOCKET_ID_ANY) : static_cast<unsigned>(node);
  for (uint16_t queue = 0; queue < options.queues; ++queue) {
    const std::string which = " queue " + std::to_string(queue) + " up";
    failed = rte_eth_rx_queue_setup(id_, queue, rx, socket, nullptr, pool);
    if (failed != 0) return Failed(name_, "setting its receive" + which, failed);
    failed = rte_eth_tx_queue_setup(id_, queue, tx, socket, nullptr);
    if (failed != 0) return Failed(name_, "setting its transmit" + which, failed);
  }
  if (options.driver == PortDriver::kEthdev) {
    failed = rte_eth_dev_set_mtu(id_, static_cast<uint16_t>(options.mtu));
    if (failed != 0)
      return Failed(name_, "setting ports.mtu = " + std::to_string(options.mtu), failed);
  }
  failed = rte_eth_dev_start(id_);
  if (failed != 0) return Failed(name_, "starting it", failed);
  started_ = true;
  failed = rte_eth_promiscuous_enable(id_);
  if (failed != 0 && failed != -ENOTSUP)
    return Failed(name_, "receiving frames for all addresses", failed);
  return {};
}

Device::~Device() {
  // The AF_XDP driver tries to take our pinned programme off and says loudly that it may not: as it
  // should be.
  rte_log_set_level_pattern("pmd.net.af_xdp", RTE_LOG_EMERG);
  if (started_) rte_eth_dev_stop(id_);
  if (found_) rte_eth_dev_close(id_);
  if (!vdev_.empty()) rte_eal_hotplug_remove("vdev", vdev_.c_str());
}

}  // namespace stillwatch::dataplane
