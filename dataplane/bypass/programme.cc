#include "dataplane/bypass/programme.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

// The compiled programmes, as bytes of this file.
asm(".section .rodata\n"
    ".balign 16\n"
    "stillwatch_fail_open_begin:\n"
    ".incbin \"" STILLWATCH_FAIL_OPEN_OBJECT
    "\"\n"
    "stillwatch_fail_open_end:\n"
    ".balign 16\n"
    "stillwatch_fail_open_tc_begin:\n"
    ".incbin \"" STILLWATCH_FAIL_OPEN_TC_OBJECT
    "\"\n"
    "stillwatch_fail_open_tc_end:\n"
    ".previous\n");
extern "C" {
extern const uint8_t stillwatch_fail_open_begin[];
extern const uint8_t stillwatch_fail_open_end[];
extern const uint8_t stillwatch_fail_open_tc_begin[];
extern const uint8_t stillwatch_fail_open_tc_end[];
}

namespace stillwatch::dataplane {

namespace {

// libbpf's last warning on this thread: why the kernel refused.
thread_local std::string last_warning;

int KeepWarning(libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN) return 0;
  char line[512];
  const int size = vsnprintf(line, sizeof line, format, arguments);
  last_warning.assign(line);
  while (!last_warning.empty() && last_warning.back() == '\n') last_warning.pop_back();
  return size;
}

// libxdp, which DPDK's driver uses in this process, warns that it will not take our programme off
// when a socket closes. That is what it is pinned for.
int Silence(libxdp_print_level, const char*, va_list) { return 0; }

struct CloseObject {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};

Error LoadError(int reason) {
  std::string message =
      "fail-open programme: the kernel does not load it: " + std::string(std::strerror(reason));
  if (!last_warning.empty()) message += " (" + last_warning + ")";
  if (reason == EPERM) message += "; it needs CAP_BPF and CAP_NET_ADMIN, or root";
  return Error{message};
}

}  // namespace

void Fd::Reset(int fd) {
  if (fd_ >= 0) close(fd_);
  fd_ = fd;
}

Result<LoadedProgramme> LoadProgramme(Hook hook, const std::map<std::string, int>& reuse, uint32_t passed_flows_max) {
  libbpf_set_print(KeepWarning);
  libxdp_set_print(Silence);
  last_warning.clear();
  LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "stillwatch");
  const bool xdp = hook == Hook::kXdp;
  const uint8_t* begin = xdp ? stillwatch_fail_open_begin : stillwatch_fail_open_tc_begin;
  const uint8_t* end = xdp ? stillwatch_fail_open_end : stillwatch_fail_open_tc_end;
  const std::unique_ptr<bpf_object, CloseObject> object(
      bpf_object__open_mem(begin, static_cast<size_t>(end - begin), &options));
  if (object == nullptr) return LoadError(errno);
  if (bpf_map* map = bpf_object__find_map_by_name(object.get(), kPassedMap);
      map == nullptr || bpf_map__set_max_entries(map, passed_flows_max) != 0) {
    return LoadError(errno);
  }
  for (const auto& [name, fd] : reuse) {
    bpf_map* map = bpf_object__find_map_by_name(object.get(), name.c_str());
    if (map == nullptr || bpf_map__reuse_fd(map, fd) != 0) return LoadError(errno);
  }
  if (const int failed = bpf_object__load(object.get()); failed != 0) return LoadError(-failed);

  LoadedProgramme loaded;
  // The object closes its own descriptors; ours keep what they name.
  bpf_program* programme = nullptr;
  bpf_object__for_each_program(programme, object.get()) loaded.programmes[bpf_program__name(programme)] =
      Fd(dup(bpf_program__fd(programme)));
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object.get()) loaded.maps[bpf_map__name(map)] =
      Fd(dup(bpf_map__fd(map)));
  return loaded;
}

Result<Fd> AttachProgramme(int programme, const std::string& interface, bool* native) {
  const int index = static_cast<int>(if_nametoindex(interface.c_str()));
  if (index == 0) {
    return Error{interface +
                 ": no such interface in this network namespace; `ip link` shows which there are"};
  }
  for (const uint32_t mode : {XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE}) {
    LIBBPF_OPTS(bpf_link_create_opts, options, .flags = mode);
    const int fd = bpf_link_create(programme, index, BPF_XDP, &options);
    if (fd >= 0) {
      *native = mode == XDP_FLAGS_DRV_MODE;
      return Fd(fd);
    }
    if (errno != EOPNOTSUPP) break;  // the driver has no XDP: try the generic place
  }
  std::string mend;
  if (errno == EBUSY)
    mend = "; another XDP programme is attached: ip link set dev " + interface + " xdp off";
  if (errno == ERANGE)
    mend = "; the MTU is too large for XDP: ip link set dev " + interface +
           " mtu 1500, or ports.driver = \"af_packet\"";
  if (errno == EPERM) mend = "; it needs CAP_NET_ADMIN and CAP_BPF, or root";
  return Error{interface + ": the fail-open programme cannot be attached: " + std::strerror(errno) +
               mend};
}

}  // namespace stillwatch::dataplane
