# shellcheck shell=bash
# tests/hil/guest_log.sh - the kernel's log that a guest prints between "log begin" and "log end", and the lines of it
# that report a fault of the machine. The lab's shell tests source this file after checks.sh.
# SPDX-License-Identifier: MIT

# Messages of a guest's kernel when a device's BARs, MSI-X or config space, or the description of the machine, are not
# as the kernel expects. The kernel logs some of them at the level of information, so the test searches every line.
readonly complaints=(
  'BAR [0-9]+.*(no space|failed|can.t|invalid|error|bogus)' # PCI core: a BAR cannot be placed
  'can.t (claim|reserve|assign)'                            # PCI core: two BARs overlap, or are outside the windows
  '(invalid|broken|unknown) (BAR|header|capability)'        # PCI core: config space is inconsistent
  'address space collision'                                 # PCI core: a BAR on top of RAM or of another device
  'config space|Refused to change power state'              # a write was lost, or reads became all ones
  'device not ready|Unable to change power state'           # the same, after a reset
  'MSI-?X?.*(fail|error|unable|not |disabl)'                # drivers that fall back to fewer vectors, MSI or INTx
  'Failed to initialize.*interrupt'                         # e1000e, when MSI-X is not available
  'nobody cared|spurious|No irq handler'                    # an interrupt without a handler: a wrong message or line
  'I/O .*timeout|completion polled|timeout, aborting'       # nvme: an interrupt was lost
  'Detected Hardware Unit Hang|NETDEV WATCHDOG'             # e1000e: the same
  'WARNING: '                                               # assertions of the kernel
  '\[Firmware (Bug|Warn|Info)\]'                            # the tables or the CPUID contradict the machine
  'ACPI (BIOS )?(Error|Warning)|ACPI.*(invalid|ignoring)'   # ACPI core: a table or its code is wrong
  '(MMCONFIG|ECAM|MCFG).*(not reserved|not using)'          # PCI core: ECAM's addresses are free for BARs
  'fail to add (MMCONFIG|ECAM)'                             # PCI core: no ECAM for the host bridge
)

# log_of CONSOLE: prints the kernel's log, with the level of each line.
log_of() { sed -n '/^log begin/,/^log end/p' "$1" | tr -d '\r'; }

# complaints_in LOG: prints the lines that report a fault, and all warnings and errors of buses, drivers and ACPI. A
# guest has no control of the CPU's frequency, and Linux 6.12 warns about that.
complaints_in() {
  grep -iE "$(IFS='|' && echo "${complaints[*]}")" "$1" || [ $? -eq 1 ]
  grep -E '^<[0-4]>' "$1" | grep -v 'amd_pstate: the _CPC object' | grep -iE '\bpci|nvme|e1000e|msi|acpi|e820' ||
    [ $? -eq 1 ]
}
