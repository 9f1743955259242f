// How often groups of a stated probability were what they are called, on development runs: what verdicts say of `pooled`. Nothing
// is decided by it: judgements, states and advice rest on evidence as it adds up. The table is made by tools/evaluation/calibrate.py.
#pragma once

#include <cstdint>

namespace stillwatch::pipeline {

// Both in 1/65,536; rises with `stated`, and is never 0 nor certain.
uint32_t CalibratedPooled(uint32_t stated);

}  // namespace stillwatch::pipeline
