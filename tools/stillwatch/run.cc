#include "tools/stillwatch/run.h"

#include <csignal>
#include "base/log.h"
#include "base/mutant.h"
#include "config/load.h"
#include "tools/stillwatch/args.h"
#include "tools/stillwatch/daemon.h"

namespace stillwatch {

namespace {

constexpr char kUsage[] = "run --config FILE [--set KEY=VALUE]... [--accept-config]";

std::atomic<bool> g_stop{false};
std::atomic<bool> g_reload{false};

void OnSignal(int signal) { (signal == SIGHUP ? g_reload : g_stop).store(true); }

struct Chosen {
  config::Config config;
  uint64_t generation;
};

// The last confirmed generation wins over an edited file, so that a crash does not put an untried file into force.
Result<Chosen> Choose(const Args& args, const std::string& text, const config::Config& from_file,
                      config::GenerationStore* store) {
  Result<std::optional<config::GenerationStore::Confirmed>> last = store->LastConfirmed();
  if (!last.ok()) return last.error();
  const bool take_file = args.accept_config || MutantIs("start.takes_the_file");
  if (last.value().has_value() && last.value()->text != text && !take_file) {
    Result<config::Config> confirmed = config::ParseConfig(
        last.value()->text, "confirmed generation " + std::to_string(last.value()->generation), args.sets);
    if (!confirmed.ok()) return confirmed.error();
    Log(LogLevel::kWarning, args.config_file + " differs from the last confirmed configuration, which is taken; `stillctl reload` takes the file, "
                            "or start with --accept-config");
    return Chosen{confirmed.value(), last.value()->generation};
  }
  if (last.value().has_value() && last.value()->text == text) return Chosen{from_file, last.value()->generation};
  const uint64_t generation = last.value().has_value() ? last.value()->generation + 1 : 1;
  if (Status saved = store->SaveCandidate(generation, text); !saved.ok()) return Error{saved.message()};
  if (Status running = store->MarkRunning(generation); !running.ok()) return Error{running.message()};
  if (Status confirmed = store->Confirm(generation); !confirmed.ok()) return Error{confirmed.message()};
  return Chosen{from_file, generation};
}

}  // namespace

int RunMain(std::span<char*> words) {
  const Result<Args> args = ParseArgs(words);
  if (!args.ok()) return Complain(kExitBadUsage, args.message());
  if (args.value().config_file.empty() || !args.value().words.empty()) return Complain(kExitBadUsage, kUsage);
  const Result<std::string> text = config::ReadConfigFile(args.value().config_file);
  if (!text.ok()) return Complain(kExitUnreadable, text.message());
  const Result<config::Config> config = config::ParseConfig(text.value(), args.value().config_file, args.value().sets);
  if (!config.ok()) return Complain(kExitUnreadable, config.message());
  for (const std::string& problem : config::LiveProblems(config.value())) {
    return Complain(kExitUnreadable, args.value().config_file + ": " + problem);
  }
  Result<config::GenerationStore> store = config::GenerationStore::Open(config.value().box.state_dir);
  if (!store.ok()) return Complain(kExitFailed, store.message());
  const Result<Chosen> chosen = Choose(args.value(), text.value(), config.value(), &store.value());
  if (!chosen.ok()) return Complain(kExitUnreadable, chosen.message());

  struct sigaction action{};
  action.sa_handler = OnSignal;
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaction(signal, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  Result<std::unique_ptr<Daemon>> daemon =
      Daemon::Start(chosen.value().config, args.value().config_file, args.value().sets, store.value(), chosen.value().generation);
  if (!daemon.ok()) return Complain(kExitFailed, daemon.message());
  Log(LogLevel::kInfo, "running: " + chosen.value().config.ports.mode + " on " + chosen.value().config.ports.a +
                           (chosen.value().config.ports.b.empty() ? "" : " and " + chosen.value().config.ports.b) +
                           ", generation " + std::to_string(chosen.value().generation));
  return daemon.value()->Run(g_stop, &g_reload);
}

}  // namespace stillwatch
