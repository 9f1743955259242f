// stillwatch replay: captures at full speed to NDJSON.
#pragma once

#include <span>

namespace stillwatch {
int ReplayMain(std::span<char*> args);
}
