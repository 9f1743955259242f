// Seeded bugs that show that a test can fail. `if (MutantIs("outbox.lose_tail"))` is false, at
// compile time, in every build but the one of tools/mutants (STILLWATCH_MUTANTS), where the
// environment variable STILLWATCH_MUTANT names the bug to switch on. Each is listed in its
// tests/<folder>/mutants.txt.
#pragma once

#include <cstdlib>
#include <string_view>

namespace stillwatch {

#if STILLWATCH_MUTANTS
inline bool MutantIs(std::string_view name) {
  const char* on = std::getenv("STILLWATCH_MUTANT");
  return on != nullptr && name == on;
}
#else
// Not a string_view: in device code making one calls the host's strlen, and the compiler then takes
// all that follows for unreachable.
constexpr bool MutantIs(const char*) { return false; }
#endif

}  // namespace stillwatch
