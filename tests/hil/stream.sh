#!/usr/bin/env bash
# tests/hil/stream.sh - checks that a TCP stream through a guest's NIC continues while (1) the guest moves every
# interrupt of the NIC between its CPUs, and (2) the NIC's physical MSI-X table is zeroed behind VFIO. The moves must
# cost no SET_IRQS call. Runs in the lab with a NIC at 00:02.0 on vfio-pci, and a NIC of the lab machine at 00:03.0 on
# the same cable.
# usage: stream.sh GUEST-IMAGES MOVES DAMAGES
# SPDX-License-Identifier: MIT
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"
# shellcheck source=scripts/lab.d/own_nic.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lab.d/own_nic.sh"

readonly guest=$1 moves=$2 damages=$3
readonly nic=0000:00:02.0 own_nic=0000:00:03.0
readonly results=$LAB_OUT/stream peer=10.9.0.1
readonly log=$results/guest.log tracing=/sys/kernel/tracing

# A probe in the kernel counts the calls of VFIO_DEVICE_SET_IRQS, independently of the library.
mountpoint -q "$tracing" || mount -t tracefs tracefs "$tracing"
echo 'p:set_irqs vfio_pci_set_irqs_ioctl' >"$tracing/kprobe_events"
echo 1 >"$tracing/events/kprobes/set_irqs/enable"
set_irqs_calls() { awk '$1 == "set_irqs" { print $2 }' "$tracing/kprobe_profile"; }

rm -rf "$results"
mkdir -p "$results"
# The file is small: during a fetch the guest's driver may poll, and its interrupt then does not move.
serve_on_own_nic "$own_nic" "$peer" 1M
boot "$log" "$results/vmm.log" \
  build/release/tools/passthru run --kernel "$guest/vmlinux" --initrd "$guest/initrd" \
  --append "$guest_append iomem=relaxed passthru.job=stream stream.peer=$peer stream.address=10.9.0.2 stream.moves=$moves \
stream.seconds=$((damages / 4 + 5)) stream.sha=$(sha256sum <"$served/data" | cut -d' ' -f1)" \
  --cpus 2 --memory 128M --summary "$results/summary.json" --force --device "$nic"

wait_until_says moving
before=$(set_irqs_calls)
wait_until_says moved
after=$(set_irqs_calls)
equal 'number of moved vectors: receive, transmit, other' "$(said moving)" 3 "$log"
equal 'each move took effect' "$(said moved)" "$moves" "$log"
equal 'SET_IRQS calls for the moves' "$((after - before))" 0 "$results/vmm.log"
equal 'the probe works: it counted SET_IRQS calls before' "$((before > 0))" 1

for ((round = 0; round < damages; ++round)); do
  sleep "0.$((RANDOM % 3 + 1))"
  if ((round % 2)); then first=0 count=5; else first=$((RANDOM % 3)) count=1; fi
  build/release/tests/passthru_damage "$nic" $first $count
done
wait_for_guest
equal 'the guest ended by itself' "$status" 0 "$log"
equal 'number of fetches with wrong data' "$(said wrong)" 0 "$log"
equal "the guest's log has no complaint" "$(said complaint)" ''
restores=$(jq '.devices[0].restores' "$results/summary.json")
if [ "$restores" -ge $((damages / 4)) ]; then
  ok "restores: $restores"
else
  failed "restores: $restores after $damages damages" "$results/vmm.log"
fi
printf '        fetched %s times\n' "$(said fetched)"
finish
