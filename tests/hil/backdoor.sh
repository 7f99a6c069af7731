#!/usr/bin/env bash
# tests/hil/backdoor.sh - checks that a guest continues to read its drive while the device is reset behind VFIO.
# (a) The physical MSI-X table is zeroed, entry by entry or completely. (b) The function is reset through its config
# space. (c) MSI-X Enable is cleared or Function Mask is set.
# Runs in the lab with an NVMe drive at 00:02.0, bound to vfio-pci or not.
# usage: backdoor.sh [--rounds N] [--guest IMAGES]
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2317 # the damaging functions are called by name
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"

rounds=50 guest=build/lab/guest-test
while [ $# -gt 0 ]; do
  case $1 in
    --rounds) rounds=$2 ;;
    --guest) guest=$2 ;;
    *)
      echo "backdoor.sh: $1: unknown option. usage: backdoor.sh [--rounds N] [--guest IMAGES]" >&2
      exit 2
      ;;
  esac
  shift 2
done
readonly rounds guest nvme=0000:00:02.0
readonly passthru=build/release/tools/passthru damage=build/release/tests/passthru_damage
readonly results=$LAB_OUT/backdoor
readonly ATTEMPTS=4
readonly LEAST_MS=250
# Sets `limit_ms`, the time that damage may add to a read of the guest that was booted last. The guest itself measures
# the machine: alone there, it takes some 5 s to boot, and beside other work several times as long.
set_limit() { limit_ms=$((guest_boot_ms / 20 > LEAST_MS ? guest_boot_ms / 20 : LEAST_MS)); }

[ -e "$guest/initrd" ] || {
  echo "backdoor.sh: cannot open $guest/initrd: no such file. Run scripts/guest-image --jobs tests/hil/jobs $guest" >&2
  exit 2
}

# start_guest NAME CPUS JOB WORD...: starts a guest with a job. A second CPU doubles the time of the boot.
start_guest() {
  local append="$guest_append nvme_core.io_timeout=30 passthru.job=${*:3}"
  boot "$results/$1.log" "$results/$1.vmm" \
    "$passthru" run --kernel "$guest/vmlinux" --initrd "$guest/initrd" \
    --append "$append" --cpus "$2" --memory 128M --summary "$results/$1.json" --force --device "$nvme"
}

end_of_guest() {
  wait_for_guest
  equal "$1: the guest ended by itself" "$status" 0 "$results/$1.log"
}

restores() { jq '.devices[0].restores' "$results/$1.json"; }
at_least() {
  if [ "${2:-0}" -ge "$3" ]; then ok "$1: $2"; else failed "$1: ${2:-none}, expected at least $3" "$4"; fi
}

report() {
  printf '        %s: %s reads, longest read %s ms (%s ms before any damage), %s restores\n' "$1" \
    "$(said reads)" "$(said longest-read-ms)" "$(said longest-read-in-peace-ms)" "$(restores "$1")"
}

# Returns 0 if damage made no read limit_ms longer than the longest read before the damage. A read in an emulator inside
# an emulator on a busy machine takes long without our damage.
quick_enough() {
  local longest peace
  longest=$(said longest-read-ms) peace=$(said longest-read-in-peace-ms)
  [ -n "$longest" ] && [ "$longest" -le $((limit_ms + ${peace:-0})) ]
}

# judge NAME MIN-RESTORES: checks a guest whose device lost only its MSI-X state.
judge() {
  if quick_enough; then
    ok "$1: damage made no read $limit_ms ms longer"
  else
    failed "$1: damage made no read $limit_ms ms longer" "$results/$1.log"
  fi
  equal "$1: the guest's log has no timeout" "$(said complaint)" ''
  at_least "$1: restores" "$(restores "$1")" "$2" "$results/$1.vmm"
}

# damaged NAME CPUS DAMAGE: runs DAMAGE repeatedly while a guest reads. The machine around the lab may stop it for a
# while. So if a read takes too long, the test measures another guest, and fails only if every guest has such a read.
damaged() {
  local attempt
  for ((attempt = 1; attempt <= ATTEMPTS; ++attempt)); do
    start_guest "$1" "$2" read-latency "read-latency.seconds=$((rounds / 3 + 5))"
    set_limit
    wait_until_says reading
    "$3"
    end_of_guest "$1"
    report "$1"
    if quick_enough || [ "$attempt" = "$ATTEMPTS" ]; then break; fi
    echo "        $1: a read took too long; measuring another guest"
  done
  judge "$1" $((rounds / 4))
}

# ---- the damages ----------------------------------------------------------------------------------------------

zero_the_table() {
  local round
  for ((round = 0; round < rounds; ++round)); do
    sleep "0.$((RANDOM % 3 + 1))"
    if ((round % 2)); then "$damage" "$nvme" 0 65; else "$damage" "$nvme" $((RANDOM % 3)) 1; fi
  done
}

# flip BITS: writes BITS to MSI-X Message Control in the device itself.
flip() { setpci -s "$nvme" CAP_MSIX+2.w="$1"; }

flip_enable_and_mask() {
  local round
  for ((round = 0; round < rounds / 2; ++round)); do
    sleep "0.$((RANDOM % 3 + 3))"
    if ((round % 2)); then flip 0000:8000; else flip 4000:4000; fi
  done
}

# The drive loses its queues, and its driver must create them again. The drive is idle meanwhile. QEMU's drive loses
# doorbells when a driver enables shadow doorbells after it has given the queue a command; Linux does so with a command
# that was lost.
the_function_is_reset() {
  start_guest reset 1 read-after-reset
  wait_until_says idle
  setpci -s "$nvme" CAP_EXP+8.w=8000:8000
  end_of_guest reset
  equal 'reset: the guest reads the same data before and after it' "$(said before)" "$(said after)" "$results/reset.log"
  at_least 'reset: interrupts of the 50 reads after the reset' "$(said interrupts)" 50 "$results/reset.log"
  equal "reset: the guest's log has no timeout" "$(said complaint)" ''
  at_least 'reset: restores' "$(restores reset)" 1 "$results/reset.vmm"
}

rm -rf "$results"
mkdir -p "$results"
# This changes nothing if the device is already bound.
"$passthru" bind "$nvme" >"$results/bind.log" 2>&1 || {
  cat "$results/bind.log" >&2
  exit 1
}
damaged table 2 zero_the_table
the_function_is_reset
damaged control 1 flip_enable_and_mask
finish
