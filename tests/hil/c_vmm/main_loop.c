// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "tests/hil/c_vmm/main_loop.h"

#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "tests/hil/c_vmm/assignment.h"
#include "tests/hil/c_vmm/c_vmm.h"

enum { MAX_EVENT_FDS = 8 };

/// What the loop polls, in this order.
enum { END, UNPLUG, FORWARDER, EVENTS };

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/// Fills `fds` with the device's descriptors. Returns their number.
static size_t add_event_fds(const struct vmm* vmm, struct pollfd* fds) {
  int events[MAX_EVENT_FDS];
  size_t count = MAX_EVENT_FDS;
  if (!done(passthru_device_event_fds(vmm->device, events, &count))) return 0;
  for (size_t i = 0; i < count; ++i) {
    fds[i] = (struct pollfd){.fd = events[i], .events = POLLIN};
  }
  return count;
}

static bool any_readable(const struct pollfd* fds, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (fds[i].revents != 0) return true;
  }
  return false;
}

/// Audits the device if it is time to. Returns when the next check is due.
static int64_t check_device(struct vmm* vmm, int64_t due) {
  const int64_t now = now_ms();
  if (now < due) return due;
  (void)passthru_device_check(vmm->device, NULL);  // the library reports errors as events
  return now + CHECK_EVERY_MS;
}

void main_loop(struct vmm* vmm) {
  struct pollfd fds[EVENTS + MAX_EVENT_FDS] = {
      [END] = {.fd = machine_end_fd(vmm->machine), .events = POLLIN},
      [UNPLUG] = {.fd = vmm->unplug_fd, .events = POLLIN},
      [FORWARDER] = {.fd = vmm->forwarder_fd, .events = POLLIN},
  };
  bool audit = vmm->arguments.own_loop;
  size_t events = audit ? add_event_fds(vmm, &fds[EVENTS]) : 0;
  int64_t due = now_ms();
  while (fds[END].revents == 0) {
    const int64_t wait = due - now_ms();
    const int timeout = !audit ? -1 : wait > 0 ? (int)wait : 0;
    if (poll(fds, EVENTS + events, timeout) < 0) continue;  // a signal
    if (fds[FORWARDER].revents != 0) (void)passthru_domain_forward(vmm->domain);
    if (any_readable(&fds[EVENTS], events)) (void)passthru_device_handle_events(vmm->device);
    if (audit) due = check_device(vmm, due);
    if (fds[UNPLUG].revents == 0) continue;
    if (close_device(vmm)) fprintf(stderr, "gave %s back\n", vmm->arguments.device);
    audit = false;
    events = 0;
    fds[UNPLUG].fd = -1;  // poll then sets no revents
  }
}
