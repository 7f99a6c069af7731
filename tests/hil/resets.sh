#!/usr/bin/env bash
# tests/hil/resets.sh - checks that a guest may reset its drive repeatedly, by each method that it has. Each time the
# drive must come back and complete commands by interrupts. The VMM's descriptors and memory and the host's interrupts
# must not grow. Runs in the lab with an NVMe drive at 00:02.0, on vfio-pci. usage: resets.sh GUEST-IMAGES ROUNDS
# SPDX-License-Identifier: MIT
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"

readonly guest=$1 rounds=$2 nvme=0000:00:02.0
readonly results=$LAB_OUT/resets
readonly log=$results/guest.log
readonly SETTLED=6 # rounds until the VMM has allocated everything
readonly BEYOND=8  # rounds after the last measurement, so that the VMM still runs then

wait_for_round() {
  wait_until_says "round $1 "
  if ! kill -0 "$vmm" 2>/dev/null; then
    failed 'the drive came back each time' "$log"
    finish
  fi
}
# The VMM's descriptors, the host's interrupts, and the VMM's memory in KiB without the guest's RAM.
descriptors() { find "/proc/$(pgrep -x passthru)/fd" -mindepth 1 | wc -l; }
host_interrupts() { grep -c vfio-msi /proc/interrupts || [ $? -eq 1 ]; }
memory() { awk '$1 == "RssAnon:" { print $2 }' "/proc/$(pgrep -x passthru)/status"; }

rm -rf "$results"
mkdir -p "$results"
boot "$log" "$results/vmm.log" \
  build/release/tools/passthru run --kernel "$guest/vmlinux" \
  --initrd "$guest/initrd" --append "$guest_append passthru.job=mixed-resets mixed-resets.rounds=$((rounds + BEYOND))" \
  --cpus 2 --memory 128M --summary "$results/summary.json" --force --device "$nvme"
wait_for_round "$SETTLED"
before_fds=$(descriptors) before_kib=$(memory)
wait_for_round "$rounds"
after_fds=$(descriptors) after_kib=$(memory)
wait_for_guest

equal 'the guest ended by itself' "$status" 0 "$log"
equal 'the drive came back each time' "$(said rounds)" "$((rounds + BEYOND))" "$log"
equal 'every read returned the same data' "$(said differed)" 0 "$log"
equal 'rounds without an interrupt' "$(said silent)" 0 "$log"
equal "the guest's log has no complaint" "$(said complaint)" ''
equal 'interrupts of vfio-pci that remain on the host' "$(host_interrupts)" 0
# During a reset the drive's three vectors may be bound or not.
if [ "$after_fds" -le $((before_fds + 3)) ]; then
  ok "descriptors: $before_fds, then $after_fds"
else
  failed "descriptors: $before_fds, then $after_fds"
fi
# Meanwhile the kernel may back a thread's stack with a huge page of 2 MiB.
if [ "$after_kib" -le $((before_kib + 2048 + 1024)) ]; then
  ok "memory: $before_kib KiB, then $after_kib KiB"
else
  failed "memory: $before_kib KiB, then $after_kib KiB"
fi
printf '        resets: %s\n' "$(jq -c '.devices[0].resets' "$results/summary.json")"
grep -o '^round [0-9]* [a-z]*' "$log" | awk '{ print $3 }' | sort | uniq -c | sed 's/^ */        /'
finish
