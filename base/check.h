// CHECK(condition): holds in release builds too. For bugs of our own only: nothing that a peer can
// send and nothing in a file may reach one. Prints file, line and condition, then aborts.
#pragma once

namespace stillwatch {
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);
}  // namespace stillwatch

#define CHECK(condition)                                                        \
  do {                                                                          \
    if (!(condition)) [[unlikely]]                                              \
      ::stillwatch::CheckFailed(__FILE__, __LINE__, #condition);                \
  } while (false)
