#!/usr/bin/env bash
# tests/hil/inspect_foreign.sh - checks that inspecting a device in use disturbs no user: neither the lab machine's own
# nvme driver, nor a guest of QEMU. Both read the drive meanwhile. Runs in the lab with an NVMe drive at 00:02.0.
# usage: inspect_foreign.sh DRIVE-IMAGE GUEST-IMAGES
# SPDX-License-Identifier: MIT
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"

readonly image=$1 guest=$2 nvme=0000:00:02.0
# A copy in memory: starting it from the share of the repository takes longer than an inspection.
readonly passthru=/tmp/passthru results=$LAB_OUT/inspect_foreign
readonly SHOWS=12
cp build/release/tools/passthru "$passthru"

rm -rf "$results"
mkdir -p "$results"
outside=$(sha256sum <"$image" | cut -d' ' -f1)

# show_meanwhile NAME: inspects the device repeatedly while it is in use, and keeps the last output.
show_meanwhile() {
  local round failed=0
  for ((round = 0; round < SHOWS; ++round)); do
    "$passthru" msix show "$nvme" --json >"$results/$1.json" 2>"$results/$1.err" || failed=$((failed + 1))
    "$passthru" msix audit "$nvme" >"$results/$1.audit" 2>&1 || failed=$((failed + 1))
  done
  equal "$1: exit status 0 of $SHOWS shows and audits each" "$failed" 0 "$results/$1.audit"
  equal "$1: every vector in use is ok" \
    "$(jq -r '[.vectors[] | select(.host != null) | .verdict] | unique | join(" ")' "$results/$1.json")" ok
  equal "$1: the host's interrupts are counted" \
    "$(jq '[.vectors[].host | select(. != null) | .count] | add > 0' "$results/$1.json")" true
  equal "$1: the device's own entries are visible" \
    "$(jq '[.vectors[] | select(.host != null) | .message.address != 0] | all' "$results/$1.json")" true
}

# ---- the lab machine's driver --------------------------------------------------------------------------------------

(
  while [ ! -e "$results/stop" ]; do
    dd if=/dev/nvme0n1 bs=256k iflag=direct 2>/dev/null | sha256sum | cut -d' ' -f1
  done
) >"$results/read" &
reader=$!
began=$SECONDS
show_meanwhile driver
took=$((SECONDS - began))
touch "$results/stop"
wait "$reader"
equal 'driver: every read returned the same data' "$(sort -u "$results/read")" "$outside"
log=$(dmesg)
equal "driver: the kernel's log has no error" \
  "$(grep -E 'nvme.*(timeout|polled|abort|reset)|WARNING: CPU|DMAR:.*fault' <<<"$log" || [ $? -eq 1 ])" ''

# ---- QEMU ------------------------------------------------------------------------------------------------------------

"$passthru" bind "$nvme" >"$results/bind"
# A QEMU that has opened the device and has not started its guest. Memory decode is off, so the table cannot be read.
qemu-system-x86_64 -nodefaults -no-user-config -display none -machine pc -accel tcg -m 16M -S \
  -device "vfio-pci,host=$nvme" &
holder=$!
for ((round = 0; round < 300; ++round)); do
  [ "$(find "/proc/$holder/fd" -lname 'anon_inode:\[vfio-device\]' 2>/dev/null | wc -l)" = 0 ] || break
  sleep 0.1
done
got=0
"$passthru" msix show "$nvme" --json >"$results/held.json" 2>"$results/held.err" || got=$?
equal 'held: msix show succeeds' "$got" 0 "$results/held.err"
equal 'held: the output says why the table is missing' \
  "$(jq -r '.missing[0] | contains("Another process uses the device and has not enabled it")' "$results/held.json")" true "$results/held.json"
kill -TERM "$holder"
wait "$holder" || true # ended by the signal
# The guest reads for longer than the inspections take. They are slower beside a guest.
boot "$results/qemu.log" "$results/qemu.err" qemu-system-x86_64 \
  -nodefaults -no-user-config -display none -no-reboot -machine pc,usb=off,vmport=off,smbus=off,hpet=off,i8042=off \
  -accel kvm -cpu host -smp 1 -m 256M -kernel "$guest/vmlinux" -initrd "$guest/initrd" \
  -append "$guest_append passthru.job=read-latency read-latency.seconds=$((took > 13 ? 3 * took : 40))" \
  -chardev stdio,id=console,signal=off -serial chardev:console -device "vfio-pci,host=$nvme"
wait_until_says reading
show_meanwhile qemu
equal "qemu: the output says what is missing" \
  "$(jq -r '.missing | length' "$results/qemu.json")" 1 "$results/qemu.json"
wait_for_guest
equal "qemu: the guest's log has no timeout" "$(said complaint)" ''
equal 'qemu: its interrupts arrived' "$([ "$(said interrupts)" -gt 10 ] && echo yes)" yes "$results/qemu.log"
finish
