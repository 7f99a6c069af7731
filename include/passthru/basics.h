/* SPDX-License-Identifier: MIT
 *
 * basics.h - handles, guest addresses, the version, and errors.
 */
#ifndef PASSTHRU_BASICS_H
#define PASSTHRU_BASICS_H

#include <stdint.h>

#include <passthru/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Marks a function that the shared library exports. */
#if defined(__GNUC__)
#define PASSTHRU_API __attribute__((visibility("default")))
#else
#define PASSTHRU_API
#endif

/** Returns the address of a function in the guest, as the members `guest_address` have it. */
#define PASSTHRU_GUEST_ADDRESS(bus, device, function) \
  (((uint32_t)(bus) << 8) | ((uint32_t)(device) << 3) | (uint32_t)(function))

/** The devices' side of one VM. */
typedef struct passthru_domain passthru_domain;
/** An assigned device. */
typedef struct passthru_device passthru_device;

/** @defgroup passthru_basics Version and errors
 * @{ */

/** Returns the version of the library that runs, as PASSTHRU_MAKE_VERSION makes it.
 *
 * Since: 0.2
 */
PASSTHRU_API uint32_t passthru_version(void);

/** Returns the text of the last error in the calling thread: "DEVICE: cannot VERB OBJECT: cause.
 * Advice". Returns "" if no call of this thread has failed. The text is valid until the next call
 * of the library in this thread.
 *
 * Since: 0.2
 */
PASSTHRU_API const char* passthru_last_error(void);

/** Frees a text that the library returned. Does nothing if `text` is NULL.
 *
 * Since: 0.2
 */
PASSTHRU_API void passthru_free(char* text);

/** @} */

#ifdef __cplusplus
}
#endif

#endif
