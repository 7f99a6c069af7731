// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "tests/hil/c_vmm/assignment.h"

#include <stdio.h>
#include <sys/eventfd.h>

#include "tests/hil/c_vmm/c_vmm.h"

bool refused(const char* text) {
  fprintf(stderr, "passthru_c_vmm: %s\n", text);
  return false;
}

bool done(int returned) {
  return returned == 0 ? true : refused(passthru_last_error());
}

static void on_event(void* opaque, const struct passthru_event* event) {
  struct vmm* const vmm = opaque;
  if (event->kind == PASSTHRU_EVENT_DAMAGE_RESTORED) COUNT(vmm, restore_events);
  if (event->kind == PASSTHRU_EVENT_UNPLUG_REQUEST) (void)eventfd_write(vmm->unplug_fd, 1);
  fprintf(stderr, "event %u of %s: %s\n", event->kind, event->device, event->text);
}

/// Creates a domain in which the library does everything on KVM, except for place_bar.
static bool make_domain_on_kvm(struct vmm* vmm, const struct passthru_callbacks* callbacks) {
  const struct passthru_kvm_options options = {
      .size = sizeof options,
      .vm_fd = machine_vm_fd(vmm->machine),
      .first_slot = SLOTS_END,
      .first_gsi = MACHINE_PINS,
      .intx_gsi = intx_gsi,
  };
  return done(passthru_domain_create_kvm(&options, callbacks, vmm, &vmm->domain));
}

/// Creates a domain that knows nothing of KVM.
static bool make_domain_of_callbacks(struct vmm* vmm, struct passthru_callbacks callbacks) {
  if (!vmm->arguments.bars_by_vmm) {
    callbacks.map = map_memory;
    callbacks.unmap = unmap_memory;
  }
  callbacks.route_add = route_add;
  callbacks.route_update = route_update;
  callbacks.route_del = route_del;
  callbacks.routes_begin = routes_begin;
  callbacks.routes_commit = routes_commit;
  callbacks.irqfd_on = irqfd_on;
  callbacks.irqfd_off = irqfd_off;
  callbacks.signal_msi = signal_msi;
  callbacks.intx_on = intx_on;
  callbacks.intx_off = intx_off;
  callbacks.file_added = file_added;
  callbacks.file_removed = file_removed;
  const struct passthru_domain_options options = {
      .size = sizeof options,
      .flags = PASSTHRU_IRQFD_TAKES_AT_ONCE,  // KVM does since Linux 5.11
  };
  return done(passthru_domain_create(&callbacks, vmm, &options, &vmm->domain));
}

bool make_domain(struct vmm* vmm) {
  struct passthru_callbacks callbacks = {.size = sizeof callbacks, .event = on_event};
  if (vmm->arguments.bars_by_vmm) callbacks.place_bar = place_bar;
  const bool made = vmm->arguments.routes_by_vmm ? make_domain_of_callbacks(vmm, callbacks)
                                                 : make_domain_on_kvm(vmm, &callbacks);
  size_t count = 0;
  const struct machine_range* const ranges = machine_ranges(vmm->machine, &count);
  for (size_t i = 0; made && i < count; ++i) {
    if (!done(passthru_domain_hide_bars(vmm->domain, ranges[i].address, ranges[i].size)))
      return false;
    if (ranges[i].memory == NULL) continue;
    if (!done(passthru_domain_add_memory(vmm->domain, ranges[i].address, ranges[i].memory,
                                         ranges[i].size, 0))) {
      return false;
    }
  }
  return made;
}

bool start_services(struct vmm* vmm) {
  const char* const inspect = vmm->arguments.inspect;
  if (inspect != NULL && !done(passthru_domain_inspect_serve(vmm->domain, inspect, 0)))
    return false;
  return done(vmm->arguments.own_loop
                  ? passthru_domain_forwarder_fd(vmm->domain, &vmm->forwarder_fd)
                  : passthru_domain_start_audit(vmm->domain, CHECK_EVERY_MS));
}

bool open_device(struct vmm* vmm) {
  const struct passthru_device_options options = {
      .size = sizeof options,
      .flags = PASSTHRU_REPORT_UNPLUG | (vmm->arguments.bars_by_vmm ? PASSTHRU_BARS_BY_VMM : 0u),
      .device = vmm->arguments.device,
      .guest_address = GUEST_ADDRESS,
      .backend = vmm->arguments.backend,
  };
  if (!done(passthru_device_open(vmm->domain, &options, &vmm->device))) return false;
  vmm->device_open = true;
  return vmm->arguments.bars_by_vmm ? done(bars_learn(vmm)) : true;
}

bool close_device(struct vmm* vmm) {
  const bool inspected = done(passthru_device_inspect_json(vmm->device, &vmm->summary));
  vmm->device_open = false;
  return done(passthru_device_close(vmm->device)) && inspected;
}
