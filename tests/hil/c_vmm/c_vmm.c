// SPDX-License-Identifier: MIT
// A VMM in C that assigns one device to a Linux guest, through the C interface of the library only.
// tests/hil/c_vmm.sh runs it in the lab. It does each thing in both ways that the interface offers:
// BARs are placed by the library or by the VMM, interrupt routes belong to the library or to the
// VMM, and the device is audited by a thread of the library or by the main thread.
#define _GNU_SOURCE
#include "tests/hil/c_vmm/c_vmm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/hil/c_vmm/assignment.h"
#include "tests/hil/c_vmm/guest_accesses.h"
#include "tests/hil/c_vmm/main_loop.h"

enum {
  STATUS_DONE = 0,
  STATUS_STOPPED = 1,
  STATUS_USAGE = 2,
  STATUS_REFUSED = 3,
};

static struct vmm the_vmm = {
    .unplug_fd = -1,
    .forwarder_fd = -1,
    .slots_mutex = PTHREAD_MUTEX_INITIALIZER,
    .bars = {.placement_mutex = PTHREAD_MUTEX_INITIALIZER},
    .kvm_calls = {.files_mutex = PTHREAD_MUTEX_INITIALIZER, .vfio_device = -1},
};

void add_machine_ranges(const struct vmm* vmm, struct parts* parts) {
  size_t count = 0;
  const struct machine_range* const ranges = machine_ranges(vmm->machine, &count);
  for (size_t i = 0; i < count; ++i) {
    parts_add(parts, ranges[i].address, ranges[i].size, NO_OWNER);
  }
}

static bool make_machine(struct vmm* vmm) {
  const struct machine_options options = {
      .kernel = vmm->arguments.kernel,
      .initrd = vmm->arguments.initrd,
      .append = vmm->arguments.append,
      .memory = vmm->arguments.memory,
      .cpus = vmm->arguments.cpus,
  };
  const struct machine_vmm accesses = guest_accesses(vmm);
  if (machine_create(&options, &accesses, &vmm->machine) != 0) return refused(machine_last_error());
  const int vm_fd = machine_vm_fd(vmm->machine);
  vmm->slots.vm_fd = vm_fd;
  vmm->kvm_calls.vm_fd = vm_fd;
  routes_init(&vmm->routes, vm_fd);
  vmm->unplug_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return vmm->unplug_fd < 0 ? refused(strerror(errno)) : true;
}

static void stop_guest(int number) {
  (void)number;
  const int before = errno;
  machine_stop(the_vmm.machine);
  errno = before;
}

static int run_guest(struct vmm* vmm) {
  const struct sigaction stop = {.sa_handler = stop_guest};
  sigaction(SIGTERM, &stop, NULL);
  sigaction(SIGINT, &stop, NULL);
  signal(SIGPIPE, SIG_IGN);
  enum machine_end end = MACHINE_STOPPED;
  const int not_started = machine_start(vmm->machine);
  if (not_started == 0) main_loop(vmm);
  const int failed = machine_join(vmm->machine, &end);
  signal(SIGTERM, SIG_DFL);
  signal(SIGINT, SIG_DFL);
  if (not_started != 0 || failed != 0) {
    refused(machine_last_error());
    return STATUS_REFUSED;
  }
  return end == MACHINE_STOPPED ? STATUS_STOPPED : STATUS_DONE;
}

static void print_counts(const struct vmm* vmm) {
  const struct counts* const c = &vmm->counts;
  fprintf(stderr,
          "counts map=%u unmap=%u place_bar=%u route_add=%u route_update=%u "
          "route_del=%u routes_commit=%u irqfd_on=%u irqfd_off=%u signal_msi=%u intx_on=%u "
          "intx_off=%u file_added=%u file_removed=%u restore_events=%u slots_left=%u "
          "routes_left=%u irqfds_left=%u files_left=%u\n",
          c->map, c->unmap, c->place_bar, c->route_add, c->route_update, c->route_del,
          c->routes_commit, c->irqfd_on, c->irqfd_off, c->signal_msi, c->intx_on, c->intx_off,
          c->file_added, c->file_removed, c->restore_events, slots_used(&vmm->slots),
          routes_used(&vmm->routes), c->irqfd_on + c->intx_on - c->irqfd_off - c->intx_off,
          c->file_added - c->file_removed);
}

static bool write_summary(const struct vmm* vmm) {
  const char* const name = vmm->arguments.summary;
  if (name == NULL || vmm->summary == NULL) return true;
  FILE* const file = fopen(name, "w");
  if (file == NULL) return refused(strerror(errno));
  const bool written = fprintf(file, "%s\n", vmm->summary) >= 0;
  return fclose(file) == 0 && written ? true : refused("cannot write the summary");
}

/// Ends everything that exists, in the order in which a VMM does: device, domain, machine.
static bool end_vmm(struct vmm* vmm) {
  bool good = true;
  if (vmm->device_open) good = close_device(vmm);
  if (vmm->domain != NULL) good = done(passthru_domain_destroy(vmm->domain)) && good;
  if (vmm->machine != NULL) print_counts(vmm);
  good = write_summary(vmm) && good;
  passthru_free(vmm->summary);
  bars_forget(vmm);
  if (vmm->kvm_calls.vfio_device >= 0) close(vmm->kvm_calls.vfio_device);
  if (vmm->unplug_fd >= 0) close(vmm->unplug_fd);
  machine_destroy(vmm->machine);
  return good;
}

/// Raises soft limits to the hard limits. Memory that devices reach is locked, and each vector of a
/// device has a descriptor.
static void raise_limit(__rlimit_resource_t resource) {
  struct rlimit limit;
  if (getrlimit(resource, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(resource, &limit);  // after a failure, the call that needs more reports the limit
}

int main(int argc, char** argv) {
  struct vmm* const vmm = &the_vmm;
  if (!parse_arguments(argc, argv, &vmm->arguments)) return STATUS_USAGE;
  raise_limit(RLIMIT_MEMLOCK);
  raise_limit(RLIMIT_NOFILE);
  int status = STATUS_REFUSED;
  if (make_machine(vmm) && make_domain(vmm) && start_services(vmm) && open_device(vmm)) {
    status = run_guest(vmm);
  }
  return end_vmm(vmm) ? status : STATUS_REFUSED;
}
