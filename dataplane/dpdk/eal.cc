#include "dataplane/dpdk/eal.h"

#include <pthread.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <sched.h>

#include <cerrno>
#include <fstream>

namespace stillwatch::dataplane {

namespace {

// One logical core that floats over every processor that this thread may use.
std::string LcoresOf(const cpu_set_t& allowed) {
  std::string list;
  for (size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    if (!list.empty()) list += ',';
    list += std::to_string(cpu);
  }
  return "0@(" + list + ")";
}

Error StartError(const EalOptions& options, int reason) {
  std::string message = "DPDK does not start: " + std::string(rte_strerror(reason));
  if (reason == EALREADY) message += "; it can be started once in a process";
  if (reason == EACCES || reason == EPERM)
    message += "; run as root or with the capabilities that `stillwatch doctor` lists";
  if (reason == ENOMEM)
    message += "; lower eal.memory_mib (now " + std::to_string(options.memory_mib) + ")";
  return Error{message};
}

}  // namespace

uint64_t FreeHugePagesMib() {
  uint64_t pages = 0;
  std::ifstream("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages") >> pages;
  return pages * 2;
}

Result<std::unique_ptr<Eal>> Eal::Start(const EalOptions& options) {
  std::unique_ptr<Eal> eal(new Eal);
  eal->huge_pages_ = options.huge_pages && FreeHugePagesMib() >= options.memory_mib;
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  pthread_getaffinity_np(pthread_self(), sizeof allowed, &allowed);

  std::vector<std::string> words{"stillwatch",
                                 "--no-telemetry",
                                 "--iova-mode=va",
                                 "--lcores=" + LcoresOf(allowed),
                                 "-m",
                                 std::to_string(options.memory_mib),
                                 "--log-level=*:" + options.log_level};
  if (eal->huge_pages_) {
    words.push_back("--in-memory");
  } else {
    // Without huge pages --in-memory is refused; this leaves no files behind either.
    words.insert(words.end(), {"--no-huge", "--no-shconf"});
  }
  if (options.pci.empty()) words.push_back("--no-pci");
  for (const std::string& address : options.pci) words.insert(words.end(), {"-a", address});
  words.insert(words.end(), options.extra.begin(), options.extra.end());

  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const int used = rte_eal_init(static_cast<int>(argv.size()) - 1, argv.data());
  const int reason = rte_errno;
  pthread_setaffinity_np(pthread_self(), sizeof allowed, &allowed);
  if (used >= 0) return eal;
  eal->started_ = false;
  return StartError(options, reason);
}

Eal::~Eal() {
  if (started_) rte_eal_cleanup();
}

}  // namespace stillwatch::dataplane
