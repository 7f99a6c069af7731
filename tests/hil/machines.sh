#!/usr/bin/env bash
# tests/hil/machines.sh - checks cases of docs/cases.md on real VFIO, each under its number. One guest has a BAR of 512
# MiB, two BARs of 128 GiB, an expansion ROM that must not be read, and both functions of a drive behind a port without
# ACS. tests/hil/doctor.sh checks more of case 6: mounted disks, volumes and default routes. Runs in the lab, on a
# kernel with modules, with the devices of lab_tests.cmake.
# usage: machines.sh DRIVE-IMAGES GUEST-IMAGES
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2317 # called by wait_until
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"
# shellcheck source=tests/hil/refused.sh
source "${BASH_SOURCE[0]%/*}/refused.sh"

readonly images=$1 guest=$2
# The lab has bound a NIC, a display and two devices with large BARs to vfio-pci. All others have their host drivers.
readonly bound_nic=0000:00:03.0 nic=0000:00:04.0 display=0000:00:05.0 large=(0000:00:06.0 0000:00:07.0)
readonly usb=0000:00:08.0 serial=0000:00:09.0 port=0000:00:0a.0
# The functions of the drive behind the port: one with 2,048 vectors, one with a single vector.
readonly many=0000:01:00.0 single=0000:01:00.1
readonly nic_id=10d3 # of Intel, 8086
readonly passthru=build/release/tools/passthru answer=/tmp/answer listed=/tmp/listed
readonly results=$LAB_OUT/machines
run=("$passthru" run --kernel "$guest/vmlinux" --initrd "$guest/initrd" --memory 128M)

driver() {
  local link
  link=$(readlink "/sys/bus/pci/devices/$1/driver") || link=none
  echo "${link##*/}"
}
drivers() { echo "$(driver $many) $(driver $single) $(driver $port)"; }

# works WHAT COMMAND...: checks that COMMAND succeeds. $answer then has its output.
works() {
  local what=$1
  shift
  if timeout --kill-after=5 "$(patience 12)" "$@" </dev/null >$answer 2>&1; then
    ok "$what: $(head -n 1 $answer)"
  else
    failed "$what: exit status $? of '$*'" $answer
  fi
}

# has WHAT FILE WORDS...: checks that FILE contains each of WORDS.
has() {
  local what=$1 file=$2 word missing=''
  shift 2
  for word in "$@"; do
    grep -qsF -- "$word" "$file" || missing+=" '$word'"
  done
  if [ -z "$missing" ]; then ok "$what"; else failed "$what: missing:$missing" "$file"; fi
}

# hint WORDS FILE: prints the command that follows WORDS in the message in FILE.
hint() { sed -n "s/.*$1 '\([^']*\)'.*/\1/p" "$2"; }

# wait_until COMMAND...: waits until COMMAND succeeds, for at most four times the boot of the lab machine. Later checks
# find what is missing.
wait_until() {
  local end=$((SECONDS + $(patience 4)))
  until "$@" || [ "$SECONDS" -gt "$end" ]; do nap 0.2; done
}

# ---- case 6: devices that the host uses ----------------------------------------------------------------------------

runs_sleep() { grep -qs sleep "/proc/$1/comm"; }

serial_port() {
  local tty holder status=0
  tty=$(basename "/sys/bus/pci/devices/$serial/tty/"*)
  if [ ! -c "/dev/$tty" ]; then
    failed "case 6: the host has a terminal for the serial port $serial"
    return 0
  fi
  sleep 1000 3<"/dev/$tty" &
  holder=$!
  wait_until runs_sleep $holder
  remember_state
  refused 'case 6: bind: a serial port that a process has open' 3 "$serial: cannot bind the device" \
    "$tty is open in process $holder (sleep 1000)" "'kill $holder'" --force -- "$passthru" bind $serial
  kill $holder
  wait $holder || status=$?
  equal "case 6: the hint's command ends the process" "$status" $((128 + 15))
  works 'case 6: bind: the same port after that command' "$passthru" bind --dry-run $serial
}

has_input() { [ -n "$(find "/sys/bus/pci/devices/$usb/" -name 'input[0-9]*' -print -quit)" ]; }

keyboard() {
  modprobe -a xhci-pci usbhid hid-generic
  wait_until has_input
  remember_state
  refused 'case 6: bind: a USB controller with a keyboard' 3 "$usb: cannot bind the device" \
    'QEMU USB Keyboard) is attached to it' --force -- "$passthru" bind $usb
}

serial_number_of() { grep -ls "$1" /sys/block/nvme*/device/serial; }

swap() {
  local own=0000:00:02.0 disk
  wait_until serial_number_of lab0 >/dev/null
  disk=$(basename "$(dirname "$(dirname "$(serial_number_of lab0)")")")
  busybox mkswap "/dev/$disk" >/dev/null
  swapon "/dev/$disk"
  refused 'case 6: bind: a disk with swap' 3 "$own: cannot bind the device" "$disk is swap" "'swapoff /dev/$disk'" \
    --force -- "$passthru" bind $own
  works 'case 6: the command of the hint' bash -c "$(hint 'Stop these uses first:' $refusal)"
  works 'case 6: bind: the same disk after that command' "$passthru" bind --dry-run $own
}

interface() {
  local interface
  interface=$(basename "/sys/bus/pci/devices/$nic/net/"*)
  busybox ip addr add 192.0.2.2/24 dev "$interface"
  busybox ip link set "$interface" up
  refused 'case 6: bind: an interface that is up, with an address' 3 "$nic: cannot bind the device" \
    "network interface $interface is up" "'ip link set dev $interface down'" --force -- "$passthru" bind $nic
  busybox ip link set "$interface" down
}

# ---- cases 13 and 4: the driver ------------------------------------------------------------------------------------

driver_by_name() {
  refused 'case 13: bind --driver: a driver of the host' 3 "$nic" "it is not a VFIO driver for 8086:$nic_id" \
    '--driver vfio-pci' -- "$passthru" bind --driver e1000e $nic
  works 'case 13: bind --driver vfio_pci' "$passthru" bind --driver vfio_pci $nic
  equal 'case 13: vfio_pci and vfio-pci are the same driver' "$(driver $nic)" vfio-pci
}

new_id() {
  local status=0 removes
  echo "8086 $nic_id" >/sys/bus/pci/drivers/vfio-pci/new_id
  works 'case 4: unbind, with the id in new_id' "$passthru" unbind $nic
  equal 'case 4: the host driver has the device again' "$(driver $nic)" e1000e

  # The lab bound the other NIC. No record names its host driver, so the kernel chooses.
  "$passthru" unbind $bound_nic >/dev/null 2>$answer || status=$?
  equal 'case 4: unbind, without a record: exit status' "$status" 3 $answer
  equal 'case 4: the driver that the kernel chose' "$(driver $bound_nic)" vfio-pci
  has 'case 4: the message names the id and the command that removes it' $answer "$bound_nic" 'a dynamic id' new_id \
    "'echo 8086 $nic_id > /sys/bus/pci/drivers/vfio-pci/remove_id'" "'passthru unbind $bound_nic'"
  removes=$(hint 'Remove the id with' $answer)
  works 'case 4: the command of the hint' bash -c "$removes"
  works 'case 4: unbind, without the id' "$passthru" unbind $bound_nic
  equal 'case 4: the host driver has the NIC of the lab' "$(driver $bound_nic)" e1000e
}

# ---- bind --persist ------------------------------------------------------------------------------------------------

# The lab's root is read-only, so /etc is a new directory, with udev and without driverctl.
persistent() {
  local rule=/etc/udev/rules.d/10-passthru-$nic.rules program path
  mkdir -p /tmp/etc/udev
  cp /etc/ld.so.cache /tmp/etc/
  mount --bind /tmp/etc /etc
  [ ! -d /usr/lib/udev/rules.d ] || mount -t tmpfs none /usr/lib/udev/rules.d
  remember_state

  works 'bind --persist' "$passthru" bind --persist $nic
  has 'bind --persist: it names the file' $answer "bound at each boot by $rule"
  has 'bind --persist: the rule is for this device' "$rule" "KERNEL==\"$nic\"" 'ATTR{vendor}=="0x8086"' \
    "ATTR{device}==\"0x$nic_id\"" 'ATTR{driver_override}="vfio-pci"'
  program=$(sed -n 's/.*RUN+="\(.*\)"$/\1/p' "$rule")
  works 'unbind of a persistent binding' "$passthru" unbind $nic
  if [ -e "$rule" ]; then failed 'unbind: it removes the rule' "$rule"; else ok 'unbind: it removes the rule'; fi
  as_before 'unbind: the host has the NIC again'

  # A boot: the host driver has the device, and udev sets the override and runs the program.
  path=$(realpath "/sys/bus/pci/devices/$nic")
  program=${program//%k/$nic} program=${program//%p/${path#/sys}}
  echo vfio-pci >"/sys/bus/pci/devices/$nic/driver_override"
  works "the rule's program" bash -c "$program"
  equal "the rule's program binds the device" "$(driver $nic)" vfio-pci
  works 'unbind of a device that the rule bound' "$passthru" unbind $nic
  as_before 'unbind: the host has the NIC again, without a record'

  [ ! -d /usr/lib/udev/rules.d ] || umount /usr/lib/udev/rules.d
  umount /etc
}

# ---- cases 27, 12 and 30: devices without a guest --------------------------------------------------------------------

port_without_acs() {
  local members=("/sys/bus/pci/devices/$many/iommu_group/devices/"*)
  members=("${members[@]##*/}")
  equal 'case 27: the port is in the group of its drive' "${members[*]}" "$port $many $single"
  works 'case 27: bind --group' "$passthru" bind --group $many
  equal 'case 27: bind --group leaves the port alone' "$(drivers)" 'vfio-pci vfio-pci pcieport'
  "$passthru" list --json >$listed
  equal 'case 27: list: the port is not in the way' "$(jq -r --arg first $many --arg second $single '
    [.devices[] | select(.device == ($first, $second)) | .assignable] | join(" ")' $listed)" 'true true'
  equal 'case 20, case 21: list: the vectors of the functions' "$(jq -r --arg first $many --arg second $single '
    [.devices[] | select(.device == ($first, $second)) | .msix.vectors] | join(" ")' $listed)" '2048 1'
}

# The bridge forwards nothing while its buses have no numbers.
silent_device() {
  local secondary subordinate status=0
  secondary=$(setpci -s $port SECONDARY_BUS)
  subordinate=$(setpci -s $port SUBORDINATE_BUS)
  setpci -s $port SECONDARY_BUS=00 SUBORDINATE_BUS=00
  "$passthru" list --json >$listed || failed 'case 12: list: exit status' $listed
  "$passthru" doctor $many >$answer || status=$?
  setpci -s $port SECONDARY_BUS="$secondary" SUBORDINATE_BUS="$subordinate"
  equal 'case 12: list: a device whose config space reads as all ones' \
    "$(jq -r --arg device $many '.devices[] | select(.device == $device) | "\(.assignable), \(.why_not)"' $listed)" \
    'false, it does not answer: its config space reads as all ones' $listed
  equal 'case 12: doctor: exit status' "$status" 1 $answer
  has 'case 12: doctor says that the device does not answer' $answer \
    'it does not answer: its config space reads as all ones' \
    'answers: Turn the machine off and on'
}

# VFIO finds and reads an expansion ROM by pci_map_rom. A probe counts the calls.
readonly tracing=/sys/kernel/tracing
rom_calls() { awk '$1 == "rom" { print $2 }' $tracing/kprobe_profile; }
rom_calls_before=''
rom_off() {
  local with_rom
  if ! echo 'p:passthru/rom pci_map_rom' >$tracing/kprobe_events || ! echo 1 >$tracing/events/passthru/rom/enable; then
    failed 'case 30: the kernel counts the calls of pci_map_rom'
    return 0
  fi
  remember_state
  # The display is opened. Then the NIC is refused.
  refused 'run: the second device is refused' 3 $nic 'bound to e1000e' -- "${run[@]}" --device $display --device $nic
  with_rom=$(rom_calls)
  if [ "${with_rom:-0}" -gt 0 ]; then
    ok "case 30: without rom=off, the kernel looks at the ROM: $with_rom calls"
  else
    failed 'case 30: without rom=off, the kernel looks at the ROM' $tracing/kprobe_profile
  fi
  refused 'run: the second device is refused, with rom=off' 3 $nic 'bound to e1000e' -- \
    "${run[@]}" --device $display,rom=off --device $nic
  equal 'case 30: with rom=off, the kernel does not look at the ROM' "$(rom_calls)" "$with_rom"
  rom_calls_before=$(rom_calls)
}

# ---- the guest -----------------------------------------------------------------------------------------------------

# read_drive CASE FUNCTION IMAGE: checks that the guest read the drive at the guest's 0000:00:02.FUNCTION.
read_drive() {
  local by kind count sha
  read -r by kind count sha <<<"$(said "drive 0000:00:02.$2")"
  equal "case $1: the guest read its drive" "$by $kind $sha" \
    "nvme MSI-X $(head -c 1M "$images/$3.img" | sha256sum | cut -d' ' -f1)" "$results/guest.log"
  if [ "${count:-0}" -gt 0 ]; then ok "case $1: by $count interrupts"; else failed "case $1: the drive interrupted"; fi
}

guest_with_all() {
  local bars
  boot "$results/guest.log" "$results/vmm.log" "${run[@]}" --cpus 1 --append "$guest_append passthru.job=machines" \
    --device $display,rom=off --device $many,vectors=64 --device $single --device "${large[0]}" --device "${large[1]}"
  wait_until_says shown
  if ! grep -q '^shown' "$results/guest.log"; then
    failed "the guest described its devices. The VMM's last message: $(tail -n 1 "$results/vmm.log")" "$results/guest.log"
    return 0
  fi
  equal 'case 3: the guest placed a BAR of 512 MiB' "$(said 'bar 0000:00:01.0' | xargs)" '0 536870912 2 4096' \
    "$results/guest.log"
  for bars in 0000:00:03.0 0000:00:04.0; do
    equal "case 3: the guest placed a BAR of 128 GiB ($bars)" "$(said "bar $bars" | xargs)" \
      '0 4096 1 256 2 137438953472' "$results/guest.log"
  done
  equal 'case 3: the guest has no complaint' "$(said complaint)" ''
  # 0x80: the device has several functions.
  equal 'case 10, case 20: function 0 of the slot, with 64 of 2,048 vectors' "$(said 'function 0000:00:02.0')" \
    'header 128 vectors 64' "$results/guest.log"
  equal 'case 10, case 21: function 1 of the slot, with one vector' "$(said 'function 0000:00:02.1')" \
    'header 128 vectors 1' "$results/guest.log"
  equal 'case 10: a device with one function' "$(said 'function 0000:00:01.0')" 'header 0 vectors 0' "$results/guest.log"
  read_drive '20, case 27' 0 many
  read_drive 21 1 single
  [ -z "$rom_calls_before" ] ||
    equal 'case 30: in the guest, nobody looked at the ROM' "$(rom_calls)" "$rom_calls_before"
}

is_stopped() { grep -q '^State:.T' "/proc/$vmm/status"; }
has_ended() { ! kill -0 "$vmm" 2>/dev/null; }

stopped_vmm() {
  local group pid=$vmm
  if [ -z "$vmm" ] || has_ended; then
    failed 'case 5: the guest still runs' "$results/vmm.log"
    return 0
  fi
  group=$(basename "$(readlink "/sys/bus/pci/devices/$many/iommu_group")")
  kill -STOP "$vmm"
  wait_until is_stopped
  remember_state
  refused 'case 5: unbind: a stopped VMM has the device' 3 "$many" "process $pid ($passthru run" ', stopped)' \
    "has /dev/vfio/$group open" "'kill $pid && kill -CONT $pid'" -- "$passthru" unbind $many
  works 'case 5: the command of the hint' bash -c "$(hint 'End the guest first:' $refusal)"
  wait_until has_ended
  if ! has_ended; then
    failed 'case 5: the hint ends the stopped VMM' "$results/vmm.log"
    kill -KILL "$vmm"
  fi
  wait_for_guest
  equal 'case 5: the VMM was stopped in order: exit status' "$status" 1 "$results/vmm.log"
  works 'case 5: unbind after that' "$passthru" unbind --group $many
  equal 'case 5: the host drivers have the drive again' "$(drivers)" 'nvme nvme pcieport'
}

rm -rf "$results"
mkdir -p "$results"
serial_port
keyboard
swap
interface
driver_by_name
new_id
persistent
port_without_acs
silent_device
rom_off
guest_with_all
stopped_vmm
finish
