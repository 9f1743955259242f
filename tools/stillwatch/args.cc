#include "tools/stillwatch/args.h"

#include <cstdio>
#include <string_view>

namespace stillwatch {

Result<Args> ParseArgs(std::span<char*> args) {
  Args parsed;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string_view word = args[i];
    const bool takes_value = word == "--config" || word == "--set" || word == "--out" || word == "--edges" ||
                             word == "--record-edges" || word == "--save" ||
                             word == "--restore" || word == "--request-hits" || word == "--replication" || word == "--keylog" || word == "--import" || word == "--export";
    if (takes_value && i + 1 == args.size()) return Error{std::string(word) + " needs a value"};
    if (word == "--config") parsed.config_file = args[++i];
    else if (word == "--out") parsed.out_dir = args[++i];
    else if (word == "--edges") parsed.edges_file = args[++i];
    else if (word == "--record-edges") parsed.record_edges_file = args[++i];
    else if (word == "--save") parsed.save_file = args[++i];
    else if (word == "--restore") parsed.restore_file = args[++i];
    else if (word == "--request-hits") parsed.request_hits_file = args[++i];
    else if (word == "--replication") parsed.replication = args[++i];
    else if (word == "--set") parsed.sets.emplace_back(args[++i]);
    else if (word == "--keylog") parsed.key_log = args[++i];
    else if (word == "--import") parsed.import_file = args[++i];
    else if (word == "--export") parsed.export_dir = args[++i];
    else if (word == "--accept-config") parsed.accept_config = true;
    else if (word == "--start-empty") parsed.start_empty = true;
    else if (word.starts_with("--")) return Error{"unknown option " + std::string(word) + "; stillwatch --help lists them"};
    else parsed.words.emplace_back(word);
  }
  return parsed;
}

int Complain(int exit, const std::string& text) {
  std::fprintf(stderr, "stillwatch: %s\n", text.c_str());
  return exit;
}

}  // namespace stillwatch
