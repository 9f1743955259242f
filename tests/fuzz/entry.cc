// libFuzzer's way into a target.
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  stillwatch::fuzz::Play({data, size});
  return 0;
}
