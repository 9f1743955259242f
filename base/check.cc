#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace stillwatch {

void CheckFailed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "stillwatch: bug: %s:%d: CHECK(%s) failed\n", file, line, condition);
  std::abort();
}

}  // namespace stillwatch
