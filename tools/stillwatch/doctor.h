// Says what is wrong with this machine for a configuration, before a port is taken, and the command
// that mends it. Start-up only; changes nothing.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "tools/stillwatch/machine_facts.h"

namespace stillwatch {

enum class Severity {
  kError,    // it will not run, or loses packets or sight
  kWarning,  // it runs, slower or with less safety
  kNotice,   // worth knowing; nothing to mend here, or only elsewhere
};

struct Finding {
  Severity severity;
  std::string where;  // configuration key, interface or system setting
  std::string what;
  std::string mend;  // a command or a key; empty: nothing to do
};

struct DoctorOptions {
  config::Config config;
  MachineFacts machine;  // ReadMachine(config)
};

// What the driver needs and `effective` lacks, as setcap wants it; "" when all is there. For run, too.
std::string MissingCapabilities(const config::Config& config, uint64_t effective);
std::string CapabilitiesMend(const std::string& missing);

// Most severe first.
std::vector<Finding> DoctorChecks(const DoctorOptions& options);

// "error    ports.a  eth9: no such interface" and the mend below it; a last line that sums up.
std::string PrintFindings(const std::vector<Finding>& findings);
bool HasErrors(const std::vector<Finding>& findings);

}  // namespace stillwatch
