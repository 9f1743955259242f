#include "base/log.h"

#include <unistd.h>

#include <string>

namespace stillwatch {

void Log(LogLevel level, std::string_view text) {
  std::string line = "stillwatch: ";
  if (level == LogLevel::kWarning) line += "warning: ";
  if (level == LogLevel::kError) line += "error: ";
  line += text;
  line += '\n';
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace stillwatch
