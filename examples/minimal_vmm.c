/* SPDX-License-Identifier: MIT
 *
 * minimal_vmm.c - A whole VMM on KVM, with an assigned PCI device.
 *
 *   $ cc minimal_vmm.c $(pkg-config --cflags --libs passthru) -o minimal_vmm
 *   $ ./minimal_vmm 0000:01:00.0 0      (a device on vfio-pci, and one of its memory BARs)
 *   the guest read 0x10d38086           (device and vendor ID)
 *   the guest read 0x00140240           (first register of the BAR)
 *
 * The guest reads the IDs as every PC does, through the ports 0xcf8 and 0xcfc. It reads the
 * register and writes the value back. It sends both values to port 0xe9, and the VMM prints them.
 */
#define _GNU_SOURCE /* O_CLOEXEC in C99 */
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/pci_regs.h>
#include <passthru/passthru.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

enum { GUEST_ADDRESS = 1 << 3 /* of the device: 00:01.0 */, BAR_ADDRESS = 0x40000000 };

static uint8_t ram[0x100000] __attribute__((aligned(4096)));
static const uint8_t program[] = {
    0xb8, 0x00, 0x08, 0x00, 0x80, /* mov eax, 0x80000800     register 0 of 00:01.0 */
    0xba, 0xf8, 0x0c, 0x00, 0x00, /* mov edx, 0xcf8 */
    0xef,                         /* out dx, eax */
    0xb2, 0xfc,                   /* mov dl, 0xfc            edx is 0xcfc */
    0xed,                         /* in eax, dx */
    0xe7, 0xe9,                   /* out 0xe9, eax */
    0xa1, 0x00, 0x00, 0x00, 0x40, /* mov eax, [0x40000000]   the BAR */
    0xa3, 0x00, 0x00, 0x00, 0x40, /* mov [0x40000000], eax */
    0xe7, 0xe9,                   /* out 0xe9, eax */
    0xe7, 0xf4,                   /* out 0xf4, eax           ends the VM */
};

static int need(int result, const char* call) {
  if (result < 0) err(1, "%s", call);
  return result;
}
#define KVM(fd, request, argument) need(ioctl(fd, request, argument), #request)

static void check(int status) {
  if (status < 0) errx(1, "%s", passthru_last_error());
}

/* Gives the VM its RAM and a vCPU in flat 32-bit mode. Returns the vCPU. */
static int create_vcpu(int vm) {
  memcpy(ram + 0xfff0, program, sizeof program); /* where a CPU begins */
  const struct kvm_userspace_memory_region region = {.memory_size = sizeof ram,
                                                     .userspace_addr = (uintptr_t)ram};
  KVM(vm, KVM_SET_USER_MEMORY_REGION, &region);
  const int vcpu = KVM(vm, KVM_CREATE_VCPU, 0);
  struct kvm_sregs sregs;
  KVM(vcpu, KVM_GET_SREGS, &sregs);
  sregs.cr0 |= 1; /* protected mode */
  sregs.cs.base = 0;
  sregs.cs.limit = sregs.ds.limit = UINT32_MAX;
  sregs.cs.g = sregs.ds.g = sregs.cs.db = 1;
  KVM(vcpu, KVM_SET_SREGS, &sregs);
  return vcpu;
}

/* Answers an access to a port. Port 0xcf8 selects a register, which 0xcfc to 0xcff then access. */
static void access_port(passthru_device* device, struct kvm_run* run) {
  static uint32_t selected;
  uint32_t value = UINT32_MAX;
  void* data = (char*)run + run->io.data_offset;
  const uint32_t offset = (selected & 0xfc) + (run->io.port & 3u);
  const bool write = run->io.direction == KVM_EXIT_IO_OUT;
  if (write) memcpy(&value, data, run->io.size);
  if (write && run->io.port == 0xcf8) selected = value;
  if (write && run->io.port == 0xe9) printf("the guest read 0x%08x\n", value);
  if (run->io.port >> 2 == 0xcfc >> 2 && selected >> 8 == (0x800000 | GUEST_ADDRESS))
    check(write ? passthru_device_config_write(device, offset, run->io.size, value)
                : passthru_device_config_read(device, offset, run->io.size, &value));
  if (!write) memcpy(data, &value, run->io.size);
}

int main(int argc, char** argv) {
  if (argc != 3 || strlen(argv[2]) != 1 || strspn(argv[2], "012345") != 1) {
    const bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
    fputs("usage: minimal_vmm DEVICE BAR\n", help ? stdout : stderr);
    return help ? 0 : 2;
  }
  const int kvm = need(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
  const int vm = KVM(kvm, KVM_CREATE_VM, 0);
  KVM(vm, KVM_CREATE_IRQCHIP, 0);
  const int vcpu = create_vcpu(vm);
  const int size = KVM(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  struct kvm_run* run = mmap(0, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
  if (run == MAP_FAILED) err(1, "mmap");

  passthru_domain* domain;
  const struct passthru_kvm_options on_kvm = {.size = sizeof on_kvm, .vm_fd = vm};
  check(passthru_domain_create_kvm(&on_kvm, NULL, NULL, &domain));
  check(passthru_domain_add_memory(domain, 0, ram, sizeof ram, 0));
  passthru_device* device;
  const struct passthru_device_options options = {
      .size = sizeof options, .device = argv[1], .guest_address = GUEST_ADDRESS};
  check(passthru_device_open(domain, &options, &device));
  const uint32_t bar = PCI_BASE_ADDRESS_0 + 4 * (uint32_t)(argv[2][0] - '0'); /* as firmware does */
  check(passthru_device_config_write(device, bar, 4, BAR_ADDRESS));
  check(passthru_device_config_write(device, PCI_COMMAND, 2, PCI_COMMAND_MEMORY));
  while (KVM(vcpu, KVM_RUN, 0) == 0) {
    if (run->exit_reason == KVM_EXIT_MMIO && run->mmio.is_write)
      passthru_domain_mmio_write(domain, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
    else if (run->exit_reason == KVM_EXIT_MMIO)
      passthru_domain_mmio_read(domain, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
    else if (run->exit_reason == KVM_EXIT_IO && run->io.port != 0xf4)
      access_port(device, run);
    else
      break;
  }
  if (run->exit_reason != KVM_EXIT_IO) errx(1, "the guest stopped: exit %u", run->exit_reason);
  check(passthru_domain_destroy(domain)); /* closes the device */
}
