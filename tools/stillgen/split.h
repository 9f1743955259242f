// The three disjoint splits of seed questions and phrases: learn tables on train, choose thresholds on
// dev, report on test. One folder of data/ each; nothing is in two (split_test).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace stillwatch::stillgen {

enum class Split : uint8_t { kTrain, kDev, kTest };
inline constexpr Split kSplits[] = {Split::kTrain, Split::kDev, Split::kTest};

std::string_view SplitName(Split split);
std::optional<Split> SplitOf(std::string_view name);

// The files of a split, compiled into the program (data/NOTICE.md). Whole text, valid for ever.
enum class SeedFile : uint8_t { kMaths, kCode, kSupport, kTask, kRolePlay, kPersona, kSmallTalk, kJailbreak, kGrammar };
inline constexpr int kSeedFiles = 9;
std::string_view SeedData(Split split, SeedFile file);

}  // namespace stillwatch::stillgen
