// One line to stderr for an operator: what, where, mend. Never called for a packet.
#pragma once

#include <string_view>

namespace stillwatch {

enum class LogLevel { kInfo, kWarning, kError };

// "stillwatch: warning: TEXT". Thread safe; one write call a line.
void Log(LogLevel level, std::string_view text);

}  // namespace stillwatch
