// stillwatch doctor: reads the configuration and the machine, prints what is wrong and the mend.
#pragma once

#include <span>

namespace stillwatch {
int DoctorMain(std::span<char*> args);
}
