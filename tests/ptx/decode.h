// One entry's text to a Kernel. What is not covered ends up in Kernel::refusal.
#pragma once

#include <memory>

#include "tests/ptx/kernel.h"
#include "tests/ptx/text.h"

namespace stillwatch::ptx {

std::unique_ptr<Kernel> Decode(const EntryText& entry);

}  // namespace stillwatch::ptx
