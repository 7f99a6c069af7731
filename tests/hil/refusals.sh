#!/usr/bin/env bash
# tests/hil/refusals.sh - checks that the command refuses impossible requests: with the exit status that scripts rely
# on, a message that names the device and says what to do, and without changes. Runs in the lab, with the devices of
# lab_tests.cmake. usage: refusals.sh GUEST-IMAGES
# This machine always has an IOMMU with interrupt remapping. tests/unit/vfio/group_test.cc and
# tests/unit/vfio/dma_space_test.cc test machines without these.
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2317 # called from a trap
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"
# shellcheck source=tests/hil/refused.sh
source "${BASH_SOURCE[0]%/*}/refused.sh"

# A drive on vfio-pci; the host's NIC; a bridge; two devices that share a group, of which the first is on vfio-pci.
readonly nvme=0000:00:02.0 own_nic=0000:00:04.0 bridge=0000:00:05.0 half=0000:02:01.0 other_half=0000:02:02.0
readonly absent=0000:00:19.0
readonly nobody=65534
readonly unsafe=/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts

# A path that any user can reach, wherever the repository is.
readonly reachable=/tmp/reachable
mkdir -p $reachable/build $reachable/guest
: >$reachable/picture
mount --bind build/release/tools $reachable/build
mount --bind "$1" $reachable/guest
readonly passthru=$reachable/build/passthru
readonly guest=(--kernel "$reachable/guest/vmlinux" --initrd "$reachable/guest/initrd" --memory 128M)
run=("$passthru" run "${guest[@]}")

group_of() { basename "$(readlink "/sys/bus/pci/devices/$1/iommu_group")"; }
nvme_group=$(group_of $nvme)
readonly nvme_group

remember_state

readonly unprivileged=(setpriv "--reuid=$nobody" "--regid=$nobody" --clear-groups)

addresses() {
  local command word
  for command in bind unbind 'msix show'; do
    # shellcheck disable=SC2086 # two words
    refused "$command: a missing device" 3 $absent "'passthru list'" -- "$passthru" $command $absent
    for word in 0000:00:02 0000:00:02.9 nosuch0; do
      # shellcheck disable=SC2086
      refused "$command: not an address" 2 "'$word'" 0000:00:02.0 "'passthru list'" -- "$passthru" $command $word
    done
  done
  refused 'run: a missing device' 3 $absent "'passthru list'" -- "${run[@]}" --device $absent
  refused 'run: not an address' 2 "'0000:00:2.0'" 'like 0000:00:02.0' -- "${run[@]}" --device 0000:00:2.0
  refused 'run: a device given twice' 2 $nvme 'named twice' 'Name each device once' -- \
    "${run[@]}" --device $nvme --device 00:02.0
}

slots() {
  local devices=() i
  for ((i = 0; i < 32; i++)); do devices+=(--device "$(printf '0000:01:%02x.0' "$i")"); done
  refused 'run: more devices than slots' 2 'need 32 slots' 'has 31' 'Assign fewer devices' -- "${run[@]}" "${devices[@]}"
}

bridges_and_drivers() {
  refused 'bind: a bridge' 3 $bridge 'it is a bridge' 'Assign the devices behind it' -- "$passthru" bind $bridge
  refused 'run: a bridge' 3 $bridge 'it is a bridge' 'Assign the devices behind it' -- "${run[@]}" --device $bridge
  refused 'bind: a bridge after a device' 3 $bridge 'it is a bridge' -- "$passthru" bind $own_nic $bridge
  refused 'run: not bound to vfio-pci' 3 $own_nic 'bound to e1000e' "'passthru bind $own_nic'" -- \
    "${run[@]}" --device $own_nic
  refused 'run: a second device not bound to vfio-pci' 3 $own_nic 'bound to e1000e' -- \
    "${run[@]}" --device $nvme --device $own_nic
}

groups() {
  refused 'run: group not viable' 3 $half "$other_half (virtio-pci)" "'passthru bind $other_half'" -- \
    "${run[@]}" --device $half
  exec 7<>"/dev/vfio/$nvme_group"
  refused 'run: group in use' 3 $nvme "another process uses group $nvme_group" \
    "fuser -v /dev/vfio/$nvme_group" -- "${run[@]}" --device $nvme
  refused 'unbind: group in use' 3 $nvme "process $$ (" "has /dev/vfio/$nvme_group open" "'kill $$'" -- \
    "$passthru" unbind $nvme
  exec 7>&-
}

interrupt_remapping() {
  local value
  value=$(cat $unsafe)
  echo Y >$unsafe
  refused 'run: interrupt remapping may be off' 3 $nvme 'interrupt remapping' --allow-unsafe-interrupts -- \
    "${run[@]}" --device $nvme
  echo "$value" >$unsafe
  refused 'run: the parameter of VFIO is hidden' 3 allow_unsafe_interrupts 'Let this process read /sys/module' -- \
    unshare --mount sh -c 'mount -t tmpfs none /sys/module && exec "$@"' sh "${run[@]}" --device $nvme
}

permissions() {
  refused 'bind: no permission' 3 $own_nic root -- "${unprivileged[@]}" "$passthru" bind $own_nic
  refused 'unbind: no permission' 3 $nvme root -- "${unprivileged[@]}" "$passthru" unbind $nvme
  refused 'msix show: no permission' 3 $nvme root -- "${unprivileged[@]}" "$passthru" msix show $nvme
  chmod 600 /dev/kvm
  refused 'run: no permission for KVM' 3 /dev/kvm 'Run as root' kvm -- "${unprivileged[@]}" "${run[@]}" --device $nvme
  chmod 666 /dev/kvm
  refused 'run: no permission for the group' 3 $nvme 'permission denied' "chown USER /dev/vfio/$nvme_group" -- \
    "${unprivileged[@]}" "${run[@]}" --device $nvme
  chmod 666 "/dev/vfio/$nvme_group"
  # 128 MiB of memory are 134217728 bytes, 131072 KiB.
  refused 'run: RLIMIT_MEMLOCK too small' 3 $nvme '134217728 bytes are needed' 'RLIMIT_MEMLOCK is 1048576 bytes' \
    'ulimit -l 131072' -- prlimit --memlock=1048576:1048576 "${unprivileged[@]}" "${run[@]}" --device $nvme
  refused 'run --inspect: no directory for the socket' 3 'create the inspect socket' 'XDG_RUNTIME_DIR' 'Name a path' -- \
    prlimit --memlock=unlimited "${unprivileged[@]}" env -u XDG_RUNTIME_DIR "${run[@]}" --inspect --device $nvme
  chmod 600 "/dev/vfio/$nvme_group" /dev/kvm
}

images() {
  local file
  for file in /etc/passwd /dev/null; do
    refused 'run: not a kernel image' 3 $file 'neither a bzImage nor an ELF file' 'Give a bzImage' -- \
      "$passthru" run --kernel $file --device $nvme
  done
  refused 'run: an ELF file that is not a kernel' 3 /bin/busybox 'no PVH entry' CONFIG_PVH=y -- \
    "$passthru" run --kernel /bin/busybox --device $nvme
  refused 'run: a missing kernel image' 3 /no/such/file 'No such file' -- \
    "$passthru" run --kernel /no/such/file --device $nvme
}

kvm() {
  mv /dev/kvm /dev/kvm.away
  refused 'run: no /dev/kvm' 3 /dev/kvm modprobe firmware -- "${run[@]}" --device $nvme
  mv /dev/kvm.away /dev/kvm
}

# Inspections of a device that no process uses.
looking() {
  refused 'msix trigger: a missing vector' 3 $nvme '2047' 'the device has 65 vectors' -- "$passthru" msix trigger $nvme 2047
  refused 'bars: a full disk' 3 'write /dev/full' 'No space left' 'Name another file' -- \
    "$passthru" bars $nvme --svg /dev/full
  refused 'bars: an existing file' 3 "write $reachable/picture" 'File exists' '--force' -- \
    "$passthru" bars $nvme --svg $reachable/picture
  refused 'trace: no VMM to ask' 3 $nvme 'no VMM with an inspect socket' "'passthru run --inspect'" -- \
    "$passthru" trace $nvme -o $reachable/trace
}

addresses
slots
bridges_and_drivers
groups
interrupt_remapping
permissions
images
kvm
looking
finish
