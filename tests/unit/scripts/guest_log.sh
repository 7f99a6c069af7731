#!/usr/bin/env bash
# tests/unit/scripts/guest_log.sh - tests of tests/hil/guest_log.sh: it finds each message of Linux 6.1 and 6.12 that
# reports a fault of the machine, and accepts the messages of a sound machine.
# usage: guest_log.sh
# SPDX-License-Identifier: MIT
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

# shellcheck source=tests/unit/tools/equal.sh
source tests/unit/tools/equal.sh
# shellcheck source=tests/hil/guest_log.sh
source tests/hil/guest_log.sh
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# A line may match twice.
found() { printf '%s\n' "$1" >"$log" && complaints_in "$log" | sort -u; }

faults=(
  '<6>[    0.3] PCI: MMCONFIG at [mem 0xfeb00000-0xfebfffff] not reserved in ACPI motherboard resources'
  '<6>[    0.3] [Firmware Info]: PCI: ECAM [mem 0xfeb00000-0xfebfffff] not reserved in ACPI motherboard resources'
  '<6>[    0.3] PCI: not using ECAM ([mem 0xfeb00000-0xfebfffff] not reserved)'
  "<6>[    0.3] acpi PNP0A08:00: fail to add MMCONFIG information, can't access extended configuration space"
  '<6>[    0.3] acpi PNP0A08:00: ignoring host bridge window [mem 0xfeb00000-0xfebfffff] (conflicts with ECAM)'
  '<3>[    0.2] ACPI BIOS Error (bug): Failure creating named object [\_SB.PCI0], AE_ALREADY_EXISTS (20220331/dswload-329)'
  '<3>[    0.2] ACPI Error: AE_NOT_FOUND, While resolving a named reference package element - WIRE (20220331/dspkginit-438)'
  '<4>[    0.2] ACPI Warning: FADT (revision 6) does not match its length (20220331/tbfadt-322)'
  '<3>[    0.0] [Firmware Bug]: CPU0: APIC id mismatch. Firmware: 0 APIC: 1'
  "<4>[    0.4] pci 0000:00:01.0: can't claim BAR 0 [mem 0xc0000000-0xc0003fff]: no compatible bridge window"
  "<6>[    0.4] pci 0000:00:01.0: BAR 0 [mem size 0x00004000 64bit]: can't assign; no space"
  '<4>[    1.0] WARNING: CPU: 0 PID: 1 at arch/x86/kernel/apic/apic.c:1 setup_local_APIC+0x1/0x2'
  '<4>[    1.0] nvme nvme0: I/O 3 QID 1 timeout, completion polled'
)
for line in "${faults[@]}"; do equal "a fault" "$(found "$line")" "$line"; done

sound=(
  '<6>[    0.3] PCI: MMCONFIG at [mem 0xfeb00000-0xfebfffff] reserved in E820'
  '<6>[    0.3] PCI: ECAM [mem 0xfeb00000-0xfebfffff] reserved as E820 entry'
  "<6>[    0.3] ACPI FADT declares the system doesn't support PCIe ASPM, so disable it"
  '<6>[    0.3] PCI: Using host bridge windows from ACPI; if necessary, use "pci=nocrs" and report a bug'
  '<4>[    0.5] amd_pstate: the _CPC object is not present in SBIOS or ACPI disabled'
  '<6>[    1.0] nvme nvme0: 1/0/0 default/read/poll queues'
)
for line in "${sound[@]}"; do equal "a message of a sound machine" "$(found "$line")" ''; done

printf 'before\r\nlog begin\r\n<6>[    0.0] Linux\r\nlog end\r\nafter\r\n' >"$log"
equal "the log on a guest's console" "$(log_of "$log" | xargs)" 'log begin <6>[ 0.0] Linux log end'
[ "$failures" = 0 ]
