# SPDX-License-Identifier: MIT
# The toolchain of the presets that need clang: the version that scripts/setup chose for this Debian.
execute_process(
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/../scripts/setup --clang-version
  OUTPUT_VARIABLE clang_version OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
set(CMAKE_C_COMPILER clang-${clang_version})
set(CMAKE_CXX_COMPILER clang++-${clang_version})
