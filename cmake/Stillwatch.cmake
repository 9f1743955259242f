# Compiler settings and the three helpers that every folder uses.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g1")

find_program(STILLWATCH_CCACHE ccache)
if(STILLWATCH_CCACHE)
  # Paths below the tree are cached relative to it, so that a fresh clone elsewhere finds what was built before.
  set(launcher ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${STILLWATCH_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
endif()

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

# What every target of ours is compiled with. Vendor headers come in as SYSTEM, so that these
# warnings speak only of our code.
add_library(sw_options INTERFACE)
target_include_directories(sw_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(sw_options INTERFACE
  -march=${STILLWATCH_MARCH} -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Werror=return-type
  -fno-omit-frame-pointer)
if(STILLWATCH_SANITIZE STREQUAL "address")
  target_compile_options(sw_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined)
  target_link_options(sw_options INTERFACE -fsanitize=address,undefined)
elseif(STILLWATCH_SANITIZE STREQUAL "thread")
  # rte_ring's compiler barriers look like races to TSan; its C11 model does not.
  target_compile_options(sw_options INTERFACE -fsanitize=thread)
  target_compile_definitions(sw_options INTERFACE RTE_USE_C11_MEM_MODEL)
  target_link_options(sw_options INTERFACE -fsanitize=thread)
elseif(NOT STILLWATCH_SANITIZE STREQUAL "")
  message(FATAL_ERROR "STILLWATCH_SANITIZE is '${STILLWATCH_SANITIZE}'; use address or thread")
endif()
if(STILLWATCH_MUTANTS)
  target_compile_definitions(sw_options INTERFACE STILLWATCH_MUTANTS=1)
endif()
target_link_libraries(sw_options INTERFACE Threads::Threads)

# sw_library(NAME SOURCES a.cc ... DEPS lib ...): one folder's static library.
function(sw_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC sw_options ${ARG_DEPS})
endfunction()

# sw_program(NAME SOURCES ... DEPS ...): one binary in build/bin.
function(sw_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE sw_options ${ARG_DEPS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endfunction()

# sw_test(NAME SOURCES ... DEPS ... LABELS ...): one GoogleTest binary, one ctest entry. Labels:
# threads (also run under TSan), root (needs namespaces or XDP), kafka, e2e, long.
# Tests find their data below STILLWATCH_SOURCE_DIR/tests/data.
function(sw_test name)
  cmake_parse_arguments(ARG "MAIN" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  # A build for one label (ThreadSanitizer) leaves the other tests out.
  if(STILLWATCH_TEST_LABEL AND NOT STILLWATCH_TEST_LABEL IN_LIST ARG_LABELS)
    return()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE sw_options ${ARG_DEPS} GTest::gmock)
  # Of what is tested nothing changes; expectations themselves take twice as long to compile for a sanitizer at -O2.
  if(STILLWATCH_SANITIZE)
    target_compile_options(${name} PRIVATE -O1)
  endif()
  if(ARG_MAIN)  # the test brings its own main()
    target_link_libraries(${name} PRIVATE GTest::gtest)
  else()
    target_link_libraries(${name} PRIVATE GTest::gtest_main)
  endif()
  target_compile_definitions(${name} PRIVATE
    STILLWATCH_SOURCE_DIR="${CMAKE_SOURCE_DIR}" STILLWATCH_BINARY_DIR="${CMAKE_BINARY_DIR}")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()

# sw_fuzz(NAME CORPUS folder MAX_LEN bytes SEES lib ... DEPS lib ...): the target fuzz_NAME.cc (tests/fuzz/target.h) as
# NAME_corpus_test, which replays the corpus below tests/data, and where fuzzers are built as bin/fuzz_NAME, which
# tools/fuzz runs. Of the libraries in SEES the fuzzer sees the coverage, and a sanitizer the faults.
function(sw_fuzz name)
  cmake_parse_arguments(ARG "" "CORPUS;MAX_LEN" "SEES;DEPS" ${ARGN})
  set(fuzz ${CMAKE_SOURCE_DIR}/tests/fuzz)
  sw_test(${name}_corpus_test SOURCES ${fuzz}/corpus_test.cc ${fuzz}/kept_memory.cc fuzz_${name}.cc DEPS ${ARG_SEES} ${ARG_DEPS})
  if(TARGET ${name}_corpus_test)
    target_compile_definitions(${name}_corpus_test PRIVATE STILLWATCH_CORPUS="${ARG_CORPUS}")
  endif()
  if(STILLWATCH_FUZZERS)
    foreach(library IN LISTS ARG_SEES)
      sw_fuzzed(${library})
      list(APPEND objects $<TARGET_OBJECTS:${library}_fuzzed>)
    endforeach()
    # The target's own comparisons are no coverage.
    sw_program(fuzz_${name} SOURCES fuzz_${name}.cc ${fuzz}/entry.cc ${fuzz}/kept_memory.cc ${objects} DEPS ${ARG_SEES} ${ARG_DEPS})
    target_compile_options(fuzz_${name} PRIVATE -fsanitize=address,undefined)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer,address,undefined)
    file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/fuzzers/${name} CONTENT "${ARG_MAX_LEN} ${ARG_CORPUS}\n")
  endif()
endfunction()

# LIBRARY_fuzzed: its sources compiled for fuzzers, once for all of them.
function(sw_fuzzed library)
  if(TARGET ${library}_fuzzed)
    return()
  endif()
  get_target_property(sources ${library} SOURCES)
  get_target_property(folder ${library} SOURCE_DIR)
  list(TRANSFORM sources PREPEND ${folder}/)
  add_library(${library}_fuzzed OBJECT ${sources})
  target_link_libraries(${library}_fuzzed PRIVATE ${library})
  target_compile_options(${library}_fuzzed PRIVATE -fsanitize=fuzzer-no-link,address,undefined)
endfunction()
