// SW_HOST_DEVICE marks the body of a kernel: a pure function of views and positions, with integers
// only, that the CPU calls in a loop and a CUDA kernel calls with its place in the grid. Such
// functions use no containers, no allocation and no globals.
#pragma once

#if defined(__CUDACC__)
#define SW_HOST_DEVICE __host__ __device__
#else
#define SW_HOST_DEVICE
#endif
