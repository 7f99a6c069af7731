# SPDX-License-Identifier: MIT
# What makes builds quick: ccache, whose results all clones of a user share, precompiled headers, and several sources in
# one translation unit.
option(PASSTHRU_UNITY "Compile some ten sources as one: a third of the time for a whole build" OFF)
find_program(CCACHE ccache DOC "Compiler cache (Debian: ccache)")
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # The paths in what the compiler makes begin at the source tree, so another clone's result is the same.
  set(launcher env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=true
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()
add_compile_options(-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.)

# precompile(TARGET HEADER...): half of a file's compile time is the parsing of these.
function(precompile target)
  target_precompile_headers(${target} PRIVATE <algorithm> <array> <chrono> <filesystem> <functional> <map> <memory>
    <optional> <set> <span> <string> <thread> <utility> <vector> <tl/expected.hpp> ${ARGN})
  # ccache looks into a precompiled header only with these.
  target_compile_options(${target} PRIVATE
    $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess> $<$<CXX_COMPILER_ID:Clang>:SHELL:-Xclang -fno-pch-timestamp>)
endfunction()

# unity(TARGET SOURCES-AT-A-TIME): so names in anonymous namespaces must be unique in a room.
function(unity target count)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${PASSTHRU_UNITY} UNITY_BUILD_BATCH_SIZE ${count})
endfunction()
