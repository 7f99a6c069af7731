#!/usr/bin/env bash
# tests/hil/nics.sh - checks that one guest fetches a file over TCP through each of many kinds of NICs, and reads the
# expansion ROMs of some devices. Runs in the lab, with a NIC of the lab machine on the same cable.
# usage: nics.sh OWN-NIC ROM-FILE GUEST-IMAGES MODEL@BDF[,OPTION]...
# SPDX-License-Identifier: MIT
set -euo pipefail

readonly own_nic=$1 rom=$2
shift 2
# shellcheck source=tests/hil/devices.sh
source "${BASH_SOURCE[0]%/*}/devices.sh"
# shellcheck source=scripts/lab.d/own_nic.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lab.d/own_nic.sh"

readonly network=10.9.0
readonly peer=$network.1
serve_on_own_nic "$own_nic" "$peer" 512K
wanted=$(sha_of <"$served/data")

# The devices have the guest's slots in this order, from 1 on.
nics=0 roms=''
for i in "${!devices[@]}"; do
  case ${model[${devices[i]}]} in
    secondary-vga | e1000e) printf -v roms '%s0000:00:%02x.0,' "$roms" $((i + 1)) ;;&
    secondary-vga) ;;
    *) nics=$((nics + 1)) ;;
  esac
done

# same_rom BDF NAME: checks the ROM that the guest read. The kernel reads as many bytes as the ROM's header says, so the
# padding is not part of it.
same_rom() {
  equal "$2: its ROM is the file" "$(said_of rom "$1")" "$(stat -c %s "$rom") $(sha_of <"$rom")" "$work/guest.log"
}

run_guest nics "nics.peer=$peer nics.network=$network nics.count=$nics nics.roms=$roms"
for bdf in "${devices[@]}"; do
  if [ "${model[$bdf]}" = secondary-vga ]; then
    same_rom "$bdf" secondary-vga
    verified "$bdf" none none 'its expansion ROM read'
    continue
  fi
  read -r driver kind interrupts fetched <<<"$(said_of nic "$bdf")"
  name="${model[$bdf]} by ${driver:-no driver} on ${kind:-no interrupts}"
  what='512 KiB fetched over TCP'
  equal "$name: the guest fetched the served file" "$fetched" "$wanted" "$work/guest.log"
  [ "${interrupts:-0}" -gt 0 ] || failed "$name: the device interrupted"
  if [ "${model[$bdf]}" = e1000e ]; then
    same_rom "$bdf" "$name"
    what+=', its expansion ROM read'
  fi
  verified "$bdf" "$driver" "$kind" "$what"
done
finish_devices
