/* SPDX-License-Identifier: MIT
 *
 * passthru.h - PCI devices for guests: the C interface of libpassthru, for C99, C++ and any
 * language that calls C.
 *
 * A VMM creates a domain for each VM and opens devices in it. The library maps BARs, mediates
 * MSI-X, routes interrupts and restores them. The VMM forwards its guest's accesses, and implements
 * the callbacks that it needs.
 *
 * Rules for all functions:
 *
 * - A function that returns `int` returns 0, or -errno. passthru_last_error() then returns a text.
 *   If a function fails, nothing has changed unless its description says otherwise.
 * - Every struct begins with its `size`. Set it to sizeof the struct, and every member that you do
 *   not use to 0. A struct of an older version is accepted. A longer struct is accepted if all
 *   bytes that the library does not know are 0; otherwise the function returns -E2BIG.
 * - Any thread may call any function at any time. Handles are never used again: a call with a
 *   handle that does not exist any more returns -EINVAL.
 * - A callback must not call the library, except passthru_version() and passthru_last_error().
 *   Other functions then return -EDEADLK and do nothing.
 *
 * docs/embedding.md says which locks are held during each callback.
 */
#ifndef PASSTHRU_PASSTHRU_H
#define PASSTHRU_PASSTHRU_H

/* The library itself, and what a VMM implements. */
#include <passthru/basics.h>    /* handles, the version, errors */
#include <passthru/callbacks.h> /* callbacks, messages, events */

/* A VM. */
#include <passthru/domain.h> /* the domain of a VM: create, destroy, reset */
#include <passthru/kvm.h>    /* domains on KVM, and the VMM's own MSI routes */

/* Its devices, and the RAM that they reach. */
#include <passthru/device.h> /* open, close, config space, reset */
#include <passthru/dma.h>    /* guest RAM, usable addresses */

/* What the guest uses of a device. */
#include <passthru/bars.h>       /* BARs, and the guest's accesses to them */
#include <passthru/interrupts.h> /* INTx, vectors, the forwarder */

/* What a VMM does with a device that runs. */
#include <passthru/health.h>  /* checks, the audit, events of the host */
#include <passthru/inspect.h> /* JSON documents, the inspect socket */
#include <passthru/state.h>   /* the state of a device that another VMM takes over */

#endif
