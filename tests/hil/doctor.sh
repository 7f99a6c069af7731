#!/usr/bin/env bash
# tests/hil/doctor.sh - checks that `passthru doctor` names exactly what a machine lacks, that `bind` refuses devices
# that the host uses, and that it binds and unbinds whole groups or nothing. Runs in the lab, with the devices of
# lab_tests.cmake.
# usage: doctor.sh [built-in]
# built-in: for a kernel without modules. There, vfio-pci cannot be missing, and no module that uses a disk can be
# loaded.
# SPDX-License-Identifier: MIT
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"
# shellcheck source=tests/hil/refused.sh
source "${BASH_SOURCE[0]%/*}/refused.sh"

# A drive on vfio-pci; the host's drive and NIC; a bridge; two devices of one group.
readonly nvme=0000:00:02.0 own=0000:00:03.0 nic=0000:00:05.0 bridge=0000:00:06.0
readonly one=0000:02:01.0 other=0000:02:02.0
readonly report=/tmp/report mounted=/tmp/mounted
readonly nobody=65534

# A path that any user can reach, wherever the repository is.
mkdir -p /tmp/reachable $mounted
mount --bind build/release/tools /tmp/reachable
readonly passthru=/tmp/reachable/passthru

driver() { basename "$(readlink "/sys/bus/pci/devices/$1/driver")"; }

# asked STATUS WHAT ARGUMENTS...: runs the doctor twice, and saves its lines in $report, its JSON in $report.json.
asked() {
  local wanted=$1 what=$2 status=0 now
  shift 2
  "${as[@]}" "$passthru" doctor "$@" >$report 2>&1 || status=$?
  equal "$what: exit status" "$status" "$wanted" $report
  "${as[@]}" "$passthru" doctor --json "$@" >$report.json || [ $? = "$wanted" ]
  now=$(state)
  [ "$now" = "$before" ] || failed "$what: the doctor changed nothing"
}
as=(env) # the command that runs the doctor as a user

# missing WHAT CHECKS: checks that CHECKS, and no other checks, answer no.
missing() { equal "$1: the checks that answer no" "$(jq -r '[.checks[] | select(.answer == "no") | .name] | join(" ")' $report.json)" "$2" $report; }

# concludes WHAT WORDS: checks that the last line is WORDS.
concludes() { equal "$1: the last line" "$(tail -n 1 $report)" "$2" $report; }

# cure WHAT COMMAND: checks that a line consists of COMMAND, and that no other line does.
cure() { equal "$1: '$2' is printed once" "$(grep -cxF -- "  $2" $report)" 1 $report; }

# line CHECK WORDS...: checks that the line of CHECK contains WORDS.
line() {
  local check=$1 found word
  shift
  found=$(awk -v check="$check" '$1 ~ /^(no|warn|-|ok)$/ && $2 == check' $report)
  for word in "$@"; do
    if [[ $found != *"$word"* ]]; then
      failed "$check: its line contains '$word'" $report
      return
    fi
  done
  ok "$found"
}

ready_machine() {
  asked 0 'a drive on vfio-pci' $nvme
  missing 'a drive on vfio-pci' ''
  equal 'every line is ok' "$(jq -r '[.checks[] | select(.answer != "ok") | .name] | join(" ")' $report.json)" '' $report
  equal 'JSON: device, ready' "$(jq -r '.device, .ready' $report.json | xargs)" "$nvme true"
  equal 'JSON: names and lines' "$(jq -r '.checks[].name' $report.json)" "$(awk 'NF == 0 { exit } { print $2 }' $report)"
  equal 'JSON: the conclusion' "$(jq -r .conclusion $report.json)" "$(tail -n 1 $report)"
  concludes 'a drive on vfio-pci' "$nvme can be assigned"
  line reset flr
  line vfio_pci 'loaded or built in'
  asked 0 'the machine alone'
  equal 'JSON: no device' "$(jq -r '.device' $report.json)" null
  concludes 'the machine alone' 'this machine can assign devices'
}

wrong_words() {
  refused 'no name of a device' 2 "'nosuch0'" -- "$passthru" doctor nosuch0
  refused 'an empty argument' 2 "'passthru list'" -- "$passthru" doctor ''
  asked 1 'a missing device' 0000:00:19.0
  line device "no " "this machine has no PCI function at this address"
  asked 1 'a bridge' $bridge
  line device 'it is a bridge'
  equal 'a bridge: what to do' "$(grep -c '^device: Assign the devices behind it' $report)" 1 $report
  concludes 'a bridge' "$bridge cannot be assigned, because it is a bridge"
}

without_the_module() {
  "$passthru" unbind $nvme
  modprobe -r vfio-pci
  remember_state
  asked 1 'without vfio-pci' $nvme
  missing 'without vfio-pci' 'vfio_pci driver'
  line vfio_pci 'not loaded'
  equal 'without vfio-pci: the worst findings are the first lines' \
    "$(awk 'NR <= 2 { print $1, $2 }' $report | xargs)" 'no vfio_pci no driver' $report
  cure 'without vfio-pci' 'modprobe vfio-pci'
  cure 'without vfio-pci' "passthru bind $nvme"
  concludes 'without vfio-pci' \
    "$nvme cannot be assigned, because the module vfio_pci is not loaded; and 1 other cause"
  modprobe vfio-pci
  remember_state
  asked 1 'not bound' $nvme
  missing 'not bound' driver
  line driver 'bound to nvme, not to vfio-pci'
  cure 'not bound' "passthru bind $nvme"
  concludes 'not bound' "$nvme cannot be assigned, because it is bound to nvme, not to vfio-pci"
  line group_node 'appears when the device is bound'
  "$passthru" bind $nvme
  remember_state
  asked 0 'bound' $nvme
}

unprivileged() {
  local group
  group=$(basename "$(readlink "/sys/bus/pci/devices/$nvme/iommu_group")")
  chmod 600 /dev/kvm
  as=(prlimit --memlock=8388608:8388608 setpriv "--reuid=$nobody" "--regid=$nobody" --clear-groups)
  asked 1 'another user' $nvme
  missing 'another user' 'locked_memory kvm group_node'
  line locked_memory 'RLIMIT_MEMLOCK is 8 MiB'
  line in_use '- ' 'no use is visible'
  line kvm 'Permission denied'
  cure 'another user' 'sudo prlimit --pid $$ --memlock=2147483648'
  cure 'another user' "sudo usermod -aG kvm \"\$USER\""
  cure 'another user' "sudo chown \"\$USER\" /dev/vfio/$group"
  as=(env)
}

groups() {
  "$passthru" bind $one
  remember_state
  asked 1 'half a group' $one
  missing 'half a group' group
  line group "shared with $other (virtio-pci)"
  cure 'half a group' "passthru bind --group $one"
  "$passthru" unbind $one
  remember_state
  asked 1 'a whole group of the host' $one
  missing 'a whole group of the host' 'driver group'
  cure 'a whole group of the host' "passthru bind --group $one"

  remember_state
  "$passthru" bind --group $one
  equal 'bind --group' "$(driver $one) $(driver $other)" 'vfio-pci vfio-pci'
  before=$(state) asked 0 'a whole group' $one
  "$passthru" unbind --group $other
  as_before 'unbind --group: everything is restored'

  # The override of the second device fails, after the first device was bound.
  mount --bind "/sys/bus/pci/devices/$other/driver_override" "/sys/bus/pci/devices/$other/driver_override"
  mount -o remount,bind,ro "/sys/bus/pci/devices/$other/driver_override"
  refused 'bind --group: a member fails' 3 $other 'Read-only file system' -- "$passthru" bind --group $one
  umount "/sys/bus/pci/devices/$other/driver_override"
  refused 'bind --group: a bridge' 3 $bridge 'it is a bridge' -- "$passthru" bind --group $bridge
  equal 'bind --group --dry-run: the writes' "$("$passthru" bind --group --dry-run $one | grep -c '^echo')" 6
  as_before 'bind --group --dry-run: nothing has changed'
}

# used WHAT USE [COMMAND]: checks that the doctor and `bind` report that the host uses the drive or NIC in $used, and how
# to end that.
used() {
  local what=$1 use=$2 command=${3-}
  asked 1 "$what" "$used"
  missing "$what" 'in_use driver'
  line in_use "$use"
  [ -z "$command" ] || cure "$what" "$command"
  refused "bind: $what" 3 "$used: cannot bind the device" "$use" "$command" --force -- "$passthru" bind "$used"
  refused "bind --dry-run: $what" 3 "$used: cannot bind the device" "$use" -- "$passthru" bind --dry-run $nvme "$used"
}

disks() {
  local disk hidden used=$own
  disk=$(basename "$(dirname "$(dirname "$(grep -l lab1 /sys/block/nvme*/device/serial)")")")
  remember_state
  asked 1 "the host's unused drive" $own
  missing "the host's unused drive" driver

  modprobe ext4
  busybox mke2fs "/dev/$disk" >/dev/null
  mount -t ext4 "/dev/$disk" $mounted
  used 'a mounted disk' "$disk is mounted on $mounted" "umount -A /dev/$disk"
  umount $mounted

  # This namespace's mount table does not contain the mount.
  unshare --mount --propagation private sh -c "mount -t ext4 -o ro /dev/$disk $mounted && touch /tmp/hidden && exec sleep 1000" &
  hidden=$!
  until [ -e /tmp/hidden ] || ! kill -0 "$hidden"; do sleep 0.1; done
  refused 'bind: a disk of another mount namespace' 3 "$own: cannot bind the device" \
    "$disk is claimed, by ZFS or in another mount namespace" --force -- "$passthru" bind $own
  kill "$hidden"
  wait "$hidden" || true # ended by the signal

  addpart "/dev/$disk" 1 2048 65536
  busybox mkswap "/dev/${disk}p1" >/dev/null
  swapon "/dev/${disk}p1"
  used 'swap' "${disk}p1 is swap" "swapoff /dev/${disk}p1"
  swapoff "/dev/${disk}p1"

  modprobe linear
  echo md_lab >/sys/module/md_mod/parameters/new_array
  echo none >/sys/block/md_lab/md/metadata_version
  cat "/sys/class/block/${disk}p1/dev" >/sys/block/md_lab/md/new_dev
  used 'a volume' "md_lab is built on ${disk}p1" "mdadm --stop /dev/md_lab"
  echo clear >/sys/block/md_lab/md/array_state

  mount -t ext4 -o ro "/dev/$disk" $mounted
  "$passthru" bind --force $own
  equal 'bind --force: a mounted disk' "$(driver $own)" vfio-pci
  umount $mounted
  "$passthru" unbind $own
  as_before 'unbind: the host has the drive again'
}

interfaces() {
  local interface used=$nic
  interface=$(basename "/sys/bus/pci/devices/$nic/net/"*)
  remember_state
  busybox ip link set "$interface" up
  used 'an interface that is up' "network interface $interface is up" "ip link set dev $interface down"
  busybox ip addr add 192.0.2.2/24 dev "$interface"
  busybox ip route add default via 192.0.2.1 dev "$interface"
  used 'an interface with a default route' "$interface is up, with a default route"
  busybox ip link set "$interface" down
  "$passthru" bind $nic
  equal 'bind: an interface that is down' "$(driver $nic)" vfio-pci
  "$passthru" unbind $nic
  as_before 'unbind: the host has the NIC again'
}

remember_state
ready_machine
wrong_words
unprivileged
groups
interfaces
if [ "${1-}" = built-in ]; then
  echo 'not tested on this kernel: a missing module, disks in use'
else
  without_the_module
  disks
fi
finish
