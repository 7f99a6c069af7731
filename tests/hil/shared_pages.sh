#!/usr/bin/env bash
# tests/hil/shared_pages.sh - checks that a guest fetches 1 MiB over TCP through a NIC on INTx whose BARs share a host
# page with the BARs of two other devices of the guest. Runs in the lab, with an rtl8139, an ohci and an sdhci packed
# into one page and bound to vfio-pci, and a NIC of the lab machine on the rtl8139's cable.
# usage: shared_pages.sh GUEST-IMAGES OWN-NIC RTL8139 OTHER...
# SPDX-License-Identifier: MIT
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"
# shellcheck source=scripts/lab.d/own_nic.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lab.d/own_nic.sh"

readonly guest=$1 own_nic=$2
shift 2
readonly devices=("$@")
readonly results=$LAB_OUT/shared_pages peer=10.9.0.1

mkdir -p "$results"
serve_on_own_nic "$own_nic" "$peer" 1M

# The lab has packed the BARs: the page addresses of the memory BARs are equal.
pages=$(for bdf in "${devices[@]}"; do
  # The first six lines are the BARs. Bit 9 of the flags (IORESOURCE_MEM) is set for memory.
  awk 'NR <= 6 && $3 ~ /[2367abef]..$/ { print substr($1, 1, 15) }' \
    "/sys/bus/pci/devices/$bdf/resource" | head -n 1
done | sort -u | wc -l)
equal 'the memory BARs share one host page' "$pages" 1

arguments=()
for bdf in "${devices[@]}"; do arguments+=(--device "$bdf"); done
boot "$results/guest.log" "$results/vmm.log" \
  build/release/tools/passthru run --kernel "$guest/vmlinux" --initrd "$guest/initrd" \
  --append "$guest_append passthru.job=fetch fetch.peer=$peer fetch.address=10.9.0.2" \
  --cpus 1 --memory 128M --summary "$results/summary.json" --force "${arguments[@]}"
wait_for_guest

equal 'the guest ended by itself' "$status" 0 "$results/guest.log"
equal 'the guest fetched 1 MiB' "$(said fetched)" "$(sha256sum <"$served/data" | cut -d' ' -f1)" "$results/guest.log"
interrupts=$(said interrupts)
if [[ $interrupts == *IO-APIC* ]]; then
  ok "its NIC is on INTx: $(tr -s ' ' <<<"$interrupts")"
else
  failed "its NIC is on INTx: $interrupts" "$results/guest.log"
fi
equal "none of the devices' memory BARs is mapped" "$(jq '[.devices[].bars[].spans[].mapped] | any' "$results/summary.json")" false
finish
