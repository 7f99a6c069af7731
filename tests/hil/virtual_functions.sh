#!/usr/bin/env bash
# tests/hil/virtual_functions.sh - checks that two guests each have a virtual function (SR-IOV) of one drive at the same
# time, while the drive itself stays with the lab machine's driver. All three read the drive, and both guests write to
# it. Before that, checks the command's output about the functions, and the kernel contract. Runs in the lab with an
# NVMe drive
# with SR-IOV at 0000:01:00.0, with the nvme driver. usage: virtual_functions.sh DRIVE-IMAGE GUEST-IMAGES
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2317 # called from a trap
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"

readonly image=$1 guest=$2
readonly physical=0000:01:00.0
readonly virtual=(0000:01:00.1 0000:01:00.2)
readonly passthru=build/release/tools/passthru tests=build/release/tests
readonly results=$LAB_OUT/virtual_functions
# Blocks of 256 KiB: the number of blocks that all read, the block that tells the guests to stop, the block that each
# guest writes. The lab machine caches its view of the image, so the test reads the written blocks only after the
# guests' end.
readonly shared=3 mark=4 writes=(6 7)
# Queues and interrupts of each function. Several besides those for administration, so that the driver uses several. The
# contract needs five vectors.
readonly queues=4 interrupts=5

rm -rf "$results"
mkdir -p "$results"

sha() { sha256sum | cut -d' ' -f1; }
attribute() { echo "/sys/bus/pci/devices/$physical/$1"; }
# Print COUNT blocks from SKIP on. on_drive reads them through the physical function, past all caches.
on_drive() { dd if=/dev/nvme0n1 bs=256k skip="$1" count="$2" iflag=direct 2>/dev/null; }
on_image() { dd if="$image" bs=256k skip="$1" count="$2" 2>/dev/null; }
# mark_with WORD: writes WORD to the block `mark`.
mark_with() {
  printf '%-4096s' "$1" | dd of=/dev/nvme0n1 bs=4k seek=$((mark * 64)) oflag=direct conv=notrunc,fsync 2>/dev/null
}

# ---- the functions -------------------------------------------------------------------------------------------------

until [ -b /dev/nvme0n1 ]; do sleep 0.1; done
secondaries() { "$tests/guest/nvme-secondaries" /dev/nvme0 "$@"; }

# The primary controller has all queues and interrupts until it gives them up. A reset completes this.
secondaries give-up
echo 1 >"$(attribute reset)"
echo 0 >"$(attribute sriov_drivers_autoprobe)" # otherwise the nvme driver binds the virtual functions
echo 2 >"$(attribute sriov_numvfs)"
for number in 1 2; do secondaries online "$number" "$queues" "$interrupts"; done
secondaries list

# ---- the command's output about the functions ----------------------------------------------------------------------

of_list() { "$passthru" list --json | jq -rc ".devices[] | select(.device == \"$1\") | $2"; }
equal 'list: the physical function of a virtual function' "$(of_list "${virtual[1]}" .physical_function)" "$physical"
readonly ids='[.vendor, .device_id]'
equal 'list: its ids' "$(of_list "${virtual[1]}" "$ids")" "$(of_list "$physical" "$ids")"
equal 'list: its vectors' "$(of_list "${virtual[1]}" .msix.vectors)" "$interrupts"
equal 'list: the number of virtual functions' "$(of_list "$physical" .virtual_functions)" '{"enabled":2,"possible":2}'
"$passthru" topology --json >"$results/topology.json"
equal 'topology: all three are behind the same bridge' \
  "$(jq '[.devices[] | select(.device | startswith("0000:01:00.")) | .parent] | "\(length) \(unique | length)"' \
    "$results/topology.json")" '"3 1"' "$results/topology.json"
"$passthru" topology >"$results/topology"
equal 'topology: each virtual function names its physical function' \
  "$(grep -c "virtual function of $physical" "$results/topology")" 2 "$results/topology"
status=0
"$passthru" bind --force "$physical" >"$results/bind" 2>&1 || status=$?
equal 'bind: the physical function stays with its driver' \
  "$status $(basename "$(readlink "$(attribute driver)")")" '3 nvme' "$results/bind"

"$passthru" bind "${virtual[@]}"
status=0
"$passthru" doctor "${virtual[0]}" >"$results/doctor" || status=$?
equal 'doctor: the function can be assigned' "$status" 0 "$results/doctor"
equal 'doctor: the output names the physical function' \
  "$(grep -c "^ok    device .*, a virtual function of $physical (nvme)" "$results/doctor")" 1 "$results/doctor"
"$passthru" msix show "${virtual[0]}" --json >"$results/idle.json"
equal 'msix show: through VFIO' "$(jq -r '"\(.source) \(.msix.vectors)"' "$results/idle.json")" "vfio $interrupts"

status=0
"${BASH_SOURCE[0]%/*}/all_must_run" "$tests/passthru_hil_tests" --gtest_filter='*KernelContract*' \
  >"$results/contract" 2>&1 || status=$?
equal 'the kernel contract holds for the virtual functions' "$status" 0 "$results/contract"
tail -n 1 "$results/contract"

# ---- two guests ----------------------------------------------------------------------------------------------------

vmms=()
tear_down() { [ "${#vmms[@]}" = 0 ] || kill -KILL "${vmms[@]}" 2>/dev/null || true; }

there=$(on_image 0 "$shared" | sha)
mark_with 'go on'
for index in 0 1; do
  boot "$results/guest$index.log" "$results/guest$index.vmm" \
    "$passthru" run --inspect --kernel "$guest/vmlinux" --initrd "$guest/initrd" \
    --append "$guest_append passthru.job=share-drive share.read=$shared share.mark=$mark share.write=${writes[index]}" \
    --cpus 1 --memory 128M --summary "$results/guest$index.json" --force --device "${virtual[index]}"
  vmms+=("$vmm")
done
until_both_read() { grep -q '^reading' "$results/guest0.log" && grep -q '^reading' "$results/guest1.log"; }
until until_both_read || ! kill -0 "${vmms[@]}" 2>/dev/null; do sleep 0.1; done
equal 'the host reads the drive at the same time' "$(on_drive 0 "$shared" | sha)" "$there"
"$passthru" msix show "${virtual[1]}" >"$results/show" 2>&1 || failed 'msix show of a running guest' "$results/show"
equal 'msix show: the VMM answers, and a vector is live' \
  "$(grep -c ' ok .* irqfd ' "$results/show" | sed 's/[1-9].*/some/')" some "$results/show"
sleep 5
mark_with enough

for index in 0 1; do
  log=$results/guest$index.log name="guest $index"
  status=0
  wait "${vmms[index]}" || status=$?
  consoles+=("$log") # `said` reads the last console
  equal "$name: the guest ended by itself" "$status" 0 "$log"
  equal "$name: it read the content of the drive" "$(said read)" "$there" "$log"
  equal "$name: it reads back its own data" "$(said found)" "$(said wrote)" "$log"
  equal "$name: it had interrupts, by MSI-X" \
    "$(said kind) $([ "$(said interrupts)" -gt 10 ] && echo came)" 'MSI-X came' "$log"
  equal "$name: its log has no error" "$(said complaint)" ''
  printf '        read %s times, %s interrupts\n' "$(said reads)" "$(said interrupts)"
done
vmms=()
for index in 0 1; do
  wrote=$(sed -n 's/^wrote \([0-9a-f]*\).*/\1/p' "$results/guest$index.log")
  equal "guest $index: the host reads its data" "$(on_drive "${writes[index]}" 1 | sha)" "$wrote"
  equal "guest $index: its data is in the image" "$(on_image "${writes[index]}" 1 | sha)" "$wrote"
done
"$passthru" unbind "${virtual[@]}"
for bdf in "${virtual[@]}"; do
  equal "$bdf: after unbind it has no driver again" "$(of_list "$bdf" .driver)" null
done
finish
