// The words behind a subcommand: --config FILE, --set KEY=VALUE..., --out DIR, --keylog FILE, replay's
// --edges, --record-edges, --save, --restore, --request-hits and --import FILE, --export DIR, run's --start-empty, and the rest.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"

namespace stillwatch {

struct Args {
  std::string config_file, out_dir, edges_file, record_edges_file, save_file, restore_file, request_hits_file, key_log, import_file, export_dir, replication = "3";
  bool accept_config = false, start_empty = false;
  std::vector<std::string> sets, words;
};

// Fails on an unknown option or a missing value.
Result<Args> ParseArgs(std::span<char*> args);

// Exit codes of the program.
inline constexpr int kExitDone = 0, kExitFailed = 1, kExitUnreadable = 2, kExitBadUsage = 64;

// "stillwatch: text" on stderr; gives back `exit`.
int Complain(int exit, const std::string& text);

}  // namespace stillwatch
