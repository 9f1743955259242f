# The CUDA compiler as a plain tool: CMake's own CUDA support is not used (3.25 knows no C++20 for nvcc 13). Host code
# is g++'s alone; nvcc makes device code.

option(STILLWATCH_CUDA "Compile the CUDA kernels, their plugin library and their tests (no GPU needed)" OFF)
set(STILLWATCH_CUDA_ROOT "" CACHE PATH "Where bin/nvcc 13.0 is; empty: where tools/install-cuda puts it")
# Every kernel is compiled for each of these; the plugin carries 80, 90 and 100, and PTX for what comes later.
set(STILLWATCH_CUDA_ARCHS 80 90 90a 100)

if(STILLWATCH_CUDA)
  if(NOT STILLWATCH_CUDA_ROOT)
    file(GLOB found ${CMAKE_SOURCE_DIR}/build/cuda/venv/lib/python3*/site-packages/nvidia/cu13)
    set(STILLWATCH_CUDA_ROOT "${found}" CACHE PATH "" FORCE)
  endif()
  set(SW_NVCC ${STILLWATCH_CUDA_ROOT}/bin/nvcc)
  if(NOT EXISTS ${SW_NVCC})
    message(FATAL_ERROR "STILLWATCH_CUDA is on and there is no ${SW_NVCC}; run tools/install-cuda, or set "
                        "STILLWATCH_CUDA_ROOT to a CUDA 13.0 toolkit")
  endif()
endif()

# sw_nvcc(OUTPUT file SOURCE x.cu FLAGS ...): one nvcc run, rebuilt when anything included changes. What the compiler says
# goes to OUTPUT.log (ptxas -v: registers, spills, shared memory).
function(sw_nvcc)
  cmake_parse_arguments(ARG "" "OUTPUT;SOURCE" "FLAGS" ${ARGN})
  add_custom_command(
    OUTPUT ${ARG_OUTPUT}
    COMMAND sh -c "\"$@\" >${ARG_OUTPUT}.log 2>&1 || { cat ${ARG_OUTPUT}.log; exit 1; }" sh
            ${SW_NVCC} -std=c++20 -O3 --expt-relaxed-constexpr -I${CMAKE_SOURCE_DIR} ${ARG_FLAGS}
            -MD -MF ${ARG_OUTPUT}.d -MT ${ARG_OUTPUT} ${ARG_SOURCE} -o ${ARG_OUTPUT}
    DEPENDS ${ARG_SOURCE} DEPFILE ${ARG_OUTPUT}.d
    COMMENT "nvcc ${ARG_OUTPUT}" VERBATIM)
endfunction()
