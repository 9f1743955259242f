// DPDK's environment: started once a process from our configuration, before any port is opened.
// Start-up thread. The calling thread keeps its processors (DPDK would pin it to one).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace stillwatch::dataplane {

struct EalOptions {
  bool huge_pages = true;  // use them when enough are free; false: never
  uint32_t memory_mib = 256;
  std::string log_level = "error";
  std::vector<std::string>
      pci;  // addresses of NICs bound to a userspace driver; empty: none is touched
  std::vector<std::string> extra;  // further words for rte_eal_init
};

class Eal {
 public:
  // A second start in one process fails, also after the first was destroyed.
  static Result<std::unique_ptr<Eal>> Start(const EalOptions& options);
  ~Eal();
  Eal(const Eal&) = delete;
  Eal& operator=(const Eal&) = delete;

  bool huge_pages() const { return huge_pages_; }

 private:
  Eal() = default;
  bool started_ = true;
  bool huge_pages_ = false;
};

// MiB in free huge pages of 2 MiB.
uint64_t FreeHugePagesMib();

}  // namespace stillwatch::dataplane
