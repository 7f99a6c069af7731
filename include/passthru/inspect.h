/* SPDX-License-Identifier: MIT
 *
 * inspect.h - snapshots of devices as JSON, and the inspect socket.
 */
#ifndef PASSTHRU_INSPECT_H
#define PASSTHRU_INSPECT_H

#include <stdint.h>

#include <passthru/basics.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup passthru_inspect Inspection
 * @{ */

/** Returns the state of a device as a JSON document, to be freed with passthru_free(). It has the
 * members of a device of `inspect` (docs/inspect.md) and `version`.
 *
 * Errors:
 * - ENOMEM: no memory.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_device_inspect_json(passthru_device* device, char** json);

/** Flags of passthru_domain_inspect_serve(). */
enum {
  /** Starts no thread: the VMM polls passthru_domain_inspect_fd(). */
  PASSTHRU_INSPECT_OWN_LOOP = 1 << 0,
};

/** Serves the inspect socket (docs/inspect.md), through which the command `passthru` sees the
 * domain's devices, also those that are opened later. `path` NULL: the default path. The socket
 * ends with the domain.
 *
 * Errors:
 * - EBUSY: the domain serves a socket already.
 * - EADDRINUSE: another process serves this socket.
 * - EEXIST: the path exists and is not a socket.
 * - ENAMETOOLONG: the path has more than 107 bytes.
 * - ENOENT, EACCES: of the directory.
 * - EPERM: another user could replace the default path, or this process may not give the socket to
 *   the group of passthru_domain_inspect_group().
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_inspect_serve(passthru_domain* domain, const char* path,
                                               uint32_t flags);
/** Lets the members of a group connect to the inspect socket, beside the user of this process and
 * root. The socket then has mode 0660. Call it before passthru_domain_inspect_serve(). A process
 * without rights can only name a group that it is a member of.
 *
 * Errors:
 * - EBUSY: the domain serves a socket already.
 * - EINVAL: the number is no group.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_inspect_group(passthru_domain* domain, uint32_t group);
/** Returns the descriptor to poll for input of a socket that is served with
 * PASSTHRU_INSPECT_OWN_LOOP. It stays the library's.
 *
 * Errors:
 * - ENOENT: the domain serves no such socket.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_inspect_fd(passthru_domain* domain, int* fd);
/** Answers the requests that have arrived. Waits for no client.
 *
 * Errors:
 * - ENOENT: the domain serves no such socket.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_inspect_run(passthru_domain* domain);

/** @} */

#ifdef __cplusplus
}
#endif

#endif
