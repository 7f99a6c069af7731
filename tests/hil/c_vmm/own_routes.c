// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "tests/hil/c_vmm/own_routes.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "tests/hil/c_vmm/c_vmm.h"

enum {
  PIC_PINS = 16,
  PIC_PINS_EACH = 8,
  PIN_ENTRIES = PIC_PINS + MACHINE_PINS,  ///< GSI 0 to 15 lead to a PIC and to the IOAPIC
};

void routes_init(struct routes* routes, int vm_fd) {
  pthread_mutexattr_t recursive;
  pthread_mutexattr_init(&recursive);
  pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
  pthread_mutex_init(&routes->table_mutex, &recursive);
  pthread_mutexattr_destroy(&recursive);
  routes->vm_fd = vm_fd;
}

unsigned routes_used(const struct routes* routes) {
  unsigned used = 0;
  for (uint32_t route = 0; route < MAX_ROUTES; ++route) used += routes->of[route].used;
  return used;
}

uint32_t route_gsi(uint32_t route) {
  return MACHINE_PINS + route;
}

static void add_pin(struct kvm_irq_routing* table, uint32_t gsi, uint32_t irqchip, uint32_t pin) {
  table->entries[table->nr++] = (struct kvm_irq_routing_entry){
      .gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = {.irqchip = irqchip, .pin = pin}};
}

/// Adds the routes that KVM itself sets when it creates its PIC and IOAPIC.
static void add_pins(struct kvm_irq_routing* table) {
  for (uint32_t gsi = 0; gsi < MACHINE_PINS; ++gsi) {
    if (gsi < PIC_PINS) {
      add_pin(table, gsi, gsi < PIC_PINS_EACH ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
              gsi % PIC_PINS_EACH);
    }
    add_pin(table, gsi, KVM_IRQCHIP_IOAPIC, gsi);
  }
}

/// Gives KVM the table. Returns 0 or -errno; KVM's table is then as before.
static int install(const struct routes* routes) {
  struct kvm_irq_routing* const table =
      calloc(1, sizeof *table + (PIN_ENTRIES + MAX_ROUTES) * sizeof table->entries[0]);
  if (table == NULL) return -ENOMEM;
  add_pins(table);
  for (uint32_t route = 0; route < MAX_ROUTES; ++route) {
    const struct passthru_message* const message = &routes->of[route].message;
    if (!routes->of[route].used) continue;
    table->entries[table->nr++] = (struct kvm_irq_routing_entry){
        .gsi = route_gsi(route),
        .type = KVM_IRQ_ROUTING_MSI,
        .u.msi = {.address_lo = (uint32_t)message->address, .data = message->data}};
  }
  const int failed = ioctl(routes->vm_fd, KVM_SET_GSI_ROUTING, table) < 0 ? -errno : 0;
  free(table);
  return failed;
}

/// Makes a changed route take effect: now, or at the end of the batch. If KVM refuses the table,
/// the route is `before` again.
static int route_changed(struct routes* routes, uint32_t number, struct route before) {
  if (routes->in_batch) {
    routes->changed = true;
    return 0;
  }
  const int failed = install(routes);
  if (failed != 0) routes->of[number] = before;
  return failed;
}

static int add(struct routes* routes, const struct passthru_message* message, uint32_t* route) {
  for (uint32_t number = 0; number < MAX_ROUTES; ++number) {
    const struct route before = routes->of[number];
    if (before.used) continue;
    routes->of[number] = (struct route){.used = true, .message = *message};
    *route = number;
    return route_changed(routes, number, before);
  }
  return -ENOSPC;
}

int route_add(void* opaque, uint32_t source, const struct passthru_message* message,
              uint32_t* route) {
  struct vmm* const vmm = opaque;
  (void)source;  // KVM on x86 takes no requester id
  int failed = check_message(message);
  if (failed != 0) return failed;
  pthread_mutex_lock(&vmm->routes.table_mutex);
  failed = add(&vmm->routes, message, route);
  pthread_mutex_unlock(&vmm->routes.table_mutex);
  if (failed == 0) COUNT(vmm, route_add);
  return failed;
}

static int update(struct routes* routes, uint32_t number, const struct passthru_message* message) {
  if (number >= MAX_ROUTES || !routes->of[number].used) return -ENOENT;
  const struct route before = routes->of[number];
  if (before.message.address == message->address && before.message.data == message->data) return 0;
  routes->of[number].message = *message;
  return route_changed(routes, number, before);
}

int route_update(void* opaque, uint32_t route, const struct passthru_message* message) {
  struct vmm* const vmm = opaque;
  int failed = check_message(message);
  if (failed != 0) return failed;
  pthread_mutex_lock(&vmm->routes.table_mutex);
  failed = update(&vmm->routes, route, message);
  pthread_mutex_unlock(&vmm->routes.table_mutex);
  if (failed == 0) COUNT(vmm, route_update);
  return failed;
}

// KVM keeps its copy until the next change. Nothing signals it: the route's irqfd is off.
void route_del(void* opaque, uint32_t route) {
  struct vmm* const vmm = opaque;
  if (route >= MAX_ROUTES) return;
  pthread_mutex_lock(&vmm->routes.table_mutex);
  vmm->routes.of[route].used = false;
  pthread_mutex_unlock(&vmm->routes.table_mutex);
  COUNT(vmm, route_del);
}

void routes_begin(void* opaque) {
  struct routes* const routes = &((struct vmm*)opaque)->routes;
  pthread_mutex_lock(&routes->table_mutex);
  memcpy(routes->before, routes->of, sizeof routes->of);
  routes->in_batch = true;
  routes->changed = false;
}

int routes_commit(void* opaque) {
  struct vmm* const vmm = opaque;
  struct routes* const routes = &vmm->routes;
  const int failed = routes->changed ? install(routes) : 0;
  if (failed != 0) memcpy(routes->of, routes->before, sizeof routes->of);
  routes->in_batch = false;
  pthread_mutex_unlock(&routes->table_mutex);
  if (failed == 0) COUNT(vmm, routes_commit);
  return failed;
}
