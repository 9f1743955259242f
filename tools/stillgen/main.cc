// stillgen: deterministic labelled traffic with model APIs, written as a capture or played live.
#include <cstdio>
#include <string_view>

#include "tools/stillgen/commands.h"
#include "tools/stillgen/scenario.h"

namespace {

int Usage(int status) {
  std::FILE* out = status == 0 ? stdout : stderr;
  std::fputs(
      "stillgen capture --out FILE.pcap [--truth FILE.json] [WORLD] [--reorder P --dup P --loss P]\n"
      "                 [--rate-limited P] [--answer-tokens N] [--port N]\n"
      "stillgen record  --out FILE.exchanges --account-key KEY [--salt KEY] [--partner-key KEY] [--truth FILE.json] [WORLD] [--sample N (accounts, 1 in N)]\n"
      "                 [--rate-limited P] [--answer-tokens N]\n"
      "stillgen serve   --listen IP:PORT [--speed X] [--seed N] [--stats FILE] [--rate-limited P] [--answer-tokens N]\n"
      "stillgen play    --target IP:PORT --duration SECONDS [--truth FILE] [WORLD] [--source-prefix A.B.C.D/N] [--progress]\n"
      "stillgen report  --truth FILE --verdicts FILE.ndjson [--account-key KEY] [--json]\n"
      "\n"
      "WORLD: --scenario NAME | --mix KIND=N,KIND=GROUPSxN,KIND=GROUPSxLOW..HIGH   --seed N   --accounts N (about, in all)   --hours H | --days D\n"
      "       --scale X (how much each account asks)   --sse P   --cover C   --start TIME   --account-key hex:...|file:PATH\n"
      "       --split train|dev|test   --pool N (accounts of each campaign)   --prevalence P (campaign accounts of all)   --harvest-a-day N (an account)\n"
      "       --disguise parameters,timing,stack,age,address (what campaign accounts do not share, whatever the seed says)\n"
      "       --exact (take the scenario's numbers as they are, not varied by the seed)\n\nscenarios:\n", out);
  for (const auto& s : stillwatch::stillgen::Scenarios()) {
    std::fprintf(out, "  %-8s %s: %s\n", s.name.data(), s.what.data(), s.mix.data());
  }
  std::fputs("kinds:\n", out);
  for (const auto& k : stillwatch::stillgen::Kinds()) std::fprintf(out, "  %-10s %s\n", k.name.data(), k.what.data());
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace stillwatch::stillgen;
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command == "capture") return RunCapture(argc - 2, argv + 2);
  if (command == "record") return RunRecord(argc - 2, argv + 2);
  if (command == "play") return RunPlay(argc - 2, argv + 2);
  if (command == "serve") return RunServe(argc - 2, argv + 2);
  if (command == "report") return RunReport(argc - 2, argv + 2);
  if (command == "help" || command == "--help") return Usage(0);
  return Usage(64);
}
