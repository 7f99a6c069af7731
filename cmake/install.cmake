# SPDX-License-Identifier: MIT
# Installation, in three components: `runtime` has the shared library, `development` what compiles a program against it,
# `command` the command. The internal C++ headers are not installed.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(PASSTHRU_ZSH_COMPLETIONS ${CMAKE_INSTALL_DATADIR}/zsh/site-functions CACHE STRING
  "Directory of zsh's completions, below the prefix; Debian's packages use share/zsh/vendor-completions")
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/passthru)

# find_package(passthru) has other names for the targets than this tree: passthru::passthru is the shared library. Each
# library has its own export, because only the static library needs other packages.
if(PASSTHRU_SHARED)
  set_target_properties(passthru_shared PROPERTIES EXPORT_NAME passthru)
  install(TARGETS passthru_shared EXPORT passthruTargets LIBRARY COMPONENT runtime NAMELINK_COMPONENT development)
  install(EXPORT passthruTargets NAMESPACE passthru:: DESTINATION ${package_dir} COMPONENT development)
endif()
set_target_properties(passthru PROPERTIES EXPORT_NAME passthru_static)
install(TARGETS passthru EXPORT passthruStaticTargets ARCHIVE COMPONENT development)
install(EXPORT passthruStaticTargets NAMESPACE passthru:: DESTINATION ${package_dir} COMPONENT development)

set(generated ${PROJECT_BINARY_DIR}/package)
configure_package_config_file(cmake/passthruConfig.cmake.in ${generated}/passthruConfig.cmake
  INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${generated}/passthruConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${generated}/passthruConfig.cmake ${generated}/passthruConfigVersion.cmake
  DESTINATION ${package_dir} COMPONENT development)

# `cmake --install --prefix` may choose another prefix than the build, so this file is made when it is installed.
foreach(variable PROJECT_VERSION PROJECT_DESCRIPTION CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
  string(APPEND pkgconfig_variables "set(${variable} \"${${variable}}\")\n")
endforeach()
install(CODE "${pkgconfig_variables}
configure_file(\"${PROJECT_SOURCE_DIR}/cmake/passthru.pc.in\" \"${generated}/passthru.pc\" @ONLY)"
  COMPONENT development)
install(FILES ${generated}/passthru.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)

install(DIRECTORY include/passthru DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development
  FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
install(DIRECTORY ${PASSTHRU_MANUAL}/man3 DESTINATION ${CMAKE_INSTALL_MANDIR} COMPONENT development)

install(TARGETS passthru-command RUNTIME COMPONENT command)
set(generated ${PROJECT_BINARY_DIR}/tools)
install(FILES ${generated}/passthru.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT command)
install(FILES ${generated}/passthru.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
  RENAME passthru COMPONENT command)
install(FILES ${generated}/_passthru DESTINATION ${PASSTHRU_ZSH_COMPLETIONS} COMPONENT command)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT runtime)
# An example only: the rule gives rights to a group (docs/unprivileged.md).
install(FILES prepare/udev/70-passthru.rules DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples COMPONENT command)
