#!/usr/bin/env bash
# tests/hil/c_vmm.sh - checks the C interface with a VMM in C (tests/hil/c_vmm), which boots guests with one NVMe drive:
# - the examples work on a real device
# - the library or the VMM places the BARs, and owns the interrupt routes: in all four combinations the guest reads its
#   drive
# - the drive's MSI-X table is zeroed while the guest reads: the library restores it, in its own thread and in the VMM's
#   loop
# - the guest moves its drive's BARs at random, placed by the library and by the VMM
# - the host unplugs a drive behind a port: the VMM gives it back, and the guest goes on (only with UNPLUGGED, the
#   address of that drive, which the emulator calls nvme1)
# Runs in the lab with an NVMe drive at 00:02.0. PASSTHRU_SEED repeats the moves.
# usage: c_vmm.sh [DRIVE-IMAGE [GUEST-IMAGES [MOVES [UNPLUGGED]]]]
# The defaults are build/lab/x.img, build/lab/guest-test and 1000. If build/lab/guest-test does not exist, the guests of
# build/lab/guest only read the drive: they have no jobs of the tests.
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2317 # combination calls the checks by name
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"

readonly image=${1:-build/lab/x.img} moves=${3:-1000} unplugged=${4:-}
guest=${2:-build/lab/guest-test} jobs_of_tests=yes
if [ $# -lt 2 ] && [ ! -e "$guest/initrd" ]; then guest=build/lab/guest jobs_of_tests=no; fi
readonly guest jobs_of_tests nvme=0000:00:02.0
readonly passthru=build/release/tools/passthru tests=build/release/tests
readonly results=$LAB_OUT/c_vmm socket=/tmp/c_vmm.sock # the share of $LAB_OUT does not support sockets
readonly seed=${PASSTHRU_SEED:-$RANDOM}
# The guest reads for longer than the damage lasts.
readonly DAMAGE_SECONDS=3 READ_SECONDS=8
readonly VECTORS=65
readonly EVENT_UNPLUG_REQUEST=6 # PASSTHRU_EVENT_UNPLUG_REQUEST

[ -e "$guest/initrd" ] || {
  echo "c_vmm.sh: cannot open $guest/initrd: no such file. Run scripts/guest-image --jobs tests/hil/jobs --jobs" \
    "$tests/guest $guest" >&2
  exit 2
}

# start_guest DEVICE BARS ROUTES JOB OPTION...: starts guest `name`. JOB has the job's arguments too.
start_guest() {
  boot "$results/$name.log" "$results/$name.vmm" \
    "$tests/passthru_c_vmm" --kernel "$guest/vmlinux" --initrd "$guest/initrd" \
    --append "$guest_append iomem=relaxed passthru.job=$4" --memory 128 --device "$1" \
    --backend "${PASSTHRU_BACKEND:-auto}" --bars "$2" --routes "$3" --inspect "$socket" \
    --summary "$results/$name.json" "${@:5}"
}

# counted COUNT: prints a count of the VMM of guest `name`.
counted() { sed -n "s/^counts.* $1=\([0-9]*\).*/\1/p" "$results/$name.vmm"; }
# Prints which callbacks the library called.
called() {
  local callback words=()
  for callback in map place_bar route_add irqfd_on file_added; do
    [ "$(counted "$callback")" = 0 ] || words+=("$callback")
  done
  echo "${words[*]-}"
}
# at_least WHAT COUNT LEAST
at_least() {
  if [ "${2:-0}" -ge "$3" ]; then ok "$name: $1: $2"; else
    failed "$name: $1: ${2:-none}, expected at least $3" "$results/$name.vmm"
  fi
}

# Waits for the end of guest `name`, and checks that nothing of its device is left.
end_of_guest() {
  wait_for_guest
  equal "$name: the guest ended by itself" "$status" 0 "$results/$name.vmm"
  equal "$name: no slot, route, irqfd or file is left" \
    "$(counted slots_left) $(counted routes_left) $(counted irqfds_left) $(counted files_left)" '0 0 0 0' \
    "$results/$name.vmm"
  equal "$name: its inspect socket is gone" "$([ ! -e "$socket" ] || echo "$socket")" ''
  equal "$name: the guest's log has no error" "$(said complaint)" ''
}

# inspected WHAT PATTERN WORD...: checks that `passthru WORD...` succeeds and prints PATTERN.
inspected() {
  local got=0 output=$results/$name.$4
  "$passthru" "${@:3}" --socket "$socket" >"$output" 2>&1 || got=$?
  equal "$name: passthru $3 $4: exit status" "$got" 0 "$output"
  equal "$name: $1" "$(grep -qE "$2" "$output" && echo yes)" yes "$output"
}

# read_damaged BARS ROUTES OPTION...: damages the drive while a guest reads it.
read_damaged() {
  start_guest "$nvme" "$1" "$2" "read-and-move read-and-move.seconds=$READ_SECONDS moves=0 seed=0" "${@:3}"
  wait_until_says reading
  inspected 'passthru msix show sees a sound vector' ' ok .* irqfd ' msix show "$nvme"
  inspected 'a triggered vector arrives' 'arrived in the guest' msix trigger "$nvme" 1
  "$tests/passthru_damage" "$nvme" 0 "$VECTORS" "$DAMAGE_SECONDS" >"$results/$name.damage"
  end_of_guest
  at_least 'reads during the damage' "$(said reads)" 2
  equal "$name: failed reads" "$(said failed-reads)" 0 "$results/$name.log"
  at_least 'restores' "$(jq .restores "$results/$name.json")" 1
  at_least 'events of restores' "$(counted restore_events)" 1
  equal "$name: no access to the page of the doorbells was trapped" "$(jq -r '
    .bars[0].spans[] | select(.offset <= 4096 and .offset + .size > 4096)
    | "\(.mapped) \(.trapped_reads) \(.trapped_writes)"' "$results/$name.json")" 'true 0 0' "$results/$name.vmm"
}

# read_moved BARS ROUTES: has a guest move the drive's BARs.
read_moved() {
  start_guest "$nvme" "$1" "$2" "read-and-move read-and-move.seconds=0 moves=$moves seed=$seed"
  end_of_guest
  equal "$name: the guest moved its BARs $moves times" "$(said bar-mover: | grep -c "^$moves moves")" 1 \
    "$results/$name.log"
  equal "$name: after the moves the guest read the content of the drive" "$(said read-after)" "$on_drive" \
    "$results/$name.log"
}

# read_only BARS ROUTES OPTION...: has a guest without the jobs of the tests read the drive.
read_only() {
  start_guest "$nvme" "$1" "$2" read-nvme "${@:3}"
  end_of_guest
}

# combination CHECK BARS ROUTES CALLBACKS OPTION...: runs the function CHECK with BARS and ROUTES. CALLBACKS are those
# that the library must call, of the list in `called`.
combination() {
  local check=$1 bars=$2 routes=$3 callbacks=$4
  name=bars-by-$bars-routes-by-$routes
  [ "$jobs_of_tests" = yes ] || check=read_only
  "$check" "$bars" "$routes" "${@:5}"
  equal "checksums equal: bars by $bars, routes by $routes" "$(said 'nvme sha256')" "$on_drive" "$results/$name.log"
  equal "$name: the callbacks that the library called" "$(called)" "$callbacks" "$results/$name.vmm"
}

# example NAME EXPECTED ARGUMENT...: runs an example on the drive. EXPECTED is what it prints.
example() {
  local printed example_status=0
  printed=$("build/release/examples/$1" "$nvme" "${@:3}" 2>&1) || example_status=$?
  equal "the example $1" "$example_status $printed" "0 $2"
}
run_examples() {
  local interrupt='interrupt: address 0xfee00000, data 0x41' register
  register=$(build/release/examples/pci_registers "$nvme" 0 0 4 | sed -n 's/^0x00000000: //p')
  equal 'the example pci_registers reads a register' "$(grep -cxE '[0-9a-f]{8}' <<<"$register")" 1
  example minimal_vmm "the guest read 0x00101b36"$'\n'"the guest read 0x$register" 0
  example interrupts "$interrupt"
  example epoll_loop "$interrupt" 1
  equal 'the example list_vectors' "$(build/release/examples/list_vectors "$nvme" 2 | grep -c 0xfee)" 2
}

unplug() {
  local said_by_vmm=$results/unplugged.vmm
  name=unplugged
  start_guest "$unplugged" vmm vmm 'read-until-gone nvme_core.io_timeout=3' --own-loop
  wait_until_says reading
  lab-monitor device_del nvme1
  succeeds_within "$(patience 4)" "$name: the library reported the host's request" "$said_by_vmm" \
    grep -q "^event $EVENT_UNPLUG_REQUEST of $unplugged" "$said_by_vmm"
  succeeds_within "$(patience 4)" "$name: the host has removed the device" "$said_by_vmm" absent "$unplugged"
  if ! absent "$unplugged"; then
    vfio_users
    dmesg | tail -n 10
    kill -TERM "$vmm" 2>/dev/null || true # the guest would read for ever; it may have ended
  fi
  equal "$name: the guest runs on" "$(kill -0 "$vmm" 2>/dev/null && echo yes)" yes "$results/$name.vmm"
  end_of_guest
  equal "$name: the VMM gave the device back" \
    "$(grep -c "^gave $unplugged back" "$results/$name.vmm")" 1 "$results/$name.vmm"
  equal "$name: the guest noticed it" "$(said gone | cut -d' ' -f1)" after "$results/$name.log"
  equal "$name: the guest finished its job" "$(said 'guest: read-until-gone:')" 'done' "$results/$name.log"
}

rm -rf "$results"
mkdir -p "$results"
# This changes nothing if the device is already bound.
"$passthru" bind "$nvme" >"$results/bind.log" 2>&1 || {
  cat "$results/bind.log" >&2
  exit 1
}
on_drive=$(sha256sum <"$image" | cut -d' ' -f1)
echo "seed $seed: PASSTHRU_SEED=$seed repeats the moves"
[ "$jobs_of_tests" = yes ] || echo "$guest has no jobs of the tests: no damage and no moves"

run_examples
combination read_damaged library library ''
combination read_moved library vmm 'map route_add irqfd_on file_added'
at_least 'mappings' "$(counted map)" "$([ "$jobs_of_tests" = yes ] && echo "$moves" || echo 1)"
combination read_moved vmm library 'place_bar'
at_least 'placements' "$(counted place_bar)" "$([ "$jobs_of_tests" = yes ] && echo "$moves" || echo 1)"
combination read_damaged vmm vmm 'place_bar route_add irqfd_on file_added' --own-loop
[ "$jobs_of_tests" = no ] || at_least 'messages of the triggered vector' "$(counted signal_msi)" 1
[ -z "$unplugged" ] || unplug
finish
