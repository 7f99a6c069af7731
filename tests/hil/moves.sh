#!/usr/bin/env bash
# tests/hil/moves.sh - checks that a guest may move its devices' BARs: at boot, by its kernel's own policy, and many
# times at random during I/O. Runs in the lab with an NVMe drive at 00:02.0 and a NIC at 00:03.0, both on vfio-pci, and
# a NIC of the lab machine at 00:04.0 on the same cable. PASSTHRU_SEED repeats a run.
# usage: moves.sh DRIVE-IMAGE GUEST-IMAGES MOVES
# SPDX-License-Identifier: MIT
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"
# shellcheck source=scripts/lab.d/own_nic.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lab.d/own_nic.sh"

readonly image=$1 guest=$2 moves=$3
readonly nvme=0000:00:02.0 nic=0000:00:03.0 own_nic=0000:00:04.0
readonly results=$LAB_OUT/moves peer=10.9.0.1
readonly seed=${PASSTHRU_SEED:-$RANDOM}

rm -rf "$results"
mkdir -p "$results"
serve_on_own_nic "$own_nic" "$peer" 1M
on_drive=$(sha256sum <"$image" | cut -d' ' -f1)
on_net=$(sha256sum <"$served/data" | cut -d' ' -f1)
echo "seed $seed: PASSTHRU_SEED=$seed repeats it"

# run NAME CPUS WORD...: runs a guest with these words on its kernel's command line.
run() {
  local name=$1 cpus=$2 append
  shift 2
  append="$guest_append iomem=relaxed fetch.peer=$peer fetch.address=10.9.0.2 $*"
  boot "$results/$name.log" "$results/$name.vmm" \
    build/release/tools/passthru run --kernel "$guest/vmlinux" --initrd "$guest/initrd" \
    --append "$append" --cpus "$cpus" --memory 128M --summary "$results/$name.json" --force --device "$nvme" --device "$nic"
  wait_for_guest
  cat "$results/$name.vmm" >>"$results/$name.log"
  equal "$name: the guest ended by itself" "$status" 0 "$results/$name.log"
}

used_both() {
  equal "$1: the guest read the content of the drive" "$(said 'nvme sha256')" "$on_drive" "$results/$1.log"
  equal "$1: the guest fetched the served file" "$(said fetched)" "$on_net" "$results/$1.log"
}

# The NIC is an 82574L. The kernel aligns each of its memory BARs to 64 KiB.
run aligned 1 passthru.job=use-both 'pci=resource_alignment=16@pci:8086:10d3'
used_both aligned
# Its smallest memory BAR has 16 KiB; the kernel then gives it 64 KiB.
equal 'aligned: each memory BAR of the NIC begins and ends at a multiple of 64 KiB' \
  "$(said 'placed 0000:00:02.0' | awk '$2 ~ /[^0].*0000$/ && $3 ~ /ffff$/ { printf "%s ", $1 }')" '0 1 3 ' \
  "$results/aligned.log"

run nocrs 1 passthru.job=use-both pci=nocrs,realloc
used_both nocrs

run moved 2 passthru.job=move-bars "moves=$moves" "seed=$seed"
for what in read read-after; do
  equal "moved: $what: the content of the drive, each time" "$(said $what)" "$on_drive" "$results/moved.log"
done
for what in fetched fetched-after; do
  equal "moved: $what: the served file, each time" "$(said $what)" "$on_net" "$results/moved.log"
done
said bar-mover: | sed 's/^/        /'
equal 'moved: both movers finished' "$(said bar-mover: | grep -c "^$moves moves")" 2 "$results/moved.log"
printf '        meanwhile the guest read the drive %s times and fetched the file %s times\n' \
  "$(said read-rounds)" "$(said fetched-rounds)"
equal "moved: the guest's log has no error" "$(said complaint)" ''
finish
