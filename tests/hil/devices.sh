# tests/hil/devices.sh - functions for lab tests that give many devices to one guest and record the results for
# docs/devices.md. Such a test sources it with these arguments: GUEST-IMAGES MODEL@BDF[,OPTION]...
# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034 # the caller uses the variables
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

# run_guest JOB [WORD...]: runs one guest with all devices until it powers off.
run_guest() {
  local job=$1 status
  shift
  rm -rf "$work" "$results/${run%.sh}.json"
  mkdir -p "$work"
  boot "$work/guest.log" "$work/vmm.log" build/release/tools/passthru run \
    --kernel "$guest/vmlinux" --initrd "$guest/initrd" --cpus 1 --memory 256M \
    --append "$guest_append passthru.job=$job $*" \
    --summary "$work/summary.json" --force "${arguments[@]}"
  wait_for_guest
  # After a failure the following checks are useless.
  if [ "$status" != 0 ] || ! grep -q "^guest: $job: done" "$work/guest.log"; then
    failed "the guest finished its job (exit status $status): $(tail -n 3 "$work/vmm.log")" "$work/guest.log"
    finish
  fi
}

# said_of WORD BDF: prints the rest of the guest's line that begins with WORD and the guest's address of the device.
said_of() {
  local there
  there=$(jq -r ".devices[] | select(.device == \"$2\") | .guest_address" "$work/summary.json")
  said "$1 $there"
}

# verified BDF DRIVER INTERRUPTS WHAT: records a row of the table.
verified() { printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "${model[$1]}" "${options[$1]}" "$2" "$3" "$4" >>"$work/verified"; }

sha_of() { sha256sum | cut -d' ' -f1; }

# Ends the test. If no check failed, writes the recorded rows and the summary as a part of the table.
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
