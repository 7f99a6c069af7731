#!/usr/bin/env bash
# tests/hil/counts.sh - checks that the library counts the interrupts that the guest counts, on MSI-X, MSI and INTx. If
# KVM delivers them, the library counts at least as many and at most a tenth more, because KVM may merge some. If the
# library forwards them, the counts are equal. Checks also that counts survive the guest's shutdown of its devices.
# Runs in the lab, with devices with a disk on vfio-pci.
# usage: counts.sh GUEST-IMAGES BDF...
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2317 # with_console is called by boot
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"

readonly guest=$1
shift
readonly devices=("$@") passthru=build/release/tools/passthru results=$LAB_OUT/counts
readonly READS=100 socket=/tmp/counts.sock

# The input of the guest's console.
readonly fifo=/tmp/counts.console # not in $LAB_OUT: the share does not support pipes
mkfifo "$fifo"
exec 5<>"$fifo"
with_console() { exec "$@" <"$fifo"; }

# inspect FILE: saves the VMM's answer about its devices.
inspect() {
  perl -MIO::Socket::UNIX -e 'my $s = IO::Socket::UNIX->new(Peer => shift) or die "$!\n";
    print $s qq({"request":"inspect"}\n); print scalar <$s>' "$socket" >"$results/$1.json"
}
# delivered FILE BDF: prints the interrupts of all kinds that were delivered for the guest's BDF.
delivered() { jq ".devices[] | select(.guest_address == \"$2\") | .delivered | add" "$results/$1.json"; }

# run_guest NAME OPTION...: runs a guest to its end, and inspects its devices before and after its reads.
run_guest() {
  local name=$1 bdf arguments=()
  shift
  for bdf in "${devices[@]}"; do arguments+=(--device "$bdf"); done
  boot "$results/$name.log" "$results/$name.vmm" with_console "$passthru" run --inspect "$socket" "$@" \
    --kernel "$guest/vmlinux" --initrd "$guest/initrd" --memory 128M \
    --append "$guest_append passthru.job=count-interrupts count-interrupts.reads=$READS count-interrupts.disks=${#devices[@]}" \
    --summary "$results/$name.end.json" --force "${arguments[@]}"
  wait_until_says before
  inspect "$name.before"
  echo >&5
  wait_until_says after
  inspect "$name.after"
  echo >&5
  wait_for_guest
  equal "$name: the guest ended by itself" "$status" 0 "$results/$name.log"
}

# count NAME: compares the counts between "before" and "after" of each device, with `agree GUEST-COUNT LIBRARY-COUNT`.
count() {
  local name=$1 bdf kind before after theirs ours kinds=''
  while read -r bdf kind before; do
    read -r after <<<"$(said "count-after $bdf $kind")"
    theirs=$((after - before))
    ours=$(($(delivered "$name.after" "$bdf") - $(delivered "$name.before" "$bdf")))
    if [ "$theirs" -ge "$READS" ] && agree "$theirs" "$ours"; then
      ok "$name: $bdf on $kind: the guest counted $theirs interrupts, the library $ours"
    else
      failed "$name: $bdf on $kind: the guest counted $theirs interrupts, the library $ours" "$results/$name.vmm"
    fi
    if [ "$(delivered "$name.end" "$bdf")" -ge "$(delivered "$name.after" "$bdf")" ]; then
      ok "$name: $bdf: the count survives the guest's shutdown"
    else
      failed "$name: $bdf: the count was $(delivered "$name.after" "$bdf"), then $(delivered "$name.end" "$bdf")"
    fi
    kinds+="$kind "
  done <<<"$(said count-before)"
  equal "$name: all kinds of interrupts" "$(tr ' ' '\n' <<<"$kinds" | sort -u | xargs)" 'INTx MSI MSI-X' "$results/$name.log"
}

rm -rf "$results"
mkdir -p "$results"

agree() { [ "$2" -ge "$1" ] && [ $(($2 * 10)) -le $(($1 * 11)) ]; }
run_guest irqfds
count irqfds

agree() { [ "$2" = "$1" ]; }
run_guest forwarded --forward-interrupts
count forwarded
finish
