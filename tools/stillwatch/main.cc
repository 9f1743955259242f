// stillwatch: the daemon and the tools that share its decoder.
#include <cstdio>
#include <new>
#include <span>
#include <string_view>

#include "config/load.h"
#include "config/schema.h"
#include "tools/stillwatch/args.h"
#include "tools/stillwatch/doctor_command.h"
#include "tools/stillwatch/inspect.h"
#include "tools/stillwatch/kafka_topics.h"
#include "tools/stillwatch/memory_table.h"
#include "tools/stillwatch/replay.h"
#include "tools/stillwatch/run.h"

namespace stillwatch {
namespace {

constexpr char kUsage[] =
    "stillwatch: watches model API traffic inline and finds distillation campaigns\n"
    "\n"
    "  stillwatch run     --config FILE [--set KEY=VALUE]... [--accept-config] [--start-empty]\n"
    "      a start takes the last confirmed configuration; --accept-config: takes FILE\n"
    "      --start-empty: forgets the accounts and campaigns that the box remembers\n"
    "  stillwatch replay  --config FILE [--set KEY=VALUE]... --out DIR [--keylog FILE] [--record-edges FILE] CAPTURE|EXCHANGES...\n"
    "      --save FILE: stop without an end and keep what detection remembers; --restore FILE: go on from there\n"
    "      --request-hits FILE: which remembered requests count in a live campaign at the end, as CSV\n"
    "  stillwatch replay  --config FILE [--set KEY=VALUE]... --out DIR --edges FILE\n"
    "  stillwatch inspect --layer http|http2|stream|tls|exchange [--keylog FILE] [--ignore-checksums] [--show-text] CAPTURE...\n"
    "  stillwatch doctor  --config FILE [--set KEY=VALUE]...\n"
    "  stillwatch kafka-topics --config FILE [--set KEY=VALUE]... [--replication N]\n"
    "      makes the topics that the cluster lacks (replication: 3)\n"
    "  stillwatch config-reference      docs/config.md, from the schema\n"
    "  stillwatch memory-reference      docs/memory.md, from the memory table\n"
    "\n"
    "exit: 0 done, 1 failed while running, 2 unreadable file or configuration, 64 usage\n";

int Main(std::string_view command, std::span<char*> args) {
  if (command == "run") return RunMain(args);
  if (command == "replay") return ReplayMain(args);
  if (command == "inspect") return InspectMain(args);
  if (command == "doctor") return DoctorMain(args);
  if (command == "kafka-topics") return KafkaTopicsMain(args);
  if (command == "config-reference") {
    std::fputs(config::SchemaMarkdown().c_str(), stdout);
    return kExitDone;
  }
  if (command == "memory-reference") {
    const std::string live = "ports.mode=inline";
    std::fputs(MemoryMarkdown(config::LoadConfig("", {&live, 1}).value()).c_str(), stdout);
    return kExitDone;
  }
  const bool asked = command == "--help" || command == "-h" || command == "help";
  std::fputs(kUsage, asked ? stdout : stderr);
  return asked ? kExitDone : kExitBadUsage;
}

}  // namespace
}  // namespace stillwatch

int main(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  try {
    return stillwatch::Main(command, {argv + (argc > 1 ? 2 : 1), argv + argc});
  } catch (const std::bad_alloc&) {  // pools are taken at start, on this thread
    return stillwatch::Complain(stillwatch::kExitFailed,
                                "the system gives no memory for the configured pools; lower the largest of `stillwatch doctor`'s table");
  }
}
