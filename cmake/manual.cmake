# SPDX-License-Identifier: MIT
# The manual pages of the C interface, which scripts/man_pages makes of the comments in the headers. The command makes its
# own page (tools/CMakeLists.txt).
set(PASSTHRU_MANUAL ${PROJECT_BINARY_DIR}/man)
file(GLOB manual_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/scripts/docs.d/*
  ${PROJECT_SOURCE_DIR}/include/passthru/*.h)
set(manual_stamp ${PASSTHRU_MANUAL}/stamp)
add_custom_command(OUTPUT ${manual_stamp}
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${PASSTHRU_MANUAL} # the page of a function that was removed
  COMMAND ${PROJECT_SOURCE_DIR}/scripts/man_pages ${PASSTHRU_MANUAL}
  COMMAND ${CMAKE_COMMAND} -E touch ${manual_stamp}
  DEPENDS ${PROJECT_SOURCE_DIR}/scripts/man_pages ${manual_sources}
  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} COMMENT "Making the manual pages of the C interface" VERBATIM)
add_custom_target(passthru-manual ALL DEPENDS ${manual_stamp})
