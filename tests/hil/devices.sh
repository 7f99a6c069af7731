# tests/hil/devices.sh - owns how a lab test gives many devices to one guest, and what it then writes about each of them
# for docs/devices.md. Sourced, with the guest's images and the devices as arguments: MODEL@BDF[,OPTION]...
# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034 # variables are for those who source this
# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"

readonly guest=$1
shift
readonly run=${0##*/} results=$LAB_OUT/devices
readonly work=$results/${run%.sh}

devices=() arguments=()
declare -A model options
for word in "$@"; do
  bdf=${word#*@} bdf=${bdf%%,*}
  devices+=("$bdf")
  model[$bdf]=${word%%@*}
  options[$bdf]=$([[ $word != *,* ]] || echo "${word#*,}")
  arguments+=(--device "${word#*@}")
done
readonly devices arguments

# run_guest JOB [WORD...]: all devices, one guest, until it ends by itself.
run_guest() {
  local job=$1 status
  shift
  rm -rf "$work" "$results/${run%.sh}.json"
  mkdir -p "$work"
  boot "$work/guest.log" "$work/vmm.log" build/release/tools/passthru run \
    --kernel "$guest/vmlinux" --initrd "$guest/initrd" --cpus 1 --memory 256M \
    --append "$guest_append passthru.job=$job $*" \
    --summary "$work/summary.json" "${arguments[@]}"
  wait_for_guest
  # Otherwise nothing that follows says anything more.
  if [ "$status" != 0 ] || ! grep -q "^guest: $job: done" "$work/guest.log"; then
    failed "the guest did its job (exit status $status): $(tail -n 3 "$work/vmm.log")" "$work/guest.log"
    finish
  fi
}

# said_of WORD BDF: what the guest said after WORD and the address that the device has there.
said_of() {
  local there
  there=$(jq -r ".devices[] | select(.device == \"$2\") | .guest_address" "$work/summary.json")
  said "$1 $there"
}

# verified BDF DRIVER INTERRUPTS WHAT: goes into the table.
verified() { printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "${model[$1]}" "${options[$1]}" "$2" "$3" "$4" >>"$work/verified"; }

sha_of() { sha256sum | cut -d' ' -f1; }

# Ends the test. With nothing wrong, what was verified and the summary become a part of the table.
finish_devices() {
  [ "$failures" = 0 ] || finish
  jq --rawfile verified "$work/verified" --arg kernel "$(uname -r)" '
    ($verified | rtrimstr("\n") | split("\n") | map(split("\t"))) as $rows
    | {kernel: $kernel, devices: [.devices[] as $device | $rows[] | select(.[0] == $device.device)
       | {model: .[1], options: .[2], driver: .[3], interrupts: .[4], verified: .[5],
          vendor: $device.vendor, device_id: $device.device_id, bars: $device.bars}]}' \
    "$work/summary.json" >"$results/${run%.sh}.json"
  finish
}
