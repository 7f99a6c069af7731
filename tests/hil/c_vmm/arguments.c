// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "tests/hil/c_vmm/arguments.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "passthru/passthru.h"

static const char usage[] =
    "usage: passthru_c_vmm --kernel FILE --device BDF [OPTION]...\n"
    "  --initrd FILE, --append TEXT, --memory MIB (128), --cpus N (1)   of the guest\n"
    "  --backend auto|group|cdev   the kernel's interface to VFIO\n"
    "  --bars library|vmm          the side that places the BARs\n"
    "  --routes library|vmm        the side that owns KVM's table of interrupt routes\n"
    "  --own-loop                  the main thread audits the device\n"
    "  --inspect PATH              serve the inspect socket\n"
    "  --summary FILE              write the device's last state as JSON\n"
    "Exit status: 0 the guest ended, 1 it was stopped, 2 wrong usage, 3 the system refused.\n";

enum option_key {
  KERNEL = 1,
  INITRD,
  APPEND,
  MEMORY,
  CPUS,
  DEVICE,
  BACKEND,
  BARS,
  ROUTES,
  OWN_LOOP,
  INSPECT,
  SUMMARY,
};

static const struct option options[] = {
    {"kernel", required_argument, NULL, KERNEL},
    {"initrd", required_argument, NULL, INITRD},
    {"append", required_argument, NULL, APPEND},
    {"memory", required_argument, NULL, MEMORY},
    {"cpus", required_argument, NULL, CPUS},
    {"device", required_argument, NULL, DEVICE},
    {"backend", required_argument, NULL, BACKEND},
    {"bars", required_argument, NULL, BARS},
    {"routes", required_argument, NULL, ROUTES},
    {"own-loop", no_argument, NULL, OWN_LOOP},
    {"inspect", required_argument, NULL, INSPECT},
    {"summary", required_argument, NULL, SUMMARY},
    {NULL, 0, NULL, 0},
};

/// Finds `word` in a list that ends with NULL. Returns its index, or -1.
static int index_of(const char* word, const char* const* words) {
  for (int i = 0; words[i] != NULL; ++i) {
    if (strcmp(word, words[i]) == 0) return i;
  }
  return -1;
}

/// Reads a number from 1 to `limit`. Returns 0 if the text is no such number.
static uint32_t number_up_to(const char* text, unsigned long limit) {
  char* end = NULL;
  const unsigned long number = strtoul(text, &end, 10);
  return *text == '\0' || *end != '\0' || number > limit ? 0 : (uint32_t)number;
}

static bool set_chooser(const char* word, bool* by_vmm) {
  static const char* const choosers[] = {"library", "vmm", NULL};
  const int index = index_of(word, choosers);
  *by_vmm = index == 1;
  return index >= 0;
}

static bool set_backend(const char* word, uint32_t* backend) {
  // In the order of enum passthru_backend.
  static const char* const backends[] = {"auto", "group", "cdev", NULL};
  const int index = index_of(word, backends);
  *backend = (uint32_t)index;
  return index >= 0;
}

/// Sets one option. Returns false if its value is wrong.
static bool set_option(struct arguments* arguments, int key) {
  switch (key) {
    case KERNEL:
      arguments->kernel = optarg;
      return true;
    case INITRD:
      arguments->initrd = optarg;
      return true;
    case APPEND:
      arguments->append = optarg;
      return true;
    case MEMORY:
      arguments->memory = (uint64_t)number_up_to(optarg, 65536) << 20;
      return arguments->memory != 0;
    case CPUS:
      arguments->cpus = number_up_to(optarg, 254);
      return arguments->cpus != 0;
    case DEVICE:
      arguments->device = optarg;
      return true;
    case BACKEND:
      return set_backend(optarg, &arguments->backend);
    case BARS:
      return set_chooser(optarg, &arguments->bars_by_vmm);
    case ROUTES:
      return set_chooser(optarg, &arguments->routes_by_vmm);
    case OWN_LOOP:
      arguments->own_loop = true;
      return true;
    case INSPECT:
      arguments->inspect = optarg;
      return true;
    case SUMMARY:
      arguments->summary = optarg;
      return true;
    default:
      return false;
  }
}

bool parse_arguments(int argc, char** argv, struct arguments* arguments) {
  *arguments = (struct arguments){.append = "", .memory = (uint64_t)128 << 20, .cpus = 1};
  bool good = true;
  int key;
  while (good && (key = getopt_long(argc, argv, "", options, NULL)) != -1) {
    good = set_option(arguments, key);
  }
  good = good && optind == argc && arguments->kernel != NULL && arguments->device != NULL;
  if (!good) fputs(usage, stderr);
  return good;
}
