/* SPDX-License-Identifier: MIT
 *
 * interrupts.c - An interrupt of a device, received as a message by a program without a guest.
 *
 *   $ cc interrupts.c $(pkg-config --cflags --libs passthru) -o interrupts
 *   $ ./interrupts 0000:01:00.0                 (a device on vfio-pci with MSI-X; it is reset)
 *   interrupt: address 0xfee00000, data 0x41
 *
 * The program plays both parts. As a guest's driver it programs vector 0 and enables MSI-X. As a
 * VMM it takes messages by a callback, because it has no irqfd. The kernel then acts as if the
 * device had signalled the vector. The exit status is 1 if the message does not arrive within 1 s.
 */
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <passthru/passthru.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void check(int status) {
  if (status < 0) errx(1, "%s", passthru_last_error());
}

/* A callback: a thread of the library calls it for each interrupt. `vmm` is the pipe to main(). */
static int signal_msi(void* vmm, uint32_t source, const struct passthru_message* message) {
  (void)source; /* the device's guest_address */
  const int* pipe_end = vmm;
  return write(*pipe_end, message, sizeof *message) < 0 ? -errno : 0;
}

static uint32_t config_read(passthru_device* device, uint32_t offset, uint32_t width) {
  uint32_t value = 0;
  check(passthru_device_config_read(device, offset, width, &value));
  return value;
}

/* Returns the offset of the MSI-X capability, or ends the program. */
static uint32_t find_msix(passthru_device* device) {
  uint32_t offset = config_read(device, PCI_CAPABILITY_LIST, 1);
  for (int left = 48; offset != 0 && left > 0; --left) {
    if (config_read(device, offset + PCI_CAP_LIST_ID, 1) == PCI_CAP_ID_MSIX) return offset;
    offset = config_read(device, offset + PCI_CAP_LIST_NEXT, 1);
  }
  errx(1, "the device has no MSI-X");
}

/* Does what a driver does: writes the entry of vector 0, and enables bus mastering and MSI-X. */
static void enable_vector(passthru_device* device) {
  const uint32_t msix = find_msix(device);
  const uint32_t table = config_read(device, msix + PCI_MSIX_TABLE, 4);
  const uint32_t entry[] = {0xfee00000, 0, 0x41, 0}; /* address, its upper half, data, unmasked */
  for (uint32_t word = 0; word < 4; ++word)
    check(passthru_device_bar_write(device, table & PCI_MSIX_TABLE_BIR,
                                    (table & PCI_MSIX_TABLE_OFFSET) + 4 * word, &entry[word], 4));
  check(passthru_device_config_write(device, PCI_COMMAND, 2, PCI_COMMAND_MASTER));
  check(passthru_device_config_write(device, msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE));
}

/* Waits for a message in the pipe. */
static void print_message(int pipe_end) {
  struct pollfd ready = {.fd = pipe_end, .events = POLLIN};
  if (poll(&ready, 1, 1000) < 0) err(1, "poll");
  struct passthru_message message;
  if (ready.revents == 0) errx(1, "no interrupt arrived within 1 s");
  if (read(pipe_end, &message, sizeof message) != sizeof message) err(1, "read");
  printf("interrupt: address 0x%" PRIx64 ", data 0x%x\n", message.address, message.data);
}

int main(int argc, char** argv) {
  const bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
  if (help || argc != 2 || argv[1][0] == '-') {
    fputs("usage: interrupts DEVICE\n", help ? stdout : stderr);
    return help ? 0 : 2;
  }
  int messages[2];
  if (pipe(messages) < 0) err(1, "pipe");

  const struct passthru_callbacks callbacks = {.size = sizeof callbacks, .signal_msi = signal_msi};
  passthru_domain* domain = NULL;
  check(passthru_domain_create(&callbacks, &messages[1], NULL, &domain));
  const struct passthru_device_options options = {.size = sizeof options, .device = argv[1]};
  passthru_device* device = NULL;
  check(passthru_device_open(domain, &options, &device));
  enable_vector(device);
  check(passthru_device_trigger(device, 0));
  print_message(messages[0]);
  check(passthru_device_close(device));
  check(passthru_domain_destroy(domain));
  return 0;
}
