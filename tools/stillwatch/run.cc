#include "tools/stillwatch/run.h"

#include <csignal>
#include "base/log.h"
#include "base/mutant.h"
#include "config/diff.h"
#include "config/load.h"
#include "tools/stillwatch/args.h"
#include "tools/stillwatch/daemon.h"

namespace stillwatch {

namespace {

constexpr char kUsage[] = "run --config FILE [--set KEY=VALUE]... [--accept-config] [--start-empty]";

std::atomic<bool> g_stop{false};
std::atomic<bool> g_reload{false};

void OnSignal(int signal) { (signal == SIGHUP ? g_reload : g_stop).store(true); }

struct Chosen {
  config::Config config;
  uint64_t generation;
  bool confirmed;  // else it becomes so once it runs
};

// The last confirmed generation wins over an edited file, so that a crash does not put an untried file into force.
Result<Chosen> Choose(const Args& args, const std::string& text, const config::Config& from_file,
                      config::GenerationStore* store) {
  Result<std::optional<config::GenerationStore::Confirmed>> last = store->LastConfirmed();
  if (!last.ok()) return last.error();
  const uint64_t confirmed = last.value().has_value() ? last.value()->generation : 0;
  if (confirmed != 0 && last.value()->text == text) return Chosen{from_file, confirmed, true};
  if (confirmed != 0 && !args.accept_config && !MutantIs("start.takes_the_file")) {
    const std::string name = "confirmed generation " + std::to_string(confirmed);
    Result<config::Config> config = config::ParseConfig(last.value()->text, name, args.sets);
    if (!config.ok()) return Error{config.message() + "\nmend " + args.config_file + " and start once with --accept-config"};
    const std::vector<config::Change> changes = config::Diff(config.value(), from_file);
    const std::string refusal = config::RefusalOf(changes);
    if (!refusal.empty()) Log(LogLevel::kWarning, args.config_file + " differs from " + name + ", which is taken; " + refusal);
    else if (!changes.empty()) {
      Log(LogLevel::kWarning, args.config_file + " differs from " + name + ", which is taken; `stillctl reload` takes the file");
    }
    return Chosen{config.value(), confirmed, true};
  }
  const Result<uint64_t> next = store->Next();
  if (!next.ok()) return next.error();
  if (Status saved = store->SaveCandidate(next.value(), text); !saved.ok()) return Error{saved.message()};
  if (Status running = store->MarkRunning(next.value()); !running.ok()) return Error{running.message()};
  return Chosen{from_file, next.value(), false};
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
  if (config.value().ports.mode == "replay") {
    return Complain(kExitUnreadable, args.value().config_file + ": ports.mode is \"replay\"; set it to \"inline\" or \"mirror\" to run live");
  }
  const auto refused = [&](const config::Config& live) {
    for (const config::Problem& problem : config::LiveProblems(live)) {
      Complain(kExitUnreadable, args.value().config_file + ": " + TextOf(problem));
      return true;
    }
    return false;
  };
  if (refused(config.value())) return kExitUnreadable;
  Result<config::GenerationStore> store = config::GenerationStore::Open(config.value().box.state_dir);
  if (!store.ok()) return Complain(kExitFailed, store.message());
  const Result<Chosen> chosen = Choose(args.value(), text.value(), config.value(), &store.value());
  if (!chosen.ok()) return Complain(kExitUnreadable, chosen.message());
  if (refused(chosen.value().config)) return kExitUnreadable;

  struct sigaction action{};
  action.sa_handler = OnSignal;
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaction(signal, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  DaemonStart start{args.value().config_file, args.value().sets, args.value().start_empty, chosen.value().generation};
  Result<std::unique_ptr<Daemon>> daemon = Daemon::Start(chosen.value().config, &start, store.value());
  const bool candidate = !chosen.value().confirmed;
  if (!daemon.ok()) {
    if (candidate) (void)store.value().Discard(chosen.value().generation);  // a leftover is never taken
    return Complain(start.exit, daemon.message());
  }
  if (candidate) {
    if (Status confirmed = store.value().Confirm(chosen.value().generation); !confirmed.ok()) {
      return Complain(kExitFailed, confirmed.message());
    }
  }
  // Not before the ports are ours: another daemon's generation may wait for its confirmation.
  const Result<std::vector<uint64_t>> leftovers = store.value().RollBackLeftovers();
  if (!leftovers.ok()) return Complain(kExitFailed, leftovers.message());
  daemon.value()->NoteLeftovers(leftovers.value());
  Log(LogLevel::kInfo, "running: " + chosen.value().config.ports.mode + " on " + chosen.value().config.ports.a +
                           (chosen.value().config.ports.b.empty() ? "" : " and " + chosen.value().config.ports.b) +
                           ", generation " + std::to_string(chosen.value().generation));
  return daemon.value()->Run(g_stop, &g_reload);
}

}  // namespace stillwatch
