#include "config/load.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#define TOML_EXCEPTIONS 0  // the packaged library is built with exceptions, so header-only
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include "base/bytes.h"
#include "config/schema.h"

namespace stillwatch::config {

namespace {

std::string Where(const std::string& name, const toml::source_region& source) {
  return name + ":" + std::to_string(source.begin.line) + ":" +
         std::to_string(source.begin.column) + ": ";
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
    return "";
  }
  const toml::array* array = node.as_array();
  if (array == nullptr) return path + " must be a list of strings";
  std::vector<std::string> items;
  for (const toml::node& element : *array) {
    const auto item = element.value_exact<std::string>();
    if (!item) return path + " must be a list of strings";
    items.push_back(*item);
  }
  *std::get<std::vector<std::string>*>(field) = std::move(items);
  return "";
}

void AssignTable(const toml::table& table, const std::string& prefix, const std::string& name,
                 Config* config, std::vector<std::string>* errors) {
  for (const auto& [toml_key, node] : table) {
    const std::string path = prefix.empty() ? std::string(toml_key.str())
                                            : prefix + "." + std::string(toml_key.str());
    const Key* key = FindKey(path);
    if (key == nullptr && node.is_table()) {
      AssignTable(*node.as_table(), path, name, config, errors);
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
    problem = Assign(*key, node, config);
    if (!problem.empty()) errors->push_back(Where(name, node.source()) + problem);
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

void CheckCombinations(const Config& config, const std::string& name,
                       std::vector<std::string>* errors) {
  const auto power_of_two = [](int64_t n) { return (n & (n - 1)) == 0; };
  if (!power_of_two(config.ports.descriptors)) {
    errors->push_back(name + ": ports.descriptors must be a power of two");
  }
  if (!power_of_two(config.threads.forwarder_ring_frames)) {
    errors->push_back(name + ": threads.forwarder_ring_frames must be a power of two");
  }
  if (config.policy.throttle_permille < config.policy.step_up_permille) {
    errors->push_back(name +
                      ": policy.throttle_permille is below policy.step_up_permille; the ladder "
                      "must rise");
  }
  if (config.kafka.enabled && config.kafka.brokers.empty()) {
    errors->push_back(name + ": kafka.enabled needs kafka.brokers, for example [\"127.0.0.1:9092\"]");
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
  AssignTable(parsed.table(), "", name, &config, &errors);
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
  CheckCombinations(config, name, &errors);
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

std::vector<std::string> LiveProblems(const Config& config) {
  std::vector<std::string> problems;
  if (config.ports.mode == "replay") {
    problems.push_back("ports.mode is \"replay\"; set it to \"inline\" or \"mirror\" to run live");
  }
  if (config.ports.a.empty()) problems.push_back("ports.a names no interface");
  if (config.ports.mode == "inline" && config.ports.b.empty()) {
    problems.push_back("ports.b names no interface; inline needs two");
  }
  if (config.ports.mode == "inline" && config.ports.a == config.ports.b) {
    problems.push_back("ports.a and ports.b are the same interface");
  }
  if (config.privacy.account_key.empty()) {
    problems.push_back(
        "privacy.account_key is empty; make one with `openssl rand -hex 32` and set it to \"hex:...\" or "
        "\"file:PATH\"");
  }
  if (config.privacy.salt.empty()) {
    problems.push_back("privacy.salt is empty; make one with `openssl rand -hex 8`");
  }
  for (const std::string& uid : config.tls.keylog_uids) {
    if (uid.empty() || uid.size() > 9 || uid.find_first_not_of("0123456789") != std::string::npos) {
      problems.push_back("tls.keylog_uids: '" + uid + "' is no user number; `id -u NAME` prints it");
    }
  }
  return problems;
}

Result<std::string> ReadSecret(const std::string& key, const std::string& value) {
  if (value.empty()) return std::string();
  std::string bytes;
  if (value.starts_with("hex:")) {
    if (!ParseHex(std::string_view(value).substr(4), &bytes)) {
      return Error{key + ": the text after hex: is no hexadecimal of even length"};
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
