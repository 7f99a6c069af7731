#!/usr/bin/env bash
# tests/hil/two_backends.sh - checks that two guests run at the same time and read their drives, one drive opened by its
# IOMMU group, the other by its own node. Runs in the lab, on a kernel with both backends, with NVMe drives at 00:02.0
# and 00:03.0 on vfio-pci.
# usage: two_backends.sh DRIVE-IMAGE DRIVE-IMAGE GUEST-IMAGES
# SPDX-License-Identifier: MIT
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"

readonly images=("$1" "$2") guest=$3 doors=(group cdev) drives=(0000:00:02.0 0000:00:03.0)
readonly results=$LAB_OUT/two_backends

vmms=()
# shellcheck disable=SC2317 # called from the trap
tear_down() { [ "${#vmms[@]}" = 0 ] || kill -KILL "${vmms[@]}" 2>/dev/null || true; } # they may have ended

rm -rf "$results"
mkdir -p "$results"
for index in 0 1; do
  name=${doors[index]}
  boot "$results/$name.log" "$results/$name.vmm" build/release/tools/passthru run \
    --backend="$name" --kernel "$guest/vmlinux" --initrd "$guest/initrd" --cpus 1 --memory 128M \
    --append "$guest_append passthru.job=read-drive" --device "${drives[index]}" --summary "$results/$name.json" --force
  vmms+=("$vmm")
done
for index in 0 1; do
  name=${doors[index]}
  status=0
  wait "${vmms[index]}" || status=$?
  consoles+=("$results/$name.log") # `said` reads the last console
  equal "$name: the guest ended by itself" "$status" 0 "$results/$name.vmm"
  equal "$name: the guest read the content of its drive" "$(said 'nvme sha256')" \
    "$(sha256sum <"${images[index]}" | cut -d' ' -f1)" "$results/$name.log"
  # With a group, the library may also map the devices' registers for each other; so there may be several maps.
  equal "$name: the drive was opened by this backend, with all of the guest's memory" \
    "$(jq -r '.devices[0].dma | "\(.backend) \(.maps >= 1 and .bytes >= (128 * 1048576))"' "$results/$name.json")" "$name true"
done
vmms=()
finish
