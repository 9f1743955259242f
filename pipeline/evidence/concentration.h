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

// 1/256 nat that the choices of `inside`, given what is given, come from fewer hands than `outside`'s; never below 0.
int32_t ConcentrationNats(const ChoiceCounts& inside, const ChoiceCounts& outside);

}  // namespace stillwatch::pipeline
