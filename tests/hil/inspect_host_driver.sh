#!/usr/bin/env bash
# tests/hil/inspect_host_driver.sh - checks that `msix show` on a device with a host driver says why it cannot read the
# table, and shows what the kernel reports: to a user, to root if the kernel protects BARs in use, and to root if the
# kernel is locked down. Runs in a lab booted without iomem=relaxed, with an NVMe drive at 00:02.0.
# SPDX-License-Identifier: MIT
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"

readonly nvme=0000:00:02.0 passthru=/tmp/passthru results=$LAB_OUT/inspect_host_driver
readonly bar=/sys/bus/pci/devices/$nvme/resource0
cp build/release/tools/passthru "$passthru"
rm -rf "$results"
mkdir -p "$results"

# kept_away NAME WHY [COMMAND...]: checks the output of `msix show`, which COMMAND starts.
kept_away() {
  local name=$1 why=$2 got=0
  shift 2
  "$@" "$passthru" msix show "$nvme" --json >"$results/$name.json" 2>"$results/$name.err" || got=$?
  equal "$name: msix show succeeds" "$got" 0 "$results/$name.err"
  equal "$name: the output says why the table is missing" "$(jq -r '.missing | join("; ")' "$results/$name.json")" \
    "the device's own table: $nvme: $why"
  equal "$name: the host's interrupts are counted" \
    "$(jq '[.vectors[].host | select(. != null) | .count] | add > 0' "$results/$name.json")" true
  equal "$name: no vector in use is called ok" \
    "$(jq -r '[.vectors[] | select(.host != null) | .verdict] | unique | join(" ")' "$results/$name.json")" 'not seen'
}

kept_away user "cannot find the MSI-X table: only root can read more than the first 64 bytes of config space. Run the \
command with sudo" setpriv --reuid=65534 --regid=65534 --clear-groups
kept_away strict "cannot map $bar: the kernel denies access to a BAR that a driver uses (CONFIG_IO_STRICT_DEVMEM). Boot with \
iomem=relaxed, or try again while the device is bound to vfio-pci and free"
mountpoint -q /sys/kernel/security || mount -t securityfs securityfs /sys/kernel/security
echo integrity >/sys/kernel/security/lockdown # until the lab machine ends
kept_away lockdown "cannot map $bar: Operation not permitted. The kernel is locked down: try again while the device is bound \
to vfio-pci and free"
finish
