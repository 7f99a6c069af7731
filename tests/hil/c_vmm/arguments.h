// SPDX-License-Identifier: MIT
// The command line of c_vmm.
#ifndef PASSTHRU_TESTS_ARGUMENTS_H
#define PASSTHRU_TESTS_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>

struct arguments {
  const char* kernel;
  const char* initrd;  ///< NULL: no initrd
  const char* append;
  uint64_t memory;  ///< bytes
  uint32_t cpus;
  const char* device;   ///< on the host
  uint32_t backend;     ///< enum passthru_backend
  bool bars_by_vmm;     ///< otherwise the library places the BARs
  bool routes_by_vmm;   ///< otherwise KVM's table belongs to the library
  bool own_loop;        ///< the main thread audits the device; otherwise a thread of the library
  const char* inspect;  ///< path of the inspect socket; NULL: no socket
  const char* summary;  ///< file for the device's last state; NULL: no file
};

/// Reads the command line. Returns false after a message if it is wrong.
bool parse_arguments(int argc, char** argv, struct arguments* arguments);

#endif
