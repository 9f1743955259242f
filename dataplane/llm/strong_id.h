// Whether an id can stand for one owner: 64 random bits or more, as a server draws them. Read from its letters alone: runs of
// letters and digits count by their alphabet, words and repetitions count nothing. "call_1", a time stamp or a function's name
// is weak: strangers send the same. Any bytes are fine; the cost is bounded by the id's first 128.
#pragma once

#include <string_view>

namespace stillwatch::dataplane {

bool IsStrongId(std::string_view id);

}  // namespace stillwatch::dataplane
