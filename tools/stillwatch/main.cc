// stillwatch: the daemon and the tools that share its decoder.
#include <cstdio>
#include <span>
#include <string_view>

#include "config/schema.h"
#include "tools/stillwatch/doctor_command.h"
#include "tools/stillwatch/inspect.h"
#include "tools/stillwatch/replay.h"
#include "tools/stillwatch/run.h"

namespace {

constexpr char kUsage[] =
    "stillwatch: watches model API traffic inline and finds distillation campaigns\n"
    "\n"
    "  stillwatch run     --config FILE [--set KEY=VALUE]...\n"
    "  stillwatch replay  --config FILE [--set KEY=VALUE]... [--keylog FILE] --out DIR CAPTURE...\n"
    "  stillwatch inspect --layer http|stream|tls|exchange [--keylog FILE] [--ignore-checksums] [--show-text] CAPTURE...\n"
    "  stillwatch doctor  --config FILE [--set KEY=VALUE]...\n"
    "  stillwatch config-reference      docs/config.md, from the schema\n"
    "\n"
    "exit: 0 done, 1 failed while running, 2 unreadable file or configuration, 64 usage\n";

}  // namespace

int main(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  const std::span<char*> args(argv + (argc > 1 ? 2 : 1), argv + argc);
  if (command == "run") return stillwatch::RunMain(args);
  if (command == "replay") return stillwatch::ReplayMain(args);
  if (command == "inspect") return stillwatch::InspectMain(args);
  if (command == "doctor") return stillwatch::DoctorMain(args);
  if (command == "config-reference") {
    std::fputs(stillwatch::config::SchemaMarkdown().c_str(), stdout);
    return 0;
  }
  const bool asked = command == "--help" || command == "-h" || command == "help";
  std::fputs(kUsage, asked ? stdout : stderr);
  return asked ? 0 : 64;
}
