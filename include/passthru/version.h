/* SPDX-License-Identifier: MIT
 * The version of these headers. passthru_version() returns the version of the library that runs.
 */
#ifndef PASSTHRU_VERSION_H
#define PASSTHRU_VERSION_H

/** Increases when programs must change. */
#define PASSTHRU_VERSION_MAJOR 0
/** Increases when names or members are added. */
#define PASSTHRU_VERSION_MINOR 2
/** Increases with every other release. */
#define PASSTHRU_VERSION_PATCH 0

/** Returns a version as a number. Later versions have higher numbers. */
#define PASSTHRU_MAKE_VERSION(major, minor, patch) \
  (((uint32_t)(major) << 16) | ((uint32_t)(minor) << 8) | (uint32_t)(patch))
/** The version of these headers as a number. */
#define PASSTHRU_VERSION \
  PASSTHRU_MAKE_VERSION(PASSTHRU_VERSION_MAJOR, PASSTHRU_VERSION_MINOR, PASSTHRU_VERSION_PATCH)

#endif
