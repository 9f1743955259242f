// How much more alike the choices of some owners are than everybody else's: one log likelihood ratio, net of what the
// choice of the values costs and of a factor of two an owner for people being another crowd than machines. For layers 7, 8
// and 11; each owner counts once. Integers only.
#pragma once

#include <cstdint>
#include <map>
#include <utility>

namespace stillwatch::pipeline {

// Owners by (what is given, what was chosen): a model and its parameters, a client and its TLS hello.
using ChoiceCounts = std::map<std::pair<uint32_t, uint32_t>, uint32_t>;

// The same with the sums over what is given.
struct ChoiceSums {
  ChoiceCounts counts;
  std::map<uint32_t, uint32_t> given;

  void Add(const std::pair<uint32_t, uint32_t>& choice) { ++counts[choice], ++given[choice.first]; }
  uint32_t Of(const std::pair<uint32_t, uint32_t>& choice) const {
    const auto at = counts.find(choice);
    return at == counts.end() ? 0 : at->second;
  }
  uint32_t OfGiven(uint32_t what) const {
    const auto at = given.find(what);
    return at == given.end() ? 0 : at->second;
  }
};

// Everybody's choices but those of some of them, who are few.
struct ChoicesOutside {
  const ChoiceSums& all;
  ChoiceSums left_out = {};

  uint32_t Of(const std::pair<uint32_t, uint32_t>& choice) const { return all.Of(choice) - left_out.Of(choice); }
  uint32_t OfGiven(uint32_t what) const { return all.OfGiven(what) - left_out.OfGiven(what); }
};

// 1/256 nat that the choices of `inside`, given what is given, come from fewer hands than those outside; never below 0.
int32_t ConcentrationNats(const ChoiceCounts& inside, const ChoicesOutside& outside);

}  // namespace stillwatch::pipeline
