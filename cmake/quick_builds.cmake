# SPDX-License-Identifier: MIT
# Settings that speed up builds: ccache, whose results all clones of a user share, precompiled headers, and several
# sources in one translation unit.
option(PASSTHRU_UNITY "Compile about ten sources as one: a full build takes a third of the time" OFF)
find_program(CCACHE ccache DOC "Compiler cache (Debian: ccache)")
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # The paths in the compiler's output are relative to the source tree, so another clone gets the same output.
  set(launcher env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=true
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()
add_compile_options(-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.)

# precompile(TARGET HEADER...): precompiles the usual headers and HEADER. Parsing them takes half of a file's compile
# time.
function(precompile target)
  target_precompile_headers(${target} PRIVATE <algorithm> <array> <chrono> <filesystem> <functional> <map> <memory>
    <optional> <set> <span> <string> <thread> <utility> <vector> <tl/expected.hpp> ${ARGN})
  # ccache supports precompiled headers only with these options.
  target_compile_options(${target} PRIVATE
    $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess> $<$<CXX_COMPILER_ID:Clang>:SHELL:-Xclang -fno-pch-timestamp>)
endfunction()

# unity(TARGET SOURCES-AT-A-TIME): compiles that many sources as one, if PASSTHRU_UNITY is set. Names in anonymous
# namespaces must therefore be unique in a room.
function(unity target count)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${PASSTHRU_UNITY} UNITY_BUILD_BATCH_SIZE ${count})
endfunction()

# unity_by_directory(TARGET SOURCES-AT-A-TIME): the same, but never for sources of different directories. A new file then
# changes only the batches of its directory, and names must be unique only there.
function(unity_by_directory target count)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${PASSTHRU_UNITY} UNITY_BUILD_MODE GROUP)
  get_target_property(sources ${target} SOURCES)
  foreach(source ${sources})
    cmake_path(RELATIVE_PATH source BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} OUTPUT_VARIABLE path)
    cmake_path(GET path PARENT_PATH directory)
    string(MAKE_C_IDENTIFIER ${directory} directory)
    list(APPEND sources_of_${directory} ${source})
    list(LENGTH sources_of_${directory} nth)
    math(EXPR batch "(${nth} - 1) / ${count}")
    set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${directory}_${batch})
  endforeach()
endfunction()
