#!/usr/bin/env bash
# tests/hil/unplug.sh - that a guest goes on when one of its drives is unplugged by the host, another is pulled without
# a word, and a third device reports an error (AER), all while it reads: the drive that stays is read as before. Runs in
# the lab with four devices on vfio-pci: a drive on bus 0; behind a port each, two drives that the emulator calls nvme1
# and nvme2, and a device with AER that it calls rng0.
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

# wait_until WHAT COMMAND...: while the guest runs, and as long as a boot of the lab machine takes four times.
wait_until() {
  local what=$1 until=$((SECONDS + $(patience 4)))
  shift
  until "$@"; do
    if [ "$SECONDS" -gt "$until" ] || ! kill -0 "$vmm" 2>/dev/null; then
      failed "$what" "$log"
      return 0
    fi
    sleep 0.1
  done
  ok "$what"
}
absent() { [ ! -e "/sys/bus/pci/devices/$1" ]; }
told() { grep -q "^passthru: $1: $2" "$said_by_vmm"; }

port_of() { basename "$(dirname "$(realpath "/sys/bus/pci/devices/$1")")"; }

rm -rf "$results"
mkdir -p "$results"
arguments=()
for bdf in "${devices[@]}"; do arguments+=(--device "$bdf"); done
boot "$log" "$said_by_vmm" \
  build/release/tools/passthru run --kernel "$guest/vmlinux" \
  --initrd "$guest/initrd" --append "$guest_append nvme_core.io_timeout=3 passthru.job=keep-reading" \
  --cpus 1 --memory 128M --summary "$results/summary.json" "${arguments[@]}"
wait_until 'the guest reads three drives' grep -q '^reading' "$log"

# The emulator only reports errors of a device whose SERR# Enable is set; a host's firmware does that.
setpci -s "$faulty" COMMAND=0100:0100
lab-monitor pcie_aer_inject_error rng0 POISON_TLP
wait_until "$faulty: its error is told" told "$faulty" 'the device reported an error'

lab-monitor device_del nvme1
wait_until "$unplugged: the host had it back" told "$unplugged" 'the host asks for the device back'
wait_until "$unplugged: the host has removed it" absent "$unplugged"

# Power off at the slot, with the indicator off as well: the emulator then takes the device away at once.
port=$(port_of "$pulled")
setpci -s "$port" CAP_EXP+18.w=0700:0700
wait_until "$pulled: that it is gone is noticed" told "$pulled" 'the device is gone'
# The kernel waits up to a minute for it when it is closed, or until there is something in the slot.
setpci -s "$port" CAP_EXP+18.w=0000:0400
lab-monitor device_add virtio-rng-pci,bus=rp2

wait_for_guest
equal 'the guest ended by itself' "$status" 0 "$log"
equal 'it read what is on the drive that stays' "$(said stays)" "$(sha256sum <"$image" | cut -d' ' -f1)" "$log"
equal 'no read of that drive was in vain' "$(said in-vain)" 0 "$log"
equal 'nothing else of the guest broke' "$(said complaint)" ''
printf '        read %s times meanwhile\n' "$(said reads)"
detached() { jq -r --arg device "$1" '.devices[] | select(.device == $device) | .detached' "$results/summary.json"; }
equal "$unplugged: the summary says why it went" "$(detached "$unplugged")" 'the host asked for it back'
equal "$pulled: the summary says why it went" "$(detached "$pulled")" 'it has not answered for 1000 ms'
equal "${devices[0]}: it stayed" "$(detached "${devices[0]}")" ''
equal "$faulty: it stayed" "$(detached "$faulty")" ''
finish
