#include "dataplane/bypass/tap.h"

#include <bpf/libbpf.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace stillwatch::dataplane {

namespace {

constexpr uint32_t kHandle = 0x57170001, kPriority = 1;  // our filter among others of the interface
constexpr uint8_t kNoLinkLocal = 1;                       // IN6_ADDR_GEN_MODE_NONE

std::string OurEnd(unsigned port_index) { return "sw" + std::to_string(port_index) + "-tap"; }

// One request to the kernel about interfaces: attributes, nested ones too, then the answer.
class LinkRequest {
 public:
  LinkRequest(uint16_t type, uint16_t flags, unsigned index = 0) {
    header()->nlmsg_type = type;
    header()->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    header()->nlmsg_len = NLMSG_LENGTH(sizeof(ifinfomsg));
    info()->ifi_family = AF_UNSPEC;
    info()->ifi_index = static_cast<int>(index);
  }
  ifinfomsg* info() { return static_cast<ifinfomsg*>(NLMSG_DATA(header())); }

  void Put(uint16_t type, const void* data, size_t size) {
    auto* attribute = reinterpret_cast<rtattr*>(bytes_ + NLMSG_ALIGN(header()->nlmsg_len));
    attribute->rta_type = type;
    attribute->rta_len = static_cast<uint16_t>(RTA_LENGTH(size));
    if (size != 0) std::memcpy(RTA_DATA(attribute), data, size);
    header()->nlmsg_len = NLMSG_ALIGN(header()->nlmsg_len) + RTA_ALIGN(attribute->rta_len);
  }
  void Put(uint16_t type, const std::string& text) { Put(type, text.c_str(), text.size() + 1); }
  void Put32(uint16_t type, uint32_t value) { Put(type, &value, sizeof value); }
  // What is put until End belongs to this attribute.
  size_t Begin(uint16_t type) {
    const size_t at = NLMSG_ALIGN(header()->nlmsg_len);
    Put(type, nullptr, 0);
    return at;
  }
  void End(size_t at) {
    reinterpret_cast<rtattr*>(bytes_ + at)->rta_len = static_cast<uint16_t>(header()->nlmsg_len - at);
  }
  void PutEmptyInfo() {
    std::memset(bytes_ + header()->nlmsg_len, 0, sizeof(ifinfomsg));
    header()->nlmsg_len += NLMSG_ALIGN(sizeof(ifinfomsg));
  }

  // 0, or an errno.
  int Ask() {
    const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) return errno;
    alignas(nlmsghdr) char answer[4096];
    ssize_t size = send(fd, bytes_, header()->nlmsg_len, 0);
    if (size >= 0) size = recv(fd, answer, sizeof answer, 0);
    const int failed = errno;
    close(fd);
    if (size < static_cast<ssize_t>(NLMSG_LENGTH(sizeof(nlmsgerr)))) return size < 0 ? failed : EPROTO;
    const auto* reply = reinterpret_cast<const nlmsghdr*>(answer);
    if (reply->nlmsg_type != NLMSG_ERROR) return EPROTO;
    return -static_cast<const nlmsgerr*>(NLMSG_DATA(reply))->error;
  }

 private:
  nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(bytes_); }
  alignas(nlmsghdr) char bytes_[1024] = {};
};

uint32_t MtuOf(const std::string& interface) {
  ifreq request{};
  interface.copy(request.ifr_name, IFNAMSIZ - 1);
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const bool known = fd >= 0 && ioctl(fd, SIOCGIFMTU, &request) == 0;
  if (fd >= 0) close(fd);
  return known ? static_cast<uint32_t>(request.ifr_mtu) : 1500;
}

int MakePair(unsigned port_index, uint32_t mtu) {
  LinkRequest make(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  make.Put(IFLA_IFNAME, OurEnd(port_index));
  make.Put32(IFLA_MTU, mtu);
  const size_t info = make.Begin(IFLA_LINKINFO);
  make.Put(IFLA_INFO_KIND, std::string("veth"));
  const size_t data = make.Begin(IFLA_INFO_DATA);
  const size_t peer = make.Begin(VETH_INFO_PEER);
  make.PutEmptyInfo();
  make.Put(IFLA_IFNAME, ProcessEnd(port_index));
  make.Put32(IFLA_MTU, mtu);
  make.End(peer);
  make.End(data);
  make.End(info);
  return make.Ask();
}

// The host says nothing there, and the end is up.
int SetUp(unsigned index, uint32_t mtu) {
  LinkRequest mute(RTM_NEWLINK, 0, index);
  const size_t families = mute.Begin(IFLA_AF_SPEC);
  const size_t family = mute.Begin(AF_INET6);
  mute.Put(IFLA_INET6_ADDR_GEN_MODE, &kNoLinkLocal, 1);
  mute.End(family);
  mute.End(families);
  (void)mute.Ask();  // a kernel without IPv6 says nothing anyway
  LinkRequest up(RTM_NEWLINK, 0, index);
  up.info()->ifi_flags = up.info()->ifi_change = IFF_UP | IFF_NOARP;
  up.Put32(IFLA_MTU, mtu);
  return up.Ask();
}

}  // namespace

std::string ProcessEnd(unsigned port_index) { return "sw" + std::to_string(port_index) + "-in"; }

Result<Tap> MakeTap(unsigned port_index, const std::string& port) {
  const auto failed = [&](int reason) {
    return Error{port + ": the veth pair " + OurEnd(port_index) + ", " + ProcessEnd(port_index) + " cannot be made: " +
                 std::strerror(reason) + (reason == EPERM ? "; it needs CAP_NET_ADMIN, or root" : "")};
  };
  const uint32_t mtu = MtuOf(port);
  if (const int reason = MakePair(port_index, mtu); reason != 0 && reason != EEXIST) return failed(reason);
  const Tap tap{if_nametoindex(OurEnd(port_index).c_str()), if_nametoindex(ProcessEnd(port_index).c_str())};
  if (tap.ours == 0 || tap.theirs == 0) return failed(ENODEV);
  for (const unsigned index : {tap.ours, tap.theirs}) {
    if (const int reason = SetUp(index, mtu); reason != 0) return failed(reason);
  }
  return tap;
}

void RemoveTap(unsigned port_index) {
  const unsigned index = if_nametoindex(OurEnd(port_index).c_str());
  if (index == 0) return;
  LinkRequest remove(RTM_DELLINK, 0, index);
  (void)remove.Ask();
}

Status AttachFilter(int programme, unsigned index, const std::string& name) {
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(index), .attach_point = BPF_TC_INGRESS);
  int failed = bpf_tc_hook_create(&hook);
  if (failed == 0 || failed == -EEXIST) {
    LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = programme, .flags = BPF_TC_F_REPLACE, .handle = kHandle, .priority = kPriority);
    failed = bpf_tc_attach(&hook, &options);
  }
  if (failed == 0) return {};
  return Error{name + ": the fail-open programme cannot be attached to traffic control: " + std::strerror(-failed) +
               (failed == -EPERM ? "; it needs CAP_NET_ADMIN and CAP_BPF, or root" : "")};
}

void DetachFilter(unsigned index) {
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(index), .attach_point = BPF_TC_INGRESS);
  LIBBPF_OPTS(bpf_tc_opts, options, .handle = kHandle, .priority = kPriority);
  (void)bpf_tc_detach(&hook, &options);
}

}  // namespace stillwatch::dataplane
