#include "tools/stillgen/world_options.h"

#include <algorithm>

#include "base/time_format.h"
#include "tools/stillgen/scenario.h"
#include "tools/stillgen/truth.h"

namespace stillwatch::stillgen {
namespace {

// "parameters,timing": what campaign accounts do not share.
Result<unsigned> ReadDisguise(std::string_view text) {
  static constexpr std::pair<std::string_view, Disguise> kWords[] = {
      {"parameters", kHideParameters}, {"timing", kHideTiming}, {"stack", kHideStack}, {"age", kHideAge}, {"address", kHideAddress}};
  unsigned bits = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find(','), text.size());
    const auto known = std::find_if(std::begin(kWords), std::end(kWords), [&](const auto& word) { return word.first == text.substr(0, end); });
    if (known == std::end(kWords)) return Error{"--disguise: '" + std::string(text.substr(0, end)) + "' is none of parameters, timing, stack, age, address"};
    bits |= known->second;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return bits;
}

}  // namespace

std::vector<std::string_view> WorldOptionNames() {
  return {"scenario", "mix", "seed", "split", "accounts", "hours", "days", "scale", "sse", "cover", "pool", "prevalence", "harvest-a-day", "disguise", "start", "account-key", "exact!"};
}

Result<BuiltWorld> WorldFromOptions(const Options& options, double hours) {
  auto scenario = FindScenario(options.Text("scenario", "demo"));
  if (!scenario.ok()) return scenario.error();
  auto mix = ParseMix(options.Text("mix", std::string(scenario.value().mix)));
  if (!mix.ok()) return mix.error();
  WorldOptions world;
  const auto split = SplitOf(options.Text("split", "train"));
  if (!split.has_value()) return Error{"--split is train, dev or test"};
  world.split = *split;
  world.seed = static_cast<uint64_t>(options.Number("seed", 1, 0, 9e15));
  // A mix given by hand is taken as it is; a named scenario varies with the seed.
  if (!options.Has("mix") && !options.Has("exact")) {
    VaryMix(&mix.value(), world.seed, static_cast<int>(options.Number("accounts", 0, 0, 1e7)));
  }
  DrawRanges(&mix.value(), world.seed);
  if (options.Has("pool")) SetPools(&mix.value(), static_cast<int>(options.Number("pool", 0, 1, 1e6)));
  if (options.Has("prevalence")) SetPrevalence(&mix.value(), options.Number("prevalence", 0, 1e-6, 1));
  if (hours < 0) hours = scenario.value().hours;
  hours = options.Number("hours", hours, 0.001, 24 * 400);
  if (options.Has("days")) hours = 24 * options.Number("days", 1, 0.001, 400);
  world.duration_ns = static_cast<int64_t>(hours * static_cast<double>(kNsPerHour));
  world.scale = options.Number("scale", 1, 0.001, 1000);
  world.stream_share = options.Number("sse", -1, 0, 1);
  world.cover = options.Number("cover", -1, 0, 1000);
  world.harvest_a_day = options.Number("harvest-a-day", -1, 0.01, 1e5);
  const auto disguise = ReadDisguise(options.Text("disguise", ""));
  if (!disguise.ok()) return disguise.error();
  world.disguise = disguise.value();
  if (options.Has("start")) {
    auto start = ParseTime(options.Text("start"));
    if (!start.ok()) return Error{"--start: " + start.message()};
    world.start_unix_ns = start.value();
  }
  BuiltWorld built;
  if (options.Has("account-key")) {
    auto key = ReadAccountKey(options.Text("account-key"));
    if (!key.ok()) return key.error();
    built.account_key = key.value();
  }
  for (const MixPart& part : mix.value()) {
    if (!built.mix.empty()) built.mix += ",";
    built.mix += std::string(part.kind->name) + "=" +
                 (part.share.groups == 1 ? "" : std::to_string(part.share.groups) + "x") + std::to_string(part.share.accounts);
  }
  built.world = std::make_unique<World>(world);
  BuildWorld(mix.value(), built.world.get());
  return built;
}

}  // namespace stillwatch::stillgen
