// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "tests/hil/c_vmm/guest_accesses.h"

#include "tests/hil/c_vmm/c_vmm.h"

static uint32_t config_read(void* opaque, uint32_t offset, uint32_t width) {
  const struct vmm* const vmm = opaque;
  uint32_t value = UINT32_MAX;
  (void)passthru_device_config_read(vmm->device, offset, width, &value);  // on error all ones
  return value;
}

static void config_write(void* opaque, uint32_t offset, uint32_t width, uint32_t value) {
  const struct vmm* const vmm = opaque;
  (void)passthru_device_config_write(vmm->device, offset, width, value);
}

static void mmio_read(void* opaque, uint64_t address, void* data, size_t size) {
  struct vmm* const vmm = opaque;
  if (vmm->arguments.bars_by_vmm) {
    bars_read(vmm, &vmm->bars.mmio, address, data, size);
  } else {
    (void)passthru_domain_mmio_read(vmm->domain, address, data, size);
  }
}

static void mmio_write(void* opaque, uint64_t address, const void* data, size_t size) {
  struct vmm* const vmm = opaque;
  if (vmm->arguments.bars_by_vmm) {
    bars_write(vmm, &vmm->bars.mmio, address, data, size);
  } else {
    (void)passthru_domain_mmio_write(vmm->domain, address, data, size);
  }
}

static void port_read(void* opaque, uint64_t port, void* data, size_t size) {
  struct vmm* const vmm = opaque;
  if (vmm->arguments.bars_by_vmm) {
    bars_read(vmm, &vmm->bars.ports, port, data, size);
  } else {
    (void)passthru_domain_port_read(vmm->domain, (uint16_t)port, data, size);
  }
}

static void port_write(void* opaque, uint64_t port, const void* data, size_t size) {
  struct vmm* const vmm = opaque;
  if (vmm->arguments.bars_by_vmm) {
    bars_write(vmm, &vmm->bars.ports, port, data, size);
  } else {
    (void)passthru_domain_port_write(vmm->domain, (uint16_t)port, data, size);
  }
}

struct machine_vmm guest_accesses(struct vmm* vmm) {
  return (struct machine_vmm){
      .vmm = vmm,
      .config_read = config_read,
      .config_write = config_write,
      .mmio_read = mmio_read,
      .mmio_write = mmio_write,
      .port_read = port_read,
      .port_write = port_write,
  };
}
