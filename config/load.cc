#include "config/load.h"

#include <arpa/inet.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <sstream>

#define TOML_EXCEPTIONS 0  // the packaged library is built with exceptions, so header-only
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include "base/bytes.h"
#include "config/allowed_owner.h"
#include "config/partner.h"
#include "config/tunnel_class.h"
#include "config/schema.h"

namespace stillwatch::config {

namespace {

std::string Where(const std::string& name, const toml::source_region& source) {
  return name + ":" + std::to_string(source.begin.line) + ":" +
         std::to_string(source.begin.column) + ": ";
}

bool ParseNumber(std::string_view text, uint32_t max, uint32_t* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size() && *out <= max;
}

bool IsProcessor(const std::string& text) {
  uint32_t number = 0;
  return ParseNumber(text, CPU_SETSIZE - 1, &number);
}

bool IsPorts(const std::string& text) {
  const std::string_view view = text;
  const size_t dash = view.find('-');
  uint32_t first = 0, last = 0;
  return ParseNumber(view.substr(0, dash), 65'535, &first) &&
         ParseNumber(dash == view.npos ? view : view.substr(dash + 1), 65'535, &last) && first <= last;
}

bool IsPrefix(const std::string& text) {
  const size_t slash = text.find('/');
  const std::string address = text.substr(0, slash);
  const bool ipv4 = address.find(':') == std::string::npos;
  uint32_t bits = 0;
  uint8_t parsed[16];
  return (slash == std::string::npos || ParseNumber(text.substr(slash + 1), ipv4 ? 32 : 128, &bits)) &&
         inet_pton(ipv4 ? AF_INET : AF_INET6, address.c_str(), parsed) == 1;
}

bool IsBroker(const std::string& text) {
  const size_t colon = text.rfind(':');
  uint32_t port = 0;
  return colon != std::string::npos && colon != 0 && text.find_first_of(", /") == std::string::npos &&
         ParseNumber(text.substr(colon + 1), 65'535, &port) && port != 0;
}

bool IsSecret(const std::string& text) {
  std::string bytes;
  if (text.starts_with("hex:")) return ParseHex(std::string_view(text).substr(4), &bytes) && !bytes.empty();
  return text.empty() || (text.starts_with("file:") && text.size() > 5);
}

bool IsSocketPath(const std::string& text) { return !text.empty() && text.size() < sizeof(sockaddr_un::sun_path); }
bool IsAllowedOwner(const std::string& text) { return ParseAllowedOwner(text).ok(); }
bool IsPartner(const std::string& text) { return ParsePartner(text).ok(); }
bool IsTunnelClass(const std::string& text) { return ParseTunnelClass(text).ok(); }
bool IsNotEmpty(const std::string& text) { return !text.empty(); }

// What a string must be beyond its type. Lists: each item.
struct TextCheck {
  std::string_view path;
  bool (*holds)(const std::string& text);
  std::string_view mend;
};
constexpr TextCheck kTextChecks[] = {
    {"box.name", IsNotEmpty, "give the box a name"},
    {"box.state_dir", IsNotEmpty, "name a folder"},
    {"control.socket", IsSocketPath, "name a path of at most 107 bytes"},
    {"threads.cpus", IsProcessor, "write processor numbers as \"0\", \"1\""},
    {"fail_open.interest_ports", IsPorts, "write a port as \"443\" or \"8000-8100\""},
    {"fail_open.interest_udp_ports", IsPorts, "write a port as \"443\" or \"8000-8100\""},
    {"fail_open.interest_prefixes", IsPrefix, "write a prefix as \"10.0.0.0/8\" or \"2001:db8::/32\""},
    {"flow.tunnel_classes", IsTunnelClass, "write a class as \"vni 5001 5002-5010\", or \"vni 5000-5999 each\" where each is its own; kinds are vlan, vni, teid, gre"},
    {"kafka.brokers", IsBroker, "write a broker as \"HOST:PORT\""},
    {"detect.resellers", IsAllowedOwner, "write an owner as \"NAME\", or \"NAME; until 2027-06-30; REASON\""},
    {"policy.allow_owners", IsAllowedOwner, "write an owner as \"NAME\", or \"NAME; until 2027-06-30; REASON\""},
    {"privacy.account_key", IsSecret, "write \"hex:\" and pairs of hex digits, or \"file:PATH\""},
    {"privacy.salt", IsSecret, "write \"hex:\" and pairs of hex digits, or \"file:PATH\""},
    {"sharing.partners", IsPartner, "write a partner as \"NAME hex:...\" or \"NAME file:PATH\", the name of letters, digits, '.', '_' and '-'"},
};

std::string CheckText(std::string_view path, const std::string& value) {
  for (const TextCheck& check : kTextChecks) {
    if (check.path != path || check.holds(value)) continue;
    const bool secret = check.holds == IsSecret || check.holds == IsPartner;
    return std::string(path) + (secret ? " cannot be used; " : " = \"" + value + "\" cannot be used; ") +
           std::string(check.mend);
  }
  return "";
}

// Sets one field from a TOML node; "" on success, else what is wrong and how to mend it.
std::string Assign(const Key& key, const toml::node& node, Config* config) {
  const std::string path(key.path);
  const Field field = key.field(*config);
  if (bool* const* flag = std::get_if<bool*>(&field)) {
    const auto value = node.value_exact<bool>();
    if (!value) return path + " must be true or false";
    **flag = *value;
    return "";
  }
  if (int64_t* const* number = std::get_if<int64_t*>(&field)) {
    const auto value = node.value_exact<int64_t>();
    const std::string range = "from " + std::to_string(key.min) + " to " + std::to_string(key.max) +
                              (key.unit.empty() ? "" : " (" + std::string(key.unit) + ")");
    if (!value) return path + " must be a whole number " + range;
    if (*value < key.min || *value > key.max) {
      return path + " = " + std::to_string(*value) + " is out of range; use a value " + range;
    }
    **number = *value;
    return "";
  }
  if (std::string* const* text = std::get_if<std::string*>(&field)) {
    const auto value = node.value_exact<std::string>();
    if (!value) return path + " must be a string in quotes";
    if (!key.choices.empty() &&
        std::find(key.choices.begin(), key.choices.end(), *value) == key.choices.end()) {
      std::string choices;
      for (const std::string_view choice : key.choices) {
        choices += (choices.empty() ? "\"" : ", \"") + std::string(choice) + "\"";
      }
      return path + " = \"" + *value + "\" is unknown; use one of " + choices;
    }
    **text = *value;
    return CheckText(path, *value);
  }
  const toml::array* array = node.as_array();
  if (array == nullptr) return path + " must be a list of strings";
  std::vector<std::string> items;
  for (const toml::node& element : *array) {
    const auto item = element.value_exact<std::string>();
    if (!item) return path + " must be a list of strings";
    if (const std::string problem = CheckText(path, *item); !problem.empty()) return problem;
    items.push_back(*item);
  }
  *std::get<std::vector<std::string>*>(field) = std::move(items);
  return "";
}

// Where the file sets a key, as "FILE:LINE:COLUMN: ".
using Places = std::map<std::string, std::string, std::less<>>;

void AssignTable(const toml::table& table, const std::string& prefix, const std::string& name,
                 Config* config, Places* places, std::vector<std::string>* errors) {
  for (const auto& [toml_key, node] : table) {
    const std::string path = prefix.empty() ? std::string(toml_key.str())
                                            : prefix + "." + std::string(toml_key.str());
    const Key* key = FindKey(path);
    if (key == nullptr && node.is_table()) {
      AssignTable(*node.as_table(), path, name, config, places, errors);
      continue;
    }
    std::string problem;
    if (key == nullptr) {
      const std::string_view near = NearestKey(path);
      problem = "unknown key " + path +
                (near.empty() ? "; `stillwatch config-reference` lists all keys"
                              : "; did you mean " + std::string(near) + "?");
      errors->push_back(Where(name, toml_key.source()) + problem);
      continue;
    }
    const std::string& place = (*places)[path] = Where(name, node.source());
    problem = Assign(*key, node, config);
    if (!problem.empty()) errors->push_back(place + problem);
  }
}

std::string AssignText(const Key& key, const std::string& value, Config* config) {
  const std::string document = "v = " + value;
  const toml::parse_result parsed = toml::parse(document);
  if (parsed) return Assign(key, *parsed.table().get("v"), config);
  toml::table quoted;
  quoted.insert("v", value);
  return Assign(key, *quoted.get("v"), config);
}

void ApplyDefaults(Config* config) {
  for (const Key& key : Schema()) {
    const std::string problem = AssignText(key, std::string(key.default_value), config);
    CHECK(problem.empty());
  }
}

// Values that are each sound and do not fit together.
std::vector<Problem> CombinationProblems(const Config& config) {
  const auto power_of_two = [](int64_t n) { return (n & (n - 1)) == 0; };
  std::vector<Problem> problems;
  if (!power_of_two(config.ports.descriptors)) problems.push_back({"ports.descriptors", "must be a power of two", ""});
  if (!power_of_two(config.threads.forwarder_ring_frames)) {
    problems.push_back({"threads.forwarder_ring_frames", "must be a power of two", ""});
  }
  if (config.ports.queues > 1 && config.threads.workers == 0) {
    problems.push_back({"ports.queues", "needs threads.workers of at least 1", "one thread that forwards and looks polls one queue"});
  }
  if (config.policy.throttle_permille < config.policy.step_up_permille) {
    problems.push_back({"policy.throttle_permille", "is below policy.step_up_permille", "the ladder must rise"});
  }
  if (config.policy.degrade_permille < config.policy.throttle_permille) {
    problems.push_back({"policy.degrade_permille", "is below policy.throttle_permille", "the ladder must rise"});
  }
  if (config.policy.block_permille < config.policy.degrade_permille) {
    problems.push_back({"policy.block_permille", "is below policy.degrade_permille", "the ladder must rise"});
  }
  constexpr size_t kPartnersMax = 4;
  if (config.sharing.partners.size() > kPartnersMax) {
    problems.push_back({"sharing.partners", "names more than " + std::to_string(kPartnersMax), "each costs every instruction another hashing"});
  }
  if (config.kafka.consume && config.kafka.brokers.empty()) {
    problems.push_back({"kafka.consume", "needs kafka.brokers", "for example [\"127.0.0.1:9092\"]"});
  }
  if (config.kafka.enabled && config.kafka.brokers.empty()) {
    problems.push_back({"kafka.enabled", "needs kafka.brokers", "for example [\"127.0.0.1:9092\"]"});
  }
  if (config.ports.mode != "replay" && config.kafka.enabled && config.output.ndjson) {
    problems.push_back({"kafka.enabled", "and output.ndjson are both true; one outbox feeds one of them", "set output.ndjson = false"});
  }
  if (config.ports.mode != "replay" && !config.kafka.enabled && !config.output.ndjson) {
    problems.push_back({"output.ndjson", "and kafka.enabled are both false; verdicts would go nowhere", "set one of them"});
  }
  return problems;
}

constexpr size_t kAccountKeyBytesMin = 16, kSaltBytesMin = 8;

void CheckSecret(std::string_view key, const std::string& value, size_t bytes_min, std::vector<Problem>* problems) {
  const std::string mend = "make one with `openssl rand -hex " + std::to_string(bytes_min == kSaltBytesMin ? 8 : 32) +
                           "` and set it to \"hex:...\" or \"file:PATH\"";
  if (value.empty()) {
    problems->push_back({key, "is empty", mend});
    return;
  }
  const Result<std::string> secret = ReadSecret(std::string(key), value);
  if (!secret.ok()) {
    problems->push_back({key, secret.message().substr(key.size() + 2), mend});
  } else if (secret.value().size() < bytes_min) {
    problems->push_back({key, "has " + std::to_string(secret.value().size()) + " bytes, at least " +
                                  std::to_string(bytes_min) + " are needed", mend});
  }
}

}  // namespace

Result<Config> ParseConfig(std::string_view text, const std::string& name,
                           std::span<const std::string> sets) {
  Config config{};
  ApplyDefaults(&config);
  std::vector<std::string> errors;
  const toml::parse_result parsed = toml::parse(text, name);
  if (!parsed) {
    return Error{Where(name, parsed.error().source()) + std::string(parsed.error().description())};
  }
  Places places;
  AssignTable(parsed.table(), "", name, &config, &places, &errors);
  for (const std::string& set : sets) {
    const size_t equals = set.find('=');
    const std::string path = set.substr(0, equals);
    const Key* key = FindKey(path);
    if (equals == std::string::npos) {
      errors.push_back("--set " + set + ": write KEY=VALUE");
    } else if (key == nullptr) {
      const std::string_view near = NearestKey(path);
      errors.push_back("--set " + set + ": unknown key" +
                       (near.empty() ? "" : "; did you mean " + std::string(near) + "?"));
    } else {
      const std::string problem = AssignText(*key, set.substr(equals + 1), &config);
      if (!problem.empty()) errors.push_back("--set " + set + ": " + problem);
    }
  }
  for (const Problem& problem : CombinationProblems(config)) {
    const auto place = places.find(problem.key);
    errors.push_back((place == places.end() ? name + ": " : place->second) + TextOf(problem));
  }
  if (errors.empty()) return config;
  std::string all;
  for (const std::string& error : errors) all += (all.empty() ? "" : "\n") + error;
  return Error{all};
}

Result<std::string> ReadConfigFile(const std::string& path) {
  struct stat info{};
  if (stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
    return Error{path + ": is a directory; name a TOML file"};
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{path + ": cannot be read: " + std::strerror(errno)};
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Result<Config> LoadConfig(const std::string& path, std::span<const std::string> sets) {
  if (path.empty()) return ParseConfig("", "(defaults)", sets);
  const Result<std::string> text = ReadConfigFile(path);
  if (!text.ok()) return text.error();
  return ParseConfig(text.value(), path, sets);
}

std::string TextOf(const Problem& problem) {
  return std::string(problem.key) + " " + problem.what + (problem.mend.empty() ? "" : "; " + problem.mend);
}

std::vector<Problem> LiveProblems(const Config& config) {
  std::vector<Problem> problems;
  if (config.ports.mode == "replay") return problems;
  if (config.ports.a.empty()) {
    problems.push_back({"ports.a", "names no interface", "`ip link` shows which there are"});
  }
  if (config.ports.mode == "inline" && config.ports.b.empty()) {
    problems.push_back({"ports.b", "names no interface", "inline needs two"});
  }
  if (!config.ports.a.empty() && config.ports.a == config.ports.b) {
    problems.push_back({"ports.b", "is the same as ports.a", "name two different ports"});
  }
  if (config.ports.mode == "inline" && config.ports.driver == "af_packet" && !config.fail_open.traffic_control &&
      !config.ports.accept_altered_frames) {
    problems.push_back({"ports.driver",
                        "\"af_packet\" alone alters frames: 802.1ad tags (QinQ) leave as 802.1Q, IPv4 fragments as whole datagrams",
                        "set fail_open.traffic_control = true, or ports.driver = \"af_xdp\" where the interfaces carry XDP; "
                        "ports.accept_altered_frames = true takes it as it is"});
  }
  CheckSecret("privacy.account_key", config.privacy.account_key, kAccountKeyBytesMin, &problems);
  CheckSecret("privacy.salt", config.privacy.salt, kSaltBytesMin, &problems);
  for (const std::string& uid : config.tls.keylog_uids) {
    if (uid.empty() || uid.size() > 9 || uid.find_first_not_of("0123456789") != std::string::npos) {
      problems.push_back({"tls.keylog_uids", "holds '" + uid + "', which is no user number", "`id -u NAME` prints it"});
    }
  }
  return problems;
}

Result<std::string> ReadSecret(const std::string& key, const std::string& value) {
  if (value.empty()) return std::string();
  std::string bytes;
  if (value.starts_with("hex:")) {
    if (!ParseHex(std::string_view(value).substr(4), &bytes) || bytes.empty()) {
      return Error{key + ": the text after hex: is no pairs of hex digits"};
    }
    return bytes;
  }
  if (value.starts_with("file:")) {
    const std::string path = value.substr(5);
    std::ifstream file(path, std::ios::binary);
    if (!file) return Error{key + ": " + path + " cannot be read: " + std::strerror(errno)};
    std::ostringstream text;
    text << file.rdbuf();
    std::string content = text.str();
    while (!content.empty() && (content.back() == '\n' || content.back() == '\r')) content.pop_back();
    if (content.empty()) return Error{key + ": " + path + " is empty"};
    return ParseHex(content, &bytes) ? bytes : content;
  }
  return Error{key + ": write \"hex:...\" or \"file:PATH\""};
}

}  // namespace stillwatch::config
