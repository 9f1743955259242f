// What the doctor needs to know of the machine, read once and without changing anything. Plain
// data, so that its judgement can be tested on machines that we do not have.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "config/config.h"

namespace stillwatch {

struct InterfaceFacts {
  bool exists = false;
  bool up = false;
  bool carrier = false;
  uint32_t mtu = 0;
  std::string driver;                  // "veth", "ice", ...; empty: unknown
  bool gro = false, lro = false;       // merges frames on reception
  bool vlan_strip = false;             // takes VLAN tags off on reception
  uint32_t combined_queues = 0;        // receive queues in use; 0: the device has no such notion
  std::vector<std::string> addresses;  // IP addresses that the host itself has there
};

struct Unwritable {
  std::string path, why;
};

struct MachineFacts {
  uint64_t capabilities = 0;     // effective, bit by number
  uint64_t memlock_bytes = 0;    // RLIMIT_MEMLOCK; ~0: none
  uint64_t memory_free_mib = 0;  // MemAvailable
  uint64_t huge_free_mib = 0;
  uint32_t processors = 0;
  bool bpf_filesystem = false;                       // the kernel has it
  bool bpffs_mounted = false;                        // at fail_open.bpffs
  std::map<std::string, InterfaceFacts> interfaces;  // those that the configuration names
  std::map<std::string, std::string>
      pci_drivers;  // kernel driver of named PCI addresses; "": none; missing: no such device
  std::map<std::string, Unwritable> unwritable;  // folders that cannot be made or written, by key
  std::string kafka_problem;  // not read here but by `stillwatch doctor`: the cluster's, with the mend
};

MachineFacts ReadMachine(const config::Config& config);
uint64_t EffectiveCapabilities();

}  // namespace stillwatch
