// stillwatch replay: captures or recorded exchanges at full speed to NDJSON, or the campaign assembler alone on recorded edges.
#pragma once

#include <span>

namespace stillwatch {
int ReplayMain(std::span<char*> args);
}
