#!/usr/bin/env bash
# tests/hil/disks.sh - that one guest reads and writes the disks behind many kinds of controllers at once, on MSI-X, MSI
# and shared INTx lines. Runs in the lab; the disk of the device in slot N is IMAGES/N.img.
# usage: disks.sh IMAGES GUEST-IMAGES MODEL@BDF[,OPTION]...
# SPDX-License-Identifier: MIT
set -euo pipefail

readonly images=$1
shift
# shellcheck source=tests/hil/devices.sh
source "${BASH_SOURCE[0]%/*}/devices.sh"

run_guest disks "disks.count=${#devices[@]}"
for bdf in "${devices[@]}"; do
  slot=${bdf:8:2}
  read -r driver kind interrupts read wrote <<<"$(said_of disk "$bdf")"
  name="${model[$bdf]}${options[$bdf]:+ (${options[$bdf]})} by ${driver:-no driver} on ${kind:-no interrupts}"
  # Nothing has read these files here before the guest's end: what is there now is what the emulator wrote.
  equal "$name: what it read is on the disk" "$read" "$(head -c 1M "$images/$slot.img" | sha_of)" "$work/guest.log"
  equal "$name: what it wrote is on the disk" "$wrote" "$(tail -c 1M "$images/$slot.img" | head -c 256K | sha_of)"
  [ "${interrupts:-0}" -gt 0 ] || failed "$name: it had no interrupt"
  verified "$bdf" "$driver" "$kind" '1 MiB read, 256 KiB written'
done
finish_devices
