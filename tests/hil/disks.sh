#!/usr/bin/env bash
# tests/hil/disks.sh - checks that one guest reads and writes the disks behind many kinds of controllers at the same
# time, on MSI-X, MSI and shared INTx lines. Runs in the lab; the disk of the device in slot N is IMAGES/N.img.
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
  # The lab machine has not read these files before, so its cache does not hide the emulator's writes.
  equal "$name: the guest read the disk's data" "$read" "$(head -c 1M "$images/$slot.img" | sha_of)" "$work/guest.log"
  equal "$name: the guest's data is on the disk" "$wrote" "$(tail -c 1M "$images/$slot.img" | head -c 256K | sha_of)"
  [ "${interrupts:-0}" -gt 0 ] || failed "$name: the device interrupted"
  verified "$bdf" "$driver" "$kind" '1 MiB read, 256 KiB written'
done
finish_devices
