/* SPDX-License-Identifier: MIT
 * The version of these headers. passthru_version() returns the version of the library that runs.
 */
#ifndef PASSTHRU_VERSION_H
#define PASSTHRU_VERSION_H

#define PASSTHRU_VERSION_MAJOR 0
#define PASSTHRU_VERSION_MINOR 2
#define PASSTHRU_VERSION_PATCH 0

#define PASSTHRU_MAKE_VERSION(major, minor, patch) \
  (((uint32_t)(major) << 16) | ((uint32_t)(minor) << 8) | (uint32_t)(patch))
#define PASSTHRU_VERSION \
  PASSTHRU_MAKE_VERSION(PASSTHRU_VERSION_MAJOR, PASSTHRU_VERSION_MINOR, PASSTHRU_VERSION_PATCH)

#endif
