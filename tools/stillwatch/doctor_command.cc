#include "tools/stillwatch/doctor_command.h"

#include <cstdio>

#include "config/load.h"
#include "tools/stillwatch/args.h"
#include "tools/stillwatch/doctor.h"
#include "tools/stillwatch/kafka_topics.h"
#include "tools/stillwatch/memory_table.h"

namespace stillwatch {

int DoctorMain(std::span<char*> words) {
  const Result<Args> args = ParseArgs(words);
  if (!args.ok()) return Complain(kExitBadUsage, args.message());
  if (args.value().config_file.empty() || !args.value().words.empty()) {
    return Complain(kExitBadUsage, "doctor --config FILE [--set KEY=VALUE]...");
  }
  const Result<config::Config> config = config::LoadConfig(args.value().config_file, args.value().sets);
  if (!config.ok()) return Complain(kExitUnreadable, config.message());
  MachineFacts machine = ReadMachine(config.value());
  if (config.value().kafka.enabled) machine.kafka_problem = KafkaProblem(config.value());
  const std::vector<Finding> findings = DoctorChecks({config.value(), machine});
  std::printf("%s%s\n%s", PrintMemoryTable(MemoryTable(config.value())).c_str(), DeviceMemoryText(config.value()).c_str(),
              PrintFindings(findings).c_str());
  return HasErrors(findings) ? kExitFailed : kExitDone;
}

}  // namespace stillwatch
