/* SPDX-License-Identifier: MIT
 *
 * pci_registers.c - Registers of a PCI device, read from user space without a guest.
 *
 *   $ cc pci_registers.c $(pkg-config --cflags --libs passthru) -o pci_registers
 *   $ ./pci_registers 0000:01:00.0 0            (a device on vfio-pci, and one of its BARs)
 *   0x00000000: 00140240 00140240 80080783 00000000
 *   ...
 *
 * It prints 64 bytes from the beginning of the BAR, or LENGTH bytes from OFFSET. Each register is
 * read with one access of 4 bytes. The device is reset before and after. Some registers change when
 * they are read: look at the device's manual first.
 */
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <passthru/passthru.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: pci_registers DEVICE BAR [OFFSET [LENGTH]]\n"
    "  BAR is 0 to 5. OFFSET and LENGTH are multiples of 4; 0x begins a hexadecimal number.\n";

static void check(int status) {
  if (status < 0) errx(1, "%s", passthru_last_error());
}

/* Reads a number of the command line: a multiple of `step`, up to `max`. Otherwise ends the program
 * with status 2. */
static uint64_t number(const char* text, uint64_t step, uint64_t max) {
  char* end = NULL;
  errno = 0;
  const uint64_t value = strtoull(text, &end, 0);
  if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && value <= max &&
      value % step == 0)
    return value;
  fputs(usage, stderr);
  exit(2);
}

/* Opens a device without a guest: nothing is mapped, and no interrupt is delivered. */
static passthru_device* open_device(passthru_domain* domain, const char* name) {
  const struct passthru_device_options options = {.size = sizeof options, .device = name};
  passthru_device* device = NULL;
  check(passthru_device_open(domain, &options, &device));
  return device;
}

static void print_registers(passthru_device* device, uint32_t bar, uint64_t begin, uint64_t end) {
  for (uint64_t offset = begin; offset < end; offset += 4) {
    uint32_t value = 0;
    check(passthru_device_bar_read(device, bar, offset, &value, sizeof value));
    const uint64_t column = (offset - begin) / 4 % 4;
    if (column == 0) printf("0x%08" PRIx64 ":", offset);
    printf(" %08x%s", value, column == 3 || offset + 4 >= end ? "\n" : "");
  }
}

int main(int argc, char** argv) {
  const bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
  if (help || argc < 3 || argc > 5) {
    fputs(usage, help ? stdout : stderr);
    return help ? 0 : 2;
  }
  const uint32_t bar = (uint32_t)number(argv[2], 1, 5);
  const uint64_t offset = argc > 3 ? number(argv[3], 4, UINT64_MAX) : 0;
  const uint64_t length = argc > 4 ? number(argv[4], 4, UINT64_MAX) : 64;

  passthru_domain* domain = NULL;
  check(passthru_domain_create(NULL, NULL, NULL, &domain));
  passthru_device* device = open_device(domain, argv[1]);
  struct passthru_bar_info info = {.size = sizeof info};
  check(passthru_device_bar_info(device, bar, &info));
  if (info.bar_size == 0) errx(1, "%s: the device has no BAR %u", argv[1], bar);
  if (offset >= info.bar_size)
    errx(1, "%s: BAR %u has only %" PRIu64 " bytes", argv[1], bar, info.bar_size);
  const uint64_t rest = info.bar_size - offset;
  print_registers(device, bar, offset, offset + (length < rest ? length : rest));
  check(passthru_device_close(device));
  check(passthru_domain_destroy(domain));
  return 0;
}
