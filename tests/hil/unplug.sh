#!/usr/bin/env bash
# tests/hil/unplug.sh - checks that a guest continues to read a drive while its other devices fail: the host unplugs a
# drive, another drive is pulled without notice, and a third device reports an error (AER). Runs in the lab with four
# devices on vfio-pci: a drive on bus 0, and three devices behind their own ports. The emulator calls these nvme1, nvme2
# (drives) and rng0 (a device with AER).
# usage: unplug.sh DRIVE-IMAGE GUEST-IMAGES STAYS UNPLUGGED PULLED FAULTY
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2317 # called by wait_until
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"

readonly image=$1 guest=$2
shift 2
readonly devices=("$@")
readonly unplugged=$2 pulled=$3 faulty=$4
readonly results=$LAB_OUT/unplug
readonly log=$results/guest.log said_by_vmm=$results/vmm.log

# wait_until WHAT COMMAND...: checks that COMMAND succeeds within four times the boot of the lab machine.
wait_until() { succeeds_within "$(patience 4)" "$1" "$log" "${@:2}"; }
told() { grep -q "^passthru: $1: $2" "$said_by_vmm"; }

port_of() { basename "$(dirname "$(realpath "/sys/bus/pci/devices/$1")")"; }

rm -rf "$results"
mkdir -p "$results"
arguments=()
for bdf in "${devices[@]}"; do arguments+=(--device "$bdf,silence=1"); done
boot "$log" "$said_by_vmm" \
  build/release/tools/passthru run --kernel "$guest/vmlinux" \
  --initrd "$guest/initrd" --append "$guest_append nvme_core.io_timeout=3 passthru.job=keep-reading" \
  --cpus 1 --memory 128M --summary "$results/summary.json" --force "${arguments[@]}"
wait_until 'the guest reads three drives' grep -q '^reading' "$log"

# The emulator reports errors only if the device's SERR# Enable is set. On real hosts the firmware sets it.
setpci -s "$faulty" COMMAND=0100:0100
lab-monitor pcie_aer_inject_error rng0 POISON_TLP
wait_until "$faulty: the VMM reported its error" told "$faulty" 'the device reported an error'

lab-monitor device_del nvme1
wait_until "$unplugged: the VMM reported the host's request" told "$unplugged" 'the host asks for the device back'
wait_until "$unplugged: the host has removed the device" absent "$unplugged"
absent "$unplugged" || vfio_users

# Switch off the slot's power and its indicator: the emulator then removes the device at once.
port=$(port_of "$pulled")
setpci -s "$port" CAP_EXP+18.w=0700:0700
wait_until "$pulled: the VMM reported that the device is gone" told "$pulled" 'the device is gone'
# When the VMM closes the device, the kernel waits up to a minute for it, or until the slot has a device again.
setpci -s "$port" CAP_EXP+18.w=0000:0400
lab-monitor device_add virtio-rng-pci,bus=rp2

wait_for_guest
equal 'the guest ended by itself' "$status" 0 "$log"
equal 'the guest read the remaining drive' "$(said stays)" "$(sha256sum <"$image" | cut -d' ' -f1)" "$log"
equal 'number of failed reads of that drive' "$(said failed-reads)" 0 "$log"
equal "the guest's log has no error" "$(said complaint)" ''
printf '        read %s times meanwhile\n' "$(said reads)"
detached() { jq -r --arg device "$1" '.devices[] | select(.device == $device) | .detached' "$results/summary.json"; }
equal "$unplugged: the summary says why it was detached" "$(detached "$unplugged")" 'the host asked for it back'
equal "$pulled: the summary says why it was detached" "$(detached "$pulled")" 'it has not answered for 1000 ms'
equal "${devices[0]}: it stayed" "$(detached "${devices[0]}")" ''
equal "$faulty: it stayed" "$(detached "$faulty")" ''
finish
