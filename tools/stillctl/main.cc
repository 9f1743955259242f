// stillctl: talks to a running daemon over its control socket. Tables for people, --json for programs.
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/text/tokenizer.h"
#include "config/control.h"
#include "config/load.h"
#include "config/schema.h"
#include "tools/stix/bundle.h"
#include "tools/stillctl/table.h"

namespace stillwatch::stillctl {
namespace {

using config::kExitBadFile;
using config::kExitOk;
using config::kExitRefused;
using config::kExitUnreachable;
using config::kExitUsage;
using nlohmann::json;

constexpr char kUsage[] =
    "stillctl: talks to a running stillwatch\n"
    "\n"
    "  stillctl check FILE           read a configuration and say what is wrong with it\n"
    "  stillctl reload [FILE]        take the configuration FILE (default: the one it was started with)\n"
    "           [--confirm-within 60s]   ... and go back by itself unless it is confirmed in this time\n"
    "  stillctl confirm              keep what such a reload took\n"
    "  stillctl rollback             undo it now\n"
    "  stillctl status               what the box does, its generation, ports and outbox\n"
    "  stillctl counters [PREFIX]    all named counters\n"
    "  stillctl campaigns            campaigns, strongest first\n"
    "  stillctl campaign ID          one campaign: members, evidence, checks, advice\n"
    "  stillctl feedback confirm ID [--reason TEXT]            a person says: it is one\n"
    "  stillctl feedback reject ID [--reason TEXT]             it is none: withdrawn, its advice revoked\n"
    "  stillctl feedback split ID ACCOUNT... [--reason TEXT]   these accounts are not of it\n"
    "  stillctl export ID --partner NAME   a STIX 2.1 bundle of a live campaign, on stdout, without accounts or text; its prompt\n"
    "                                cores are in it, hashed and signed under the key of sharing.partners\n"
    "  stillctl import FILE          take a partner's bundle: who sends what it names is shown, at observe\n"
    "  stillctl imports              what partners told, and how many accounts here match\n"
    "  stillctl erase PSEUDONYM      forget this account: memory, campaigns, the next snapshot (docs/privacy.md)\n"
    "  stillctl bypass on [--for 30m] [--reason TEXT]   forward in the kernel without looking, and for how long\n"
    "  stillctl bypass off           look again\n"
    "  stillctl public-core FILE --name NAME --source WHERE --licence WHICH   the entry of detect.public_cores for a published prompt;\n"
    "                                {} in it stands for what each user puts in\n"
    "  stillctl id-hash --config FILE ID   the hash under which a verdict names this response or request id\n"
    "\n"
    "  --socket PATH   the control socket (default /run/stillwatch/control.sock)\n"
    "  --config FILE   take the socket from this configuration\n"
    "  --json          print JSON\n"
    "\n"
    "exit: 0 done, 1 refused by the daemon, 2 bad configuration file, 64 usage, 69 no daemon, 75 another reload runs\n";

struct Options {
  std::string socket = "/run/stillwatch/control.sock";
  std::string config_file;
  bool as_json = false;
  std::string duration, reason;  // of bypass on; the reason also of feedback
  std::string confirm_within;    // of reload
  std::string partner;           // of export
  std::string name, source, licence;  // of public-core
  std::vector<std::string> words;
};

int Fail(int exit, const std::string& text) {
  std::fprintf(stderr, "stillctl: %s\n", text.c_str());
  return exit;
}

std::string TextOf(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

std::string Percent(const json& per_65536) {
  char text[16];
  std::snprintf(text, sizeof text, "%.1f%%", per_65536.get<double>() * 100.0 / 65536.0);
  return text;
}

std::string WeightText(const json& weight) {  // 1/256 nat
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", weight.get<double>() / 256.0);
  return text;
}

void PrintPairs(const json& object) {
  std::vector<std::vector<std::string>> rows{{"NAME", "VALUE"}};
  for (const auto& [name, value] : object.items()) {
    if (value.is_object()) {
      for (const auto& [inner, inner_value] : value.items()) rows.push_back({name + "." + inner, TextOf(inner_value)});
    } else if (value.is_array() && !value.empty()) {
      for (const json& item : value) rows.push_back({name, TextOf(item)});
    } else {
      rows.push_back({name, value.is_array() ? "none" : TextOf(value)});
    }
  }
  std::fputs(Table(rows).c_str(), stdout);
}

void PrintCampaigns(const json& campaigns) {
  if (campaigns.empty()) {
    std::puts("no campaign so far");
    return;
  }
  std::vector<std::vector<std::string>> rows{
      {"CAMPAIGN", "STATE", "ACCOUNTS", "EXCHANGES", "POOLED", "DISTILLATION", "ADVICE", "LAST SEEN"}};
  for (const json& campaign : campaigns) {
    rows.push_back({TextOf(campaign["campaign_id"]), TextOf(campaign["state"]),
                    TextOf(campaign["blast_radius"]["accounts"]), TextOf(campaign["blast_radius"]["exchanges"]),
                    Percent(campaign["labels"]["pooled"]), Percent(campaign["labels"]["distillation_like"]),
                    TextOf(campaign["advice"]["action"]), TextOf(campaign["evidence_time"]).substr(0, 19)});
  }
  std::fputs(Table(rows).c_str(), stdout);
}

void PrintCampaign(const json& campaign) {
  std::printf("campaign %s, %s\n", TextOf(campaign["campaign_id"]).c_str(), TextOf(campaign["state"]).c_str());
  std::printf("  pooled %s, distillation_like %s\n", Percent(campaign["labels"]["pooled"]).c_str(),
              Percent(campaign["labels"]["distillation_like"]).c_str());
  const json& radius = campaign["blast_radius"];
  std::printf("  %s accounts, %s exchanges in the last day; of the accounts %s to %s may be innocent\n",
              TextOf(radius["accounts"]).c_str(), TextOf(radius["exchanges"]).c_str(),
              TextOf(radius["innocents_low"]).c_str(), TextOf(radius["innocents_high"]).c_str());
  const json& advice = campaign["advice"];
  std::printf("  advice: %s until %s (%s%s)\n\nevidence\n", TextOf(advice["action"]).c_str(),
              TextOf(advice["expires"]).substr(0, 19).c_str(), TextOf(advice["reason_code"]).c_str(),
              advice["needs_human"].get<bool>() ? ", needs a human" : "");
  for (const json& evidence : campaign["evidence"]) {
    std::printf("  %6s nat  %s\n", WeightText(evidence["weight"]).c_str(),
                Wrap(TextOf(evidence["text"]), 100, 14).c_str());
  }
  std::puts("\nagainst it");
  for (const json& text : campaign["counter_evidence"]) {
    std::printf("  - %s\n", Wrap(TextOf(text), 100, 4).c_str());
  }
  std::puts("\nchecked for look-alikes");
  for (const json& check : campaign["checks"]) {
    std::printf("  %-8s %s: %s\n", TextOf(check["result"]).c_str(), TextOf(check["name"]).c_str(),
                Wrap(TextOf(check["text"]), 100, 11).c_str());
  }
  std::puts("\naccounts");
  std::vector<std::vector<std::string>> rows{{"ACCOUNT", "SCORE", "EXCHANGES", "HITS", "FIRST REASON"}};
  constexpr size_t kAccountsShown = 40;
  for (const json& account : campaign["accounts"]) {
    if (rows.size() > kAccountsShown) break;
    const json& reasons = account["reasons"];
    rows.push_back({TextOf(account["id"]), WeightText(account["score"]), TextOf(account["exchanges"]),
                    TextOf(account["hits"]), reasons.empty() ? "" : TextOf(reasons[0])});
  }
  std::fputs(Table(rows).c_str(), stdout);
  if (campaign["accounts"].size() > kAccountsShown) {
    std::printf("... and %zu more (--json prints all)\n", campaign["accounts"].size() - kAccountsShown);
  }
}

int Check(const Options& options) {
  if (options.words.size() != 2) return Fail(kExitUsage, "check takes one FILE");
  const Result<config::Config> config = config::LoadConfig(options.words[1], {});
  if (!config.ok()) {
    if (options.as_json) std::printf("%s\n", json{{"ok", false}, {"error", config.message()}}.dump().c_str());
    else std::fprintf(stderr, "%s\n", config.message().c_str());
    return kExitBadFile;
  }
  std::vector<std::string> live;
  for (const config::Problem& problem : config::LiveProblems(config.value())) live.push_back(TextOf(problem));
  if (options.as_json) {
    std::printf("%s\n", json{{"ok", live.empty()}, {"problems", live}}.dump().c_str());
  } else {
    for (const std::string& problem : live) std::fprintf(stderr, "%s: %s\n", options.words[1].c_str(), problem.c_str());
    if (live.empty()) std::printf("%s: fine\n", options.words[1].c_str());
  }
  return live.empty() ? kExitOk : kExitBadFile;
}

int IdHash(const Options& options) {
  if (options.words.size() != 2 || options.config_file.empty()) {
    return Fail(kExitUsage, "id-hash takes --config FILE and one ID");
  }
  const Result<config::Config> config = config::LoadConfig(options.config_file, {});
  if (!config.ok()) return Fail(kExitBadFile, config.message());
  const Result<std::string> secret = config::ReadSecret("privacy.salt", config.value().privacy.salt);
  if (!secret.ok()) return Fail(kExitBadFile, secret.message());
  const Salt salt = SaltFromSecret(secret.value());
  std::printf("%s\n", HexOf(KeyedHash64(options.words[1], DeriveSalt(salt, "id"))).c_str());
  return kExitOk;
}

void PrintImports(const json& imports) {
  if (imports.empty()) {
    std::puts("nothing imported");
    return;
  }
  std::vector<std::vector<std::string>> rows{{"CAMPAIGN", "PARTNER", "THERE", "STATE THERE", "CORES", "ACCOUNTS HERE", "FOUND AS", "VALID UNTIL"}};
  for (const json& import : imports) {
    rows.push_back({TextOf(import["campaign"]), TextOf(import["partner"]), TextOf(import["campaign_there"]).substr(0, 8),
                    import["rejected"].get<bool>() ? "rejected here" : TextOf(import["state_there"]), TextOf(import["cores"]),
                    TextOf(import["accounts_here"]), TextOf(import["found_as"]), TextOf(import["valid_until"]).substr(0, 19)});
  }
  std::fputs(Table(rows).c_str(), stdout);
}

// The bundle's claim, as the daemon takes it.
Result<std::string> ClaimIn(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{path + ": cannot be read"};
  std::string text(stix::kBundleBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  const Result<json> claim = stix::ClaimOf(text);
  if (!claim.ok()) return Error{path + ": " + claim.message()};
  return claim.value().dump(-1, ' ', false, json::error_handler_t::replace);
}

// A prompt as one line of the list, and how many pairs of neighbouring words it gives.
int PublicCore(const Options& options) {
  if (options.words.size() != 2 || options.name.empty() || options.source.empty() || options.licence.empty()) {
    return Fail(kExitUsage, "public-core takes FILE, --name NAME, --source WHERE and --licence WHICH");
  }
  std::ifstream file(options.words[1], std::ios::binary);
  if (!file) return Fail(kExitBadFile, options.words[1] + ": cannot be read");
  std::string text, word;
  while (file >> word && text.size() < (64u << 10)) text += (text.empty() ? "" : " ") + word;
  struct Counter final : text::TokenSink {
    void Append(std::span<const uint32_t> hashes) override { tokens += hashes.size(); }
    size_t tokens = 0;
  };
  size_t pairs = 0;
  for (size_t at = 0; at <= text.size();) {
    const size_t slot = std::min(text.find("{}", at), text.size());
    Counter counter;
    text::Tokenizer tokenizer{text::TokenHasher(Salt{})};
    tokenizer.Feed(std::string_view(text).substr(at, slot - at), &counter);
    tokenizer.Finish(&counter);
    pairs += counter.tokens - std::min<size_t>(counter.tokens, 1);
    at = slot + 2;
  }
  constexpr size_t kPairsMin = 2;
  if (pairs < kPairsMin) return Fail(kExitBadFile, options.words[1] + ": has fewer than three words in a row, and so little is nobody's prompt");
  std::printf("[%s]\nsource = %s\nlicence = %s\ntext = %s\n", options.name.c_str(), options.source.c_str(), options.licence.c_str(), text.c_str());
  std::fprintf(stderr, "%zu pairs of words; a prompt core of which half is listed links nobody\n", pairs);
  return kExitOk;
}

int Ask(const Options& options) {
  const std::string& command = options.words[0];
  std::vector<std::string> args(options.words.begin() + 1, options.words.end());
  if (command == "export") args.push_back(options.partner);
  if (command == "import") {
    const Result<std::string> claim = ClaimIn(args[0]);
    if (!claim.ok()) return Fail(kExitBadFile, claim.message());
    args[0] = claim.value();
  }
  if (command == "feedback") args.insert(args.begin() + 2, options.reason);
  else if (!options.duration.empty() || !options.reason.empty()) args.insert(args.end(), {options.duration, options.reason});
  if (!options.confirm_within.empty()) {
    args.resize(1);  // no name: the file it was started with
    args.push_back(options.confirm_within);
  }
  if (command == "reload" && !args.empty() && !args[0].empty()) {
    char* absolute = realpath(args[0].c_str(), nullptr);  // the daemon has another working folder
    if (absolute != nullptr) args[0] = absolute;
    std::free(absolute);
  }
  const Result<config::ControlAnswer> answer = config::CallControl(options.socket, command, args);
  if (!answer.ok()) return Fail(kExitUnreachable, answer.message());
  if (answer.value().exit != kExitOk) {
    if (options.as_json) {
      std::printf("%s\n", json{{"exit", answer.value().exit}, {"error", answer.value().error}}.dump().c_str());
    }
    return Fail(answer.value().exit, answer.value().error);
  }
  const json result = json::parse(answer.value().result_json, nullptr, false);
  if (command == "export") {
    const json claim = result.value("claim", json());
    if (claim.is_null()) std::fprintf(stderr, "stillctl: without sketches: %s\n", result.value("why_no_claim", "").c_str());
    std::printf("%s\n", stix::Bundle(result["campaign"], claim, result["box"], result["time"]).dump(2).c_str());
  }
  else if (options.as_json) std::printf("%s\n", result.dump(2).c_str());
  else if (command == "imports") PrintImports(result);
  else if (command == "campaigns") PrintCampaigns(result);
  else if (command == "campaign" || command == "feedback") PrintCampaign(result);
  else if (result.is_object()) PrintPairs(result);
  else std::printf("%s\n", TextOf(result).c_str());
  return kExitOk;
}

int Main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool has_value = i + 1 < argc;
    if (word == "--json") options.as_json = true;
    else if (word == "--socket" && has_value) options.socket = argv[++i];
    else if (word == "--for" && has_value) options.duration = argv[++i];
    else if (word == "--confirm-within" && has_value) options.confirm_within = argv[++i];
    else if (word == "--reason" && has_value) options.reason = argv[++i];
    else if (word == "--name" && has_value) options.name = argv[++i];
    else if (word == "--source" && has_value) options.source = argv[++i];
    else if (word == "--licence" && has_value) options.licence = argv[++i];
    else if (word == "--partner" && has_value) options.partner = argv[++i];
    else if (word == "--config" && has_value) options.config_file = argv[++i];
    else if (word == "--help" || word == "-h") return std::fputs(kUsage, stdout), kExitOk;
    else if (word.starts_with("--")) return Fail(kExitUsage, "unknown option " + word + "; --help lists them");
    else options.words.push_back(word);
  }
  if (options.words.empty()) return std::fputs(kUsage, stderr), kExitUsage;
  const std::string& command = options.words[0];
  if (command == "check") return Check(options);
  if (command == "id-hash") return IdHash(options);
  if (command == "public-core") return PublicCore(options);
  if (!options.config_file.empty()) {
    const Result<config::Config> config = config::LoadConfig(options.config_file, {});
    if (!config.ok()) return Fail(kExitBadFile, config.message());
    options.socket = config.value().control.socket;
  }
  const size_t args = options.words.size() - 1;
  const bool fits = (command == "status" && args == 0) || (command == "campaigns" && args == 0) || (command == "imports" && args == 0) || (command == "import" && args == 1) ||
                    ((command == "confirm" || command == "rollback") && args == 0) ||
                    (command == "campaign" && args == 1) || (command == "erase" && args == 1) || (command == "bypass" && args == 1) ||
                    (command == "feedback" && args >= 2) || (command == "export" && args == 1 && !options.partner.empty()) ||
                    (command == "counters" && args <= 1) || (command == "reload" && args <= 1);
  if ((!options.duration.empty() && command != "bypass") ||
      (!options.reason.empty() && command != "bypass" && command != "feedback")) {
    return Fail(kExitUsage, "--for belongs to bypass on, --reason to it and to feedback; --help lists them");
  }
  if (!options.confirm_within.empty() && command != "reload") {
    return Fail(kExitUsage, "--confirm-within belongs to reload; --help lists it");
  }
  if (!fits) return Fail(kExitUsage, "no such command: '" + command + "' with " + std::to_string(args) +
                                         " arguments; --help lists them");
  return Ask(options);
}

}  // namespace
}  // namespace stillwatch::stillctl

int main(int argc, char** argv) { return stillwatch::stillctl::Main(argc, argv); }
