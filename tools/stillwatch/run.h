// stillwatch run: the daemon.
#pragma once

#include <span>

namespace stillwatch {
int RunMain(std::span<char*> args);
}
